"""Content popularity against a regression solved otherwise, and on items whose demand follows from their content."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from milktrain import config
from milktrain.models.content_popularity import ContentPopularity
from milktrain.recommender import Content
from schemas.errors import BadValue

WIDTHS, N_TRAIN, N_ITEMS = (3, 4), 60, 80
NEW = torch.arange(N_TRAIN, N_ITEMS)


def _content(generator):
    features = tuple(torch.from_numpy(generator.normal(size=(N_ITEMS, width)).astype(np.float32)) for width in WIDTHS)
    return Content(features, torch.ones(N_ITEMS, len(WIDTHS), dtype=torch.bool), torch.arange(N_ITEMS) < N_TRAIN)


def _interactions(counts):
    """Each item as often as it says, by users who are nobody in particular."""
    items = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return torch.stack([torch.arange(len(items)) % 7, items], dim=1)


def test_it_is_the_ridge_regression_of_counts_on_content():
    content, counts = _content(np.random.default_rng(0)), torch.from_numpy(np.random.default_rng(1).integers(1, 30, N_TRAIN))
    found = ContentPopularity(content, _interactions(counts), strength=0.5).ranker(NEW)(torch.tensor([0]))[0]
    x = torch.cat(content.features, dim=1).double().numpy()
    centred = x[:N_TRAIN] - x[:N_TRAIN].mean(axis=0)
    reference = Ridge(alpha=0.5 * np.square(centred).sum(axis=0).mean(), solver="svd").fit(x[:N_TRAIN], counts.numpy())
    assert found.numpy() == pytest.approx(reference.predict(x[N_TRAIN:]), rel=1e-4)


def test_demand_that_follows_from_content_is_known_of_new_items():
    content = _content(np.random.default_rng(2))
    demand = 50 + 12 * content.features[1][:, 2]
    counts = demand[:N_TRAIN].round().long().clamp(min=1)
    found = ContentPopularity(content, _interactions(counts), strength=1e-6).ranker(NEW)(torch.tensor([3]))[0]
    assert (found - demand[NEW]).abs().max() < 1.5
    assert torch.corrcoef(torch.stack([found, demand[NEW]]))[0, 1] > 0.999


def test_everybody_has_the_same_list():
    content = _content(np.random.default_rng(3))
    rank = ContentPopularity(content, _interactions(torch.arange(1, N_TRAIN + 1)), strength=0.1).ranker(NEW)
    scores = rank(torch.arange(7))
    assert scores.shape == (7, len(NEW))
    assert torch.equal(scores, scores[:1].expand(7, -1))
    assert len(scores[0].unique()) == len(NEW)


def test_where_content_says_nothing_all_items_score_the_mean():
    same = Content((torch.ones(N_ITEMS, 2),), torch.ones(N_ITEMS, 1, dtype=torch.bool), torch.arange(N_ITEMS) < N_TRAIN)
    found = ContentPopularity(same, _interactions(torch.tensor([3] * 30 + [5] * 30)), strength=0.1).ranker(NEW)(torch.tensor([0]))
    assert found.tolist() == [[4.0] * len(NEW)]


def test_a_training_item_that_nobody_interacted_with_teaches_nothing():
    content, counts = _content(np.random.default_rng(4)), torch.from_numpy(np.random.default_rng(5).integers(1, 9, N_TRAIN))
    counts[7] = 0
    before = ContentPopularity(content, _interactions(counts), strength=0.1).ranker(NEW)(torch.tensor([0]))
    content.features[0][7] = 1000.0
    assert torch.equal(ContentPopularity(content, _interactions(counts), strength=0.1).ranker(NEW)(torch.tensor([0])), before)


def test_no_penalty_at_all_is_refused():
    with pytest.raises(BadValue, match="strength: Input should be greater than or equal to"):
        config.load(model="content-popularity", changes={"strength": "0"})
