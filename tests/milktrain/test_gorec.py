"""GoRec: its objective against computations of its own, and clusters that new items are encoded with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from milktrain import config
from milktrain.models import _batch_norm, _clusters, gorec
from milktrain.recommender import Batch, Collaborative, Content, OwnBatches, Placing, Task

N_USERS = 3
#: Two heaps of content far apart; items 0 to 5 are training items, 6 is new and of the first heap, 7 of the second.
CONTENT = torch.tensor([[0.0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9], [0.4, 0.4], [8.8, 8.8]])
VECTORS = torch.tensor([[1.0, 0, 0], [2, 0, 0], [3, 0, 0], [0, 1, 0], [0, 2, 3], [0, 3, 0], [0, 0, 0], [0, 0, 0]])
IS_TRAIN = torch.arange(8) < 6


def _task(vectors=VECTORS):
    content = Content((CONTENT[:, :1].clone(), CONTENT[:, 1:].clone()), torch.ones(8, 2, dtype=torch.bool), IS_TRAIN)
    return Task(content, N_USERS, torch.tensor([[0, item] for item in range(6)]), Collaborative(torch.eye(3), vectors))


def _model(task=None, **changes):
    small = {"backbone_width": "3", "n_clusters": "2", "dim": "4"} | changes
    return gorec.build(task or _task(), config.load(model="gorec", changes=small), generator=torch.Generator().manual_seed(0))


def _batch(items):
    none = torch.empty(0, dtype=torch.int64)
    return Batch(none, items, none)


def test_a_new_item_is_encoded_with_the_mean_vector_of_the_nearest_cluster_and_a_training_item_with_its_own():
    found = _model().vectors(torch.tensor([6, 7, 4]))
    assert found.tolist() == [[2, 0, 0], [0, 2, 1], [0, 2, 3]]


def test_the_clusters_decide_what_a_new_item_is_decoded_to_and_not_what_training_items_are():
    model = _model().eval()
    before = model.places(torch.arange(8))
    model.cluster_means += 1
    after = model.places(torch.arange(8))
    changed = (before - after).abs().amax(dim=1) > 1e-4
    assert changed.tolist() == [False] * 6 + [True] * 2


def test_vectors_that_someone_left_in_the_rows_of_new_items_are_not_looked_at():
    planted = VECTORS.clone()
    planted[6:] = 50
    assert torch.equal(_model(_task(planted)).eval().places(torch.arange(8)), _model().eval().places(torch.arange(8)))


def test_content_of_new_items_makes_no_cluster():
    task = _task()
    far = tuple(torch.where(IS_TRAIN[:, None], matrix, 1e4) for matrix in task.content.features)
    assert torch.equal(_model(replace(task, content=replace(task.content, features=far))).centres, _model().centres)


def test_a_score_is_the_users_vector_times_what_is_decoded_from_the_posterior_mean():
    model = _model().eval()
    x, e = CONTENT[6:], torch.tensor([[2.0, 0, 0], [0, 2, 1]])

    def squeezed(part, *inputs):
        norm = part.normalised
        hidden = torch.cat(inputs, dim=1) @ part.linear.weight.T
        return torch.tanh((hidden - norm.mean) / (norm.variance + 1e-5).sqrt() * norm.weight + norm.bias)

    mean = (squeezed(model.encode, x, e) @ model.posterior.weight.T + model.posterior.bias)[:, :4]
    first, second = model.out
    decoded = (squeezed(model.decode, x, mean) @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(model.ranker(torch.tensor([6, 7]))(torch.tensor([2, 0])), torch.eye(3)[[2, 0]] @ decoded.T)


def test_the_objective_is_the_error_of_the_vectors_and_what_is_asked_of_the_posterior():
    model = _model(uniformity_weight="0.5", divergence_weight="0.25", content_dropout="0.0").eval()  # running means, so that parts can be asked again
    items = torch.tensor([0, 3, 5, 1])
    found = model.losses(_batch(items), generator=np.random.default_rng(5))
    x, e = CONTENT[items], VECTORS[items]
    mean, log_variance = model.posterior(model.encode(x, e)).chunk(2, dim=1)
    prior_mean, prior_log_variance = (x @ model.prior.weight.T + model.prior.bias).chunk(2, dim=1)
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal((4, 4), dtype=np.float32))
    decoded = model.out(model.decode(x, mean + noise * log_variance.exp().sqrt()))
    apart = kl_divergence(Normal(mean, log_variance.exp().sqrt()), Normal(prior_mean, prior_log_variance.exp().sqrt())).mean()
    pairs = [(a - b).square().sum() for i, a in enumerate(F.normalize(mean)) for b in F.normalize(mean)[:i]]
    spread = torch.stack([(-2 * pair).exp() for pair in pairs]).mean().log()
    expected = (decoded - e).square().mean() + 0.5 * spread + 0.25 * apart
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_content_is_dropped_before_decoding_alone():
    model = _model(content_dropout="0.9").eval()
    found = [model.losses(_batch(torch.arange(6)), generator=np.random.default_rng(seed)).parts for seed in range(3)]
    assert len({parts["uniformity"].item() for parts in found}) == 1
    assert len({parts["divergence"].item() for parts in found}) == 1


@pytest.mark.parametrize(
    ("rows", "expected"), [([[1.0, 0], [-3, 0]], -8.0), ([[1.0, 1], [2, 2]], 0.0), ([[1.0, 0], [0, 5]], -4.0), ([[1.0, 7]], 0.0)],
    ids=["opposite", "one-way", "at-right-angles", "alone"],
)  # fmt: skip
def test_uniformity_by_hand(rows, expected):
    assert gorec.uniformity(torch.tensor(rows)).item() == pytest.approx(expected, abs=1e-5)


def test_the_divergence_of_equal_distributions_is_nothing_and_else_what_torch_has():
    random = torch.Generator().manual_seed(0)
    mean, log_variance, other, other_log_variance = torch.randn(4, 5, 3, generator=random)
    assert gorec.divergence(mean, log_variance, mean, log_variance).item() == 0
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(other, (0.5 * other_log_variance).exp())).mean()
    torch.testing.assert_close(gorec.divergence(mean, log_variance, other, other_log_variance), expected)


def test_an_epoch_has_every_training_item_once_and_no_new_one():
    model = _model()
    assert isinstance(model, OwnBatches)
    assert isinstance(model, Placing)
    batches = model.batches(batch_size=4, generator=torch.Generator().manual_seed(3))
    drawn = [batch.positives for batch in batches.drawn]
    assert [len(part) for part in drawn] == [4, 2]
    assert batches.n == 2
    assert sorted(torch.cat(drawn).tolist()) == [0, 1, 2, 3, 4, 5]
    again = model.batches(batch_size=4, generator=torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b.positives) for a, b in zip(drawn, again.drawn, strict=True))


def test_a_batch_of_one_item_has_a_finite_loss():
    assert torch.isfinite(_model().train().losses(_batch(torch.tensor([2])), generator=np.random.default_rng(0)).total)


def test_there_are_no_more_clusters_than_training_items():
    assert _model(n_clusters="50").centres.shape == (6, 2)


def test_equal_items_make_no_empty_clusters():
    """Three different rows for five clusters: what is left over is a copy, so every centre has the mean of some item's cluster."""
    content = torch.tensor([[0.0, 0], [0, 0], [5, 5], [5, 5], [5, 5], [-7, 0]])
    rows = torch.tensor([[1.0], [3], [6], [6], [9], [-2]])
    centres = _clusters.centroids(content, count=5, generator=torch.Generator().manual_seed(0))
    found = _clusters.means(rows, content, centres)
    assert found[_clusters.nearest(content, centres)].squeeze(1).tolist() == [2, 2, 7, 7, 7, -2]
    assert set(found.squeeze(1).tolist()) == {2, 7, -2}


def test_the_nearest_centre_is_that_of_the_least_distance_however_many_rows_are_asked_for(monkeypatch):
    random = torch.Generator().manual_seed(0)
    rows, centres = torch.randn(50, 4, generator=random), torch.randn(7, 4, generator=random)
    expected = torch.cdist(rows, centres).argmin(dim=1)
    assert torch.equal(_clusters.nearest(rows, centres), expected)
    monkeypatch.setattr(_clusters, "CELLS", 21)
    assert torch.equal(_clusters.nearest(rows, centres), expected)


def test_batch_normalisation_is_that_of_torch_and_one_row_takes_the_running_means():
    ours, theirs = _batch_norm.BatchNorm(3), torch.nn.BatchNorm1d(3)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x, learning=True), theirs(x))
    theirs.eval()
    torch.testing.assert_close(ours(x, learning=False), theirs(x))
    kept = ours.mean.clone()
    torch.testing.assert_close(ours(x[:1], learning=True), theirs(x[:1]))
    assert torch.equal(ours.mean, kept)
