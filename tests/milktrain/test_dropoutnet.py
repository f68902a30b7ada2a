"""DropoutNet: the scores of collaborative vectors, by towers that lose the vectors of half of the rows."""

import numpy as np
import pytest
import small_tasks
import torch
from small_tasks import N_ITEMS, N_TRAIN, N_USERS

from milktrain.models import _towers as towers
from milktrain.recommender import Batch

NONE = torch.empty(0, dtype=torch.int64)


@pytest.fixture
def given():
    return small_tasks.task("dropoutnet")


def _step(given, *, n_users=10, n_items=20):
    return Batch(torch.arange(n_users), given.train[:, 1].unique()[:n_items], NONE)


def _seen(model, batch, *, seed=0):
    """What goes into the towers in a step."""
    found = {}
    for name in ("of_users", "of_items"):
        getattr(model, name).register_forward_pre_hook(lambda _, inputs, name=name: found.__setitem__(name, inputs[0]))
    model.losses(batch, generator=np.random.default_rng(seed))
    return found["of_users"], found["of_items"]


def test_half_of_the_users_and_half_of_the_items_lose_their_vectors_and_all_items_keep_their_content(given):
    model, batch = small_tasks.build("dropoutnet", given), _step(given)
    users, items = _seen(model, batch)
    no_user, no_item = ~users.any(dim=1), ~items[:, :10].any(dim=1)
    assert (int(no_user.sum()), int(no_item.sum())) == (5, 10)
    assert torch.equal(users[~no_user], given.collaborative.users[batch.users][~no_user])
    assert torch.equal(items[~no_item, :10], given.collaborative.items[batch.positives][~no_item])
    content = torch.cat([matrix[batch.positives] for matrix in given.content.features], dim=1)
    assert torch.equal(items[:, 10:], content)
    # Which rows lose theirs is drawn for users apart from items, and anew at every step.
    again = [_seen(model, Batch(torch.arange(20), batch.positives, NONE), seed=seed) for seed in range(4)]
    lost = [(~users.any(dim=1), ~items[:, :10].any(dim=1)) for users, items in again]
    assert any(not torch.equal(lost[0][0], each[0]) for each in lost[1:])
    assert any(not torch.equal(*each) for each in lost)


def test_the_loss_is_half_the_error_everywhere_and_half_that_at_each_users_best(given):
    changes = {"best_items": "4", "users_without_vector": "0.0", "items_without_vector": "0.0", "reg": "0.01"}
    model, batch = small_tasks.build("dropoutnet", given, **changes), _step(given)
    found = model.losses(batch, generator=np.random.default_rng(0))
    u, v = given.collaborative.users.double(), given.collaborative.items.double()
    known = given.train[:, 1].unique().tolist()
    z_of_users = model.of_users(given.collaborative.users[batch.users]).detach()
    z_of_items = model.of_items(torch.cat([given.collaborative.items[batch.positives], model.content.of(batch.positives)], dim=1)).detach()
    everywhere, at_best = [], []
    for row, user in enumerate(batch.users.tolist()):
        best = sorted(known, key=lambda item: -float(u[user] @ v[item]))[:4]
        for column, item in enumerate(batch.positives.tolist()):
            error = (float(z_of_users[row] @ z_of_items[column]) - float(u[user] @ v[item])) ** 2
            everywhere.append(error)
            at_best += [error] * (item in best)
    assert 0 < len(at_best) < len(everywhere)
    assert float(found.parts["error"]) == pytest.approx(np.mean(everywhere), rel=1e-4)
    assert float(found.parts["error_at_best"]) == pytest.approx(np.mean(at_best), rel=1e-4)
    weights = [layer.weight.detach() for tower in (model.of_users, model.of_items) for layer in (*tower.layers, tower.out)]
    squares = sum(float(weight.square().sum()) for weight in weights)
    assert float(found.total.detach()) == pytest.approx(0.5 * np.mean(everywhere) + 0.5 * np.mean(at_best) + 0.01 * squares, rel=1e-4)


def test_the_target_is_of_whole_vectors_whatever_the_towers_lose(given):
    """Planted: towers that give zeros leave the squares of the collaborative scores, also where every vector is taken away."""
    model, batch = small_tasks.build("dropoutnet", given, users_without_vector="1.0", items_without_vector="1.0"), _step(given)
    with torch.no_grad():
        for tower in (model.of_users, model.of_items):
            tower.out.weight.zero_()
    scores = given.collaborative.users[batch.users] @ given.collaborative.items[batch.positives].T
    found = model.losses(batch, generator=np.random.default_rng(0))
    assert float(found.parts["error"]) == pytest.approx(float(scores.square().mean()), rel=1e-5)


def test_an_epoch_has_every_user_with_a_vector_once_and_items_that_somebody_has(given):
    users = given.collaborative.users.clone()
    users[3] = 0
    given.collaborative.users.copy_(users)
    model = small_tasks.build("dropoutnet", given, items_per_step="7")
    epoch = model.batches(batch_size=9, generator=torch.Generator().manual_seed(0))
    steps = list(epoch.drawn)
    assert len(steps) == epoch.n == 4
    assert sorted(torch.cat([step.users for step in steps]).tolist()) == [user for user in range(N_USERS) if user != 3]
    known = set(given.train[:, 1].tolist())
    assert all(len(set(step.positives.tolist())) == 7 and set(step.positives.tolist()) <= known for step in steps)
    assert len({tuple(step.positives.tolist()) for step in steps}) == 4


def test_vectors_are_never_moved_and_new_items_have_none(given):
    model = small_tasks.build("dropoutnet", given)
    before = model.users.clone(), model.items.table.clone()
    small_tasks.train(model, given, "dropoutnet", epochs=3)
    assert torch.equal(model.users, before[0])
    assert torch.equal(model.items.table, before[1])
    assert len(before[1]) == N_TRAIN
    assert not model.items.of(torch.arange(N_TRAIN, N_ITEMS)).any()


def test_towers_squash_twice_and_start_small():
    tower = towers.Tower(5, [4, 3], 2, generator=torch.Generator().manual_seed(0))
    shapes = {name: tuple(parameter.shape) for name, parameter in tower.named_parameters()}
    assert shapes == {
        "layers.0.weight": (4, 5), "layers.1.weight": (3, 4), "normalised.0.weight": (4,), "normalised.0.bias": (4,),
        "normalised.1.weight": (3,), "normalised.1.bias": (3,), "out.weight": (2, 3), "out.bias": (2,),
    }  # fmt: skip
    large = towers.Tower(300, [200], 100, generator=torch.Generator().manual_seed(0))
    for layer in (large.layers[0], large.out):
        assert float(layer.weight.detach().std()) == pytest.approx(
            0.0088, rel=0.03
        )  # a normal distribution cut at twice its deviation keeps 0.88 of it
        assert float(layer.weight.detach().abs().max()) <= 0.02
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    for layer in (*tower.layers, tower.out):  # large enough that the epsilon of the normalisation is nothing beside it
        layer.weight.data *= 100
    h = x
    for layer in tower.layers:
        h = h @ layer.weight.T
        h = torch.tanh((h - h.mean(dim=0)) / h.var(dim=0, unbiased=False).sqrt())
    torch.testing.assert_close(tower(x), h @ tower.out.weight.T, rtol=1e-3, atol=1e-3)
    assert torch.isfinite(tower(x[:1])).all()


def test_it_descends_with_momentum(given):
    (optimizer,) = small_tasks.build("dropoutnet", given).optimizers(learning_rate=0.005)
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["lr"], optimizer.defaults["momentum"]) == (0.005, 0.9)
