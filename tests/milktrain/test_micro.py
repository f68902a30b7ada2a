"""MICRO against a plain computation with whole matrices; when its graphs are made, what learns from them, and that none leads to a new item."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import small_tasks
import torch
from small_tasks import BARE, N_ITEMS, N_TRAIN, N_USERS
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from milktrain import optimizers
from milktrain.models import _item_graph as item_graph
from milktrain.models.micro import infonce
from milktrain.recommender import Batch

K, SHARE, TEMPERATURE = 4, 0.7, 0.3
CHANGES = {
    "graph_neighbours": str(K), "raw_share": str(SHARE), "temperature": str(TEMPERATURE), "contrast": "0.2", "reg": "0.05", "learning_rate": "0.01",
}  # fmt: skip


@pytest.fixture
def given():
    return small_tasks.task("micro")


@pytest.fixture
def model(given):
    return small_tasks.build("micro", given, **CHANGES)


def _batch(*, seed=0, size=20):
    random = torch.Generator().manual_seed(seed)
    return Batch(*(torch.randint(n, (size,), generator=random) for n in (N_USERS, N_TRAIN, N_TRAIN)))


def _losses(model, batch):
    return model.losses(batch, generator=np.random.default_rng(0))


def _step(model, optimizer, batch):
    optimizer.zero_grad()
    found = _losses(model, batch).total
    found.backward()
    optimizer.step()
    return found.detach()


def _optimizer(model):
    return optimizers.build(model, small_tasks.settings("micro", **CHANGES))


def test_a_graph_of_three_items_by_hand():
    rows = item_graph.Rows.all_of(torch.tensor([[2.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))  # cosines .8, 0 and .6
    graph = item_graph.between(rows, sources=torch.arange(3), k=2)
    assert graph.edges.far.tolist() == [[0, 1], [1, 0], [2, 1]]
    torch.testing.assert_close(graph.degrees, torch.tensor([1.8, 1.8, 1.6]))
    by_hand = [[1 / 1.8, 0.8 / 1.8], [1 / 1.8, 0.8 / 1.8], [1 / 1.6, 0.6 / (1.6 * 1.8) ** 0.5]]
    torch.testing.assert_close(graph.edges.weights, torch.tensor(by_hand))
    torch.testing.assert_close(item_graph.weighed(rows.matrix, graph.edges.far).weights, torch.tensor(by_hand))
    new = item_graph.to_new(item_graph.Rows.all_of(torch.tensor([[0.6, 0.8]])), rows, graph, k=2)  # cosines .6, .96 and .8
    assert new.far.tolist() == [[1, 2]]
    torch.testing.assert_close(new.weights, torch.tensor([[0.96 / (1.76 * 1.8) ** 0.5, 0.8 / (1.76 * 1.6) ** 0.5]]))


def test_nothing_is_linked_to_an_item_by_what_it_lacks():
    content = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    graph = item_graph.between(item_graph.Rows.all_of(content), sources=torch.tensor([0, 2, 3]), k=2)
    assert graph.edges.far.tolist() == [[0, 2], [1, 0], [2, 0], [3, 2]]  # 0 and 2 would be nearest to 1, as 1 is to them


def test_what_is_opposite_or_nothing_weighs_nothing():
    content = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    graph = item_graph.between(item_graph.Rows.all_of(content), sources=torch.arange(3), k=3)
    torch.testing.assert_close(graph.edges.weights, torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 0]]))


def test_with_too_few_to_link_to_an_item_has_itself():
    content = item_graph.Rows.all_of(torch.eye(2))
    for sources in (torch.tensor([], dtype=torch.int64), torch.tensor([1])):
        graph = item_graph.between(content, sources=sources, k=5)
        assert graph.edges.far.tolist() == [[0], [1]]
    none = item_graph.to_new(content, content, item_graph.between(content, sources=torch.tensor([], dtype=torch.int64), k=5), k=5)
    assert none.sum_of(torch.ones(2, 3)).tolist() == [[0.0] * 3] * 2


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that anything makes."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        made = found if isinstance(found, tuple | list) else [found]
        self.numel = max([self.numel, *(each.numel() for each in made if isinstance(each, torch.Tensor))])
        return found


def test_neighbours_are_found_in_chunks_and_are_those_of_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(item_graph, "CHUNK", 16)
    monkeypatch.setattr(item_graph, "CHUNK_FAR", 32)
    content = F.normalize(torch.randn(90, 5, generator=torch.Generator().manual_seed(0)))
    rows, but = item_graph.Rows.all_of(content), torch.arange(90).roll(1)
    with _Largest() as largest:
        places, cosines = item_graph.nearest(rows, rows, k=7, but=but)
    whole = content @ content.T
    whole[torch.arange(90), but] = -2
    best = whole.topk(7)
    assert torch.equal(places, best.indices)
    torch.testing.assert_close(cosines, best.values)
    assert largest.numel < 90 * 20  # 90 x 90 would be 8100


def test_contrast_by_hand():
    one = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    itself_and_one_of_each_kind = torch.tensor(1 + 2 / np.e, dtype=torch.float32).log()
    torch.testing.assert_close(infonce(one, one, temperature=1.0), itself_and_one_of_each_kind)
    crossed = infonce(one, one.flip(0), temperature=0.5)
    torch.testing.assert_close(crossed, torch.tensor(np.log(2 + np.exp(2)), dtype=torch.float32))
    assert infonce(one[:1], one[1:], temperature=0.5) == 0  # alone there is nothing to be told from


def _dense(content, available):
    """(V, W) all edges to training items as a matrix; the plain way."""
    cosine = F.normalize(content) @ F.normalize(content[:N_TRAIN]).T
    adjacency = torch.zeros(N_ITEMS, N_TRAIN)
    for item in range(N_ITEMS):
        others = [(float(cosine[item, j]), j) for j in range(N_TRAIN) if available[j] and j != item]
        chosen = [j for _, j in sorted(others, reverse=True)[: K - 1 if item < N_TRAIN else K]] + ([item] if item < N_TRAIN else [])
        adjacency[item, chosen] = cosine[item, chosen].clamp(min=0)
    degree = adjacency.sum(dim=1)
    root = torch.where(degree > 0, degree.rsqrt(), 0.0)
    return root[:, None] * adjacency * root[:N_TRAIN]


@torch.no_grad()
def _plainly(model, given):
    """Users, items and what modalities see, from whole matrices and the model's weights."""
    content, ids = given.content, model.items.weight
    seen = []
    for m, features in enumerate(content.features):
        mapped = features @ model.maps[m].weight.T + model.maps[m].bias
        raw, learned = (_dense(matrix, content.available[:, m]) for matrix in (features, mapped))
        seen.append((SHARE * raw + (1 - SHARE) * learned) @ ids)
    seen = torch.stack(seen)  # (M, V, D)
    weights = torch.stack([torch.tanh(z @ model.attention[0].weight.T + model.attention[0].bias) @ model.attention[2].weight[0] for z in seen])
    fused = (torch.exp(weights) / torch.exp(weights).sum(dim=0))[..., None].mul(seen).sum(dim=0)
    graph = torch.zeros(N_USERS + N_TRAIN, N_USERS + N_TRAIN)
    graph[given.train[:, 0], N_USERS + given.train[:, 1]] = 1
    graph = graph + graph.T
    degree = graph.sum(dim=1).clamp(min=1)
    graph = graph / (degree[:, None] * degree).sqrt()
    first = torch.cat([model.users.weight, ids])
    users, items = ((first + graph @ first + graph @ graph @ first) / 3).split([N_USERS, N_TRAIN])
    items = torch.cat([items, torch.zeros(N_ITEMS - N_TRAIN, items.shape[1])])
    return users, items + fused / fused.norm(dim=1, keepdim=True).clamp(min=1e-12), seen, fused


def test_scores_are_those_of_a_plain_computation_with_whole_matrices(given, model):
    small_tasks.train(model, given, "micro", epochs=2)
    model.begin_epoch()
    users, items, _, _ = _plainly(model, given)
    torch.testing.assert_close(small_tasks.scores(model), users @ items.T, rtol=1e-4, atol=1e-5)
    assert (users @ items[N_TRAIN:].T).std(dim=1).min() > 0.01


def test_losses_are_those_of_a_plain_computation(given, model):
    batch = _batch()
    users, items, seen, fused = _plainly(model, given)
    u, i, j = users[batch.users], items[batch.positives], items[batch.negatives]
    bpr = -torch.log(torch.sigmoid((u * i).sum(1) - (u * j).sum(1))).mean()
    chosen = sorted(set(batch.positives.tolist()))
    contrast = 0.0
    for z in seen:
        for a in chosen:
            near = [torch.exp(F.cosine_similarity(z[a], fused[b], dim=0) / TEMPERATURE) for b in chosen]
            near += [torch.exp(F.cosine_similarity(z[a], z[b], dim=0) / TEMPERATURE) for b in chosen if b != a]
            contrast -= float(torch.log(near[chosen.index(a)] / sum(near))) / len(chosen)
    norm = (u.square().sum() + i.square().sum() + j.square().sum()) / len(u) / 2
    found = _losses(model, batch)
    torch.testing.assert_close(found.parts["bpr"], bpr)
    torch.testing.assert_close(found.parts["contrast"], torch.tensor(contrast), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.total.detach(), bpr + 0.2 * contrast + 0.05 * norm, rtol=1e-4, atol=1e-4)


def test_learned_graphs_stand_still_within_an_epoch_and_are_made_anew_at_the_next(given, model):
    optimizer = _optimizer(model)
    model.train()
    model.begin_epoch()
    at_first = [model._learned_graph(m).edges for m in range(2)]
    for seed in range(3):
        _step(model, optimizer, _batch(seed=seed))
    assert all(torch.equal(edges.weights, model._learned_graph(m).edges.weights) for m, edges in enumerate(at_first))
    model.begin_epoch()
    assert not any(torch.equal(edges.weights, model._learned_graph(m).edges.weights) for m, edges in enumerate(at_first))


def test_maps_learn_from_the_first_step_of_an_epoch_alone(given, model):
    optimizer = _optimizer(model)
    model.train()
    model.begin_epoch()
    moved = []
    for seed in range(3):
        before = model.maps[0].weight.detach().clone()
        _step(model, optimizer, _batch(seed=seed))
        moved.append(not torch.equal(before, model.maps[0].weight))
    assert moved == [True, False, False]


def test_the_gradient_of_a_map_is_that_of_the_loss(given, model):
    model.train()
    batch, weight = _batch(), model.maps[1].weight
    _losses(model, batch).total.backward()
    whole = []
    for step in (1e-2, -1e-2):
        with torch.no_grad():
            weight[2, 3] += step
        edges = item_graph.weighed(model.maps[1](given.content.features[1][:N_TRAIN]), model._learned_graph(1).edges.far)
        model._learned[1] = (model._learned[1][0], replace(model._learned[1][1], edges=edges))
        whole.append(float(_losses(model, batch).total.detach()))
        with torch.no_grad():
            weight[2, 3] -= step
    assert (whole[0] - whole[1]) / 2e-2 == pytest.approx(float(weight.grad[2, 3]), rel=0.05)
    assert weight.grad[2, 3] != 0


def test_a_training_that_goes_on_in_the_middle_of_an_epoch_has_the_same_numbers_to_the_bit(given, model):
    optimizer = _optimizer(model)
    model.train()
    model.begin_epoch()
    for seed in range(2):
        _step(model, optimizer, _batch(seed=seed))
    other = small_tasks.build("micro", given, seed=9, **CHANGES).train()
    _losses(other, _batch())  # it has graphs of its own by now
    others = _optimizer(other)
    other.load_state_dict(model.state_dict())
    others.parts[0].load_state_dict(deepcopy(optimizer.parts[0].state_dict()))
    for seed in (2, 3):
        assert torch.equal(_step(model, optimizer, _batch(seed=seed)), _step(other, others, _batch(seed=seed)))
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())
    model.begin_epoch()  # planted: a graph of the maps as they are now has other numbers
    assert not torch.equal(small_tasks.scores(model.eval()), small_tasks.scores(other.eval()))


def test_training_goes_on_after_a_ranking_made_the_graphs(given, model):
    scores = small_tasks.scores(model.eval())
    _step(model.train(), _optimizer(model), _batch())
    assert scores.shape == (N_USERS, N_ITEMS)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_new_items_are_linked_to_training_items_and_nothing_to_them(given, model):
    """Two new items with the same content, and nothing else like it: each other they do not see."""
    odd = [torch.eye(matrix.shape[1])[0].expand(2, -1) for matrix in given.content.features]
    changed = small_tasks.with_content(given, torch.tensor([N_TRAIN, N_TRAIN + 1]), odd)
    other = small_tasks.build("micro", changed, **CHANGES)
    other.load_state_dict(model.state_dict())
    rest = [item for item in range(N_ITEMS) if item not in (N_TRAIN, N_TRAIN + 1)]
    everything = torch.arange(N_ITEMS)
    assert torch.equal(model.places(everything)[rest], other.places(everything)[rest])
    items = _plainly(other, changed)[1]
    torch.testing.assert_close(other.places(everything), items, rtol=1e-4, atol=1e-5)
    far = torch.cat([graph.edges.far.flatten() for m in range(2) for graph in (other._raw_graph(m), other._learned_graph(m))])
    assert far.max() < N_TRAIN
    assert not (far.reshape(-1, K)[:, 1:] == BARE[0]).any()  # and nothing to one that lacks everything


def test_without_learned_graphs_content_is_compared_as_it_is(given):
    raw = small_tasks.build("micro", given, **CHANGES | {"raw_share": "1.0"})
    before = small_tasks.scores(raw)
    nn.init.normal_(raw.maps[0].weight)
    raw.begin_epoch()
    assert torch.equal(small_tasks.scores(raw), before)
    assert torch.isfinite(_losses(raw.train(), _batch()).total)


def test_losses_are_the_same_where_half_the_precision_is_asked_for(model):
    plain = _losses(model, _batch()).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(_losses(model, _batch()).total, plain)


def test_rates_shrink_by_four_hundredths_in_fifty_epochs(model):
    assert [model.learning_rate_factor(epoch) for epoch in (1, 51, 101)] == pytest.approx([1, 0.96, 0.96**2])
