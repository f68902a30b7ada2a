"""GAR: the two networks learn in turns, neither by the other's loss; losses against a computation of their own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from milktrain import config, loop, optimizers
from milktrain.models import gar
from milktrain.recommender import Batch, Collaborative, Content, InTurns, Placing, Task

N_TRAIN, N_ITEMS, N_USERS = 6, 9, 5
BATCH = Batch(torch.tensor([0, 1, 2, 4]), torch.tensor([0, 2, 3, 5]), torch.tensor([1, 1, 4, 0]))


def _task(*, seed=0):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(N_ITEMS, 4, generator=random), torch.randn(N_ITEMS, 3, generator=random)
    content = Content(features, torch.ones(N_ITEMS, 2, dtype=torch.bool), torch.arange(N_ITEMS) < N_TRAIN)
    items = torch.randn(N_ITEMS, 2, generator=random) * content.is_train[:, None]
    train = torch.tensor([[0, item] for item in range(N_TRAIN)])
    return Task(content, N_USERS, train, Collaborative(torch.randn(N_USERS, 2, generator=random), items))


def _model(task=None, **changes):
    small = {"backbone_width": "2", "hidden_width": "3", "dim": "2", "generator_dropout": "0.0", "discriminator_dropout": "0.0"}
    return gar.build(task or _task(), config.load(model="gar", changes=small | changes), generator=torch.Generator().manual_seed(1))


def _random():
    return np.random.default_rng(0)


def _network(network, x, *, learning):
    """A network in numpy, with the statistics of its rows or with the running ones."""

    def normalised(norm, rows):
        mean, variance = (rows.mean(0), rows.var(0)) if learning else (norm.mean.numpy(), norm.variance.numpy())
        found = (rows - mean) / np.sqrt(variance + 1e-3)
        return found if norm.weight is None else found * norm.weight.detach().numpy() + norm.bias.detach().numpy()

    x = x if network.before is None else normalised(network.before, x)
    hidden = np.tanh(normalised(network.between, x @ network.first.weight.detach().numpy().T))
    out = hidden @ network.second.weight.detach().numpy().T
    return out if network.second.bias is None else out + network.second.bias.detach().numpy()


def _parts(model, task):
    content = torch.cat(task.content.features, dim=1).numpy()
    return content[BATCH.positives], model.items.numpy(), model.users.numpy()[BATCH.users]


def _squared(*networks):
    return sum(float(layer.weight.detach().square().sum()) for network in networks for layer in (network.first, network.second))


def test_real_items_are_to_score_above_made_ones_and_negatives_as_far_as_each_weighs():
    task = _task()
    model = _model(task, negative_weight="0.25", reg="0.01")
    content, items, users = _parts(model, task)
    made = _network(model.maker, content, learning=False)  # looking on
    told = model.discriminator
    of_users = _network(told.of_users, np.tile(users, (3, 1)), learning=True)
    of_items = _network(told.of_items, np.concatenate([items[BATCH.positives], items[BATCH.negatives], made]), learning=True)
    real, negative, fake = (of_users * of_items).sum(1).reshape(3, -1)
    expected = np.log1p(np.exp(-(real - 0.75 * fake - 0.25 * negative))).mean() + 0.01 * _squared(told.of_users, told.of_items)
    found = model.discriminator_loss(BATCH, generator=_random())
    assert found.total.item() == pytest.approx(expected, rel=1e-5)


def test_made_vectors_are_to_score_above_real_ones_and_to_be_near_them():
    task = _task()
    model = _model(task, closeness="0.3", reg="0.01")
    content, items, users = _parts(model, task)
    made, real = _network(model.maker, content, learning=True), items[BATCH.positives]
    of_users = _network(model.discriminator.of_users, users, learning=False)  # looking on
    of_made, of_real = (_network(model.discriminator.of_items, items, learning=False) for items in (made, real))
    gap = (of_users * (of_made - of_real)).sum(1)
    expected = 0.7 * np.log1p(np.exp(-gap)).mean() + 0.3 * np.abs(made - real).mean() + 0.01 * _squared(model.maker)
    assert model.generator_loss(BATCH, generator=_random()).total.item() == pytest.approx(expected, rel=1e-5)


def _moved(module, before):
    return {label for label, tensor in module.state_dict().items() if not torch.equal(tensor, before[label])}


def test_each_turn_moves_one_network_and_leaves_the_other_with_its_running_means():
    model = _model()
    optimizer = optimizers.build(model, config.load(model="gar"))
    turns = model.in_turns(BATCH, generator=_random())
    for turn, (mine, other) in enumerate([("discriminator.", "maker."), ("maker.", "discriminator.")]):
        before = {label: tensor.clone() for label, tensor in model.state_dict().items()}
        losses = next(turns)
        optimizer.zero_grad()
        losses.total.backward()
        assert all(parameter.grad is None for label, parameter in model.named_parameters() if label.startswith(other)), turn
        optimizer.step()
        assert _moved(model, before) == {label for label in before if label.startswith(mine)}  # means and variances as well
    assert next(turns, None) is None


def test_the_log_has_the_loss_of_each_turn_besides_their_sum():
    model = _model(reg="0.01")
    expected = model.discriminator_loss(BATCH, generator=_random()).total.item()
    row = loop.run_epoch(model, optimizers.build(model, config.load(model="gar")), iter([BATCH]), generator=_random())
    assert row["discriminator_loss"] == pytest.approx(expected)
    assert row["loss"] == pytest.approx(row["discriminator_loss"] + row["generator_loss"])


def test_the_generator_is_judged_by_the_discriminator_that_moved():
    model = _model()
    turns = model.in_turns(BATCH, generator=_random())
    next(turns)
    unmoved = model.generator_loss(BATCH, generator=_random()).total.item()
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.mul_(1.5)
    after = model.generator_loss(BATCH, generator=_random()).total.item()
    assert next(turns).total.item() == after
    assert abs(after - unmoved) > 1e-3


def test_after_a_turn_the_discriminator_can_learn_again():
    model = _model()
    list(model.in_turns(BATCH, generator=_random()))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_training_takes_the_turns():
    model = _model()
    assert isinstance(model, InTurns)
    assert isinstance(model, Placing)
    found = loop.run_epoch(model, optimizers.build(model, config.load(model="gar")), iter([BATCH]), generator=_random())
    assert {"discriminator", "generator"} <= set(found)


def test_a_new_item_is_what_the_discriminator_makes_of_its_made_vector_and_a_training_item_of_its_own():
    model = _model().eval()
    new, known = torch.tensor([7]), torch.tensor([3])
    made = model.maker(model.content.of(new))
    torch.testing.assert_close(model.places(new), model.discriminator.of_items(made))
    torch.testing.assert_close(model.places(known), model.discriminator.of_items(model.items[3:4]))
    users = torch.tensor([2, 0])
    expected = model.discriminator.of_users(model.users[users]) @ model.places(torch.cat([new, known])).T
    torch.testing.assert_close(model.ranker(torch.cat([new, known]))(users), expected)


def test_vectors_that_someone_left_in_the_rows_of_new_items_are_not_looked_at():
    task = _task()
    items = task.collaborative.items.clone()
    items[N_TRAIN:] = 50.0
    planted = _model(replace(task, collaborative=Collaborative(task.collaborative.users, items))).eval()
    every, users = torch.arange(N_ITEMS), torch.arange(N_USERS)
    assert torch.equal(planted.ranker(every)(users), _model(task).eval().ranker(every)(users))


def test_dropout_is_for_the_network_whose_turn_it_is():
    """With half of the hidden numbers dropped, two draws differ; the network that looks on draws nothing."""
    of_maker, of_discriminator = _model(generator_dropout="0.5"), _model(discriminator_dropout="0.5")
    for model, draws, looks_on in (
        (of_maker, "generator_loss", "discriminator_loss"), (of_discriminator, "discriminator_loss", "generator_loss")
    ):  # fmt: skip
        assert len({getattr(model, draws)(BATCH, generator=np.random.default_rng(seed)).total.item() for seed in range(4)}) > 1
        fixed = _model()
        fixed.load_state_dict(model.state_dict())
        seen = getattr(model, looks_on)(BATCH, generator=_random()).total.item()
        assert seen == getattr(fixed, looks_on)(BATCH, generator=_random()).total.item()


def test_a_batch_of_one_row_is_normalised_by_the_running_means():
    model = _model()
    one = Batch(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
    assert all(torch.isfinite(losses.total) for losses in model.in_turns(one, generator=_random()))


def test_vectors_of_items_are_scaled_to_one_whatever_the_backbone():
    task = _task()
    wide = Collaborative(task.collaborative.users, task.collaborative.items * 7)
    assert _model(task).items.square().mean().item() == pytest.approx(1)
    torch.testing.assert_close(_model(replace(task, collaborative=wide)).items, _model(task).items)
    nothing = Collaborative(task.collaborative.users, task.collaborative.items * 0)
    assert not _model(replace(task, collaborative=nothing)).items.any()


def test_it_starts_from_what_the_publication_says():
    own = gar.Settings()
    assert (own.generator_dropout, own.discriminator_dropout, own.hidden_width) == (0.1, 0.5, 200)
    assert config.load(model="gar").batch_size == 1024
