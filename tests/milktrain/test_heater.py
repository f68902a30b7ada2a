"""Heater: separate experts make vectors of content, which stand in for those of half of the items."""

import numpy as np
import pytest
import small_tasks
import torch
from small_tasks import N_ITEMS, N_TRAIN

from milktrain.models import _layers as layers
from milktrain.models.heater import Experts
from milktrain.recommender import Batch


@pytest.fixture
def given():
    return small_tasks.task("heater")


@pytest.fixture
def shown(given):
    """The collaborative vectors as towers are to see them, one column after the other; of items cut at 1, of users at 5."""
    found = []
    for vectors, most in ((given.collaborative.users, 5), (given.collaborative.items, 1)):
        known = np.flatnonzero(np.abs(vectors.numpy()).sum(axis=1))
        table = np.zeros(vectors.shape)
        for column in range(table.shape[1]):
            values = vectors.numpy()[known, column].astype(float)
            table[known, column] = np.clip((values - values.mean()) / values.std(), -most, most)
        found.append(torch.from_numpy(table).float())
    assert float(found[1].abs().max()) == 1
    return found


def _batch(given, *, n=6, negatives_each=5):
    known = given.train[:, 1].unique()
    drawn = torch.randint(len(known), (n * negatives_each,), generator=torch.Generator().manual_seed(4))
    return Batch(given.train[:n, 0], given.train[:n, 1], known[drawn])


def test_content_goes_through_separate_experts_weighed_by_a_gate():
    experts = Experts(4, 3, n_experts=2, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    first, second = (np.tanh(x.numpy() @ each.weight.detach().numpy().T + each.bias.detach().numpy()) for each in experts.experts)
    gate = np.tanh(x.numpy() @ experts.gate.weight.detach().numpy().T + experts.gate.bias.detach().numpy())
    expected = np.tanh(gate[:, :1] * first + gate[:, 1:] * second)
    np.testing.assert_allclose(experts(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    # Separate: the layers are others, and what one expert learns from a row the other does not.
    assert not torch.equal(experts.experts[0].weight, experts.experts[1].weight)
    with torch.no_grad():
        experts.gate.weight.zero_()
        experts.gate.bias.copy_(torch.tensor([0.7, 0.0]))
    experts(x).sum().backward()
    assert experts.experts[0].weight.grad.any()
    assert not experts.experts[1].weight.grad.any()


def test_made_vectors_stand_in_for_those_of_half_of_the_items(given, shown):
    model, batch, seen = small_tasks.build("heater", given), _batch(given), []
    model.of_items.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for seed in range(3):
        model.losses(batch, generator=np.random.default_rng(seed))
    items = torch.cat([batch.positives, batch.negatives]).unique()
    known, made = shown[1][items], model.experts(model.content.of(items))
    by_content = [(rows == made).all(dim=1) for rows in seen]
    for rows, chosen in zip(seen, by_content, strict=True):
        assert int(chosen.sum()) == round(len(items) / 2)
        torch.testing.assert_close(rows[~chosen], known[~chosen])
    assert not torch.equal(by_content[0], by_content[1])


def test_the_loss_row_by_row(given, shown):
    model, batch = small_tasks.build("heater", given, closeness="0.3", reg="0.02"), _batch(given)
    found = model.losses(batch, generator=np.random.default_rng(7))
    items = torch.cat([batch.positives, batch.negatives]).unique()
    users = batch.users.unique()
    chosen = layers.chosen_rows(len(items), 0.5, generator=np.random.default_rng(7), device=items.device)
    with torch.no_grad():
        made = model.experts(model.content.of(items))
        z = model.of_items(torch.where(chosen[:, None], made, shown[1][items]))
        p = model.of_users(shown[0][users])
    rows = [(user, item, 1.0) for user, item in zip(batch.users.tolist(), batch.positives.tolist(), strict=True)]
    rows += [(batch.users.tolist()[place // 5], item, 0.0) for place, item in enumerate(batch.negatives.tolist())]
    errors, distances = [], []
    for user, item, truth in rows:
        place = items.tolist().index(item)
        errors.append((float(p[users.tolist().index(user)] @ z[place]) - truth) ** 2)
        distances.append(float((made[place] - shown[1][item]).square().sum()))
    assert len(rows) == 36
    assert float(found.parts["error"]) == pytest.approx(np.mean(errors), rel=1e-4)
    assert float(found.parts["distance"]) == pytest.approx(np.mean(distances), rel=1e-4)
    linear = [module.weight.detach() for module in model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == 5 + 1 + 2 + 2
    squares = sum(float(weight.square().sum()) for weight in linear)
    assert float(found.total.detach()) == pytest.approx(np.mean(errors) + 0.3 * np.mean(distances) + 0.02 * squares, rel=1e-4)


def test_an_epoch_has_every_interaction_once_with_five_items_the_user_has_not(given):
    model = small_tasks.build("heater", given)
    epoch = model.batches(batch_size=40, generator=torch.Generator().manual_seed(0))
    steps = list(epoch.drawn)
    assert len(steps) == epoch.n
    pairs = torch.cat([torch.stack([step.users, step.positives], dim=1) for step in steps])
    seen = set(map(tuple, given.train.tolist()))
    assert sorted(map(tuple, pairs.tolist())) == sorted(seen)
    negatives = [(int(user), int(item)) for step in steps for user, item in zip(step.users.repeat_interleave(5), step.negatives, strict=True)]
    assert len(negatives) == 5 * len(seen)
    assert not set(negatives) & seen
    assert {item for _, item in negatives} <= set(given.train[:, 1].tolist())


def test_a_new_item_is_what_its_content_makes_of_it_and_a_known_one_its_own_vector(given, shown):
    model = small_tasks.build("heater", given).eval()
    new, known = torch.arange(N_TRAIN, N_ITEMS), given.train[:, 1].unique()
    torch.testing.assert_close(model.places(new), model.of_items(model.experts(model.content.of(new))))
    torch.testing.assert_close(model.places(known), model.of_items(shown[1][known]))


def test_vectors_are_never_moved(given):
    model = small_tasks.build("heater", given)
    before = model.users.clone(), model.items.table.clone()
    small_tasks.train(model, given, "heater", epochs=3)
    assert torch.equal(model.users, before[0])
    assert torch.equal(model.items.table, before[1])


def test_it_descends_with_momentum_at_a_rate_that_falls_every_ten_epochs(given):
    model = small_tasks.build("heater", given)
    (optimizer,) = model.optimizers(learning_rate=0.005)
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["lr"], optimizer.defaults["momentum"]) == (0.005, 0.9)
    assert [model.learning_rate_factor(epoch) for epoch in (1, 10, 11, 20, 21)] == pytest.approx([1, 1, 0.8, 0.8, 0.64])
