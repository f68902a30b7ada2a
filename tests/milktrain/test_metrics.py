"""Metrics against scikit-learn and hand-worked lists."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from milktrain import metrics
from schemas.errors import ShapeError


def test_ndcg_of_a_single_hit_at_rank_two_is_one_over_log2_three():
    found = metrics.ndcg_at_k(torch.tensor([[False, True, False]]), n_relevant=torch.tensor([1]), k=3)
    assert found.item() == pytest.approx(1 / math.log2(3))


def test_recall_counts_relevant_items_beyond_the_list_and_the_capped_rate_does_not():
    hits, n_relevant = torch.tensor([[True, False]]), torch.tensor([5])
    assert metrics.recall_at_k(hits, n_relevant=n_relevant, k=2).item() == pytest.approx(1 / 5)
    assert metrics.capped_hit_rate_at_k(hits, n_relevant=n_relevant, k=2).item() == pytest.approx(1 / 2)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_ndcg_agrees_with_scikit_learn(seed, n):
    generator = np.random.default_rng(seed)
    relevant = generator.random(n) < 0.4
    relevant[generator.integers(n)] = True
    scores = generator.permutation(n).astype(float)
    k = int(generator.integers(1, n + 1))
    hits = torch.from_numpy(relevant[np.argsort(-scores)])[None]
    ours = metrics.ndcg_at_k(hits, n_relevant=torch.tensor([int(relevant.sum())]), k=k).item()
    assert ours == pytest.approx(ndcg_score(relevant[None].astype(int), scores[None], k=k), abs=1e-6)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_perfect_list_scores_one_and_an_empty_one_zero(name):
    n_relevant = torch.tensor([2, 2])
    hits = torch.tensor([[True, True, False], [False, False, False]])
    best = 2 / 3 if name == "precision" else 1.0  # two of three places are the most there can be
    assert metrics.METRICS[name](hits, n_relevant=n_relevant, k=3).tolist() == pytest.approx([best, 0.0])


def test_each_metric_of_a_list_worked_by_hand():
    hits, n_relevant = torch.tensor([[False, True, False, True, True]]), torch.tensor([6])
    found = {name: measure(hits, n_relevant=n_relevant, k=4).item() for name, measure in metrics.METRICS.items()}
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(5), 1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    # The hit at rank 5 is beyond the cut-off; precision at the hits is 1/2 and 2/4; four of the six could stand in the list.
    expected = {"recall": 2 / 6, "ndcg": gain / ideal, "hr": 2 / 4, "hit": 1, "precision": 2 / 4, "map": (1 / 2 + 2 / 4) / 4, "mrr": 1 / 2}
    assert found == pytest.approx(expected)


def _plain(row, n_relevant, k):
    """The definitions, place by place."""
    places = [r + 1 for r, hit in enumerate(row[:k]) if hit]
    most = min(k, n_relevant)
    return {
        "recall": len(places) / n_relevant,
        "ndcg": sum(1 / math.log2(r + 1) for r in places) / sum(1 / math.log2(r + 1) for r in range(1, most + 1)),
        "hr": len(places) / most,
        "hit": float(bool(places)),
        "precision": len(places) / k,
        "map": sum((i + 1) / r for i, r in enumerate(places)) / most,
        "mrr": 1 / places[0] if places else 0.0,
    }


@given(st.lists(st.booleans(), min_size=1, max_size=15), st.integers(0, 9), st.data())
def test_every_metric_is_what_a_plain_reading_of_its_definition_gives(row, beyond, data):
    k, n_relevant = data.draw(st.integers(1, len(row))), max(1, sum(row) + beyond)
    found = {name: measure(torch.tensor([row]), n_relevant=torch.tensor([n_relevant]), k=k).item() for name, measure in metrics.METRICS.items()}
    assert found == pytest.approx(_plain(row, n_relevant, k), abs=1e-6)


def test_coverage_and_gini_of_lists_worked_by_hand():
    top = torch.tensor([[4, 7, 9], [4, 9, -1], [4, -1, -1]])
    # Of five candidates three are shown within two places: 4 in three lists, 7 and 9 in one each: 0 0 1 1 3.
    assert metrics.coverage_at_k(top, n_candidates=5, k=2) == pytest.approx(3 / 5)
    assert metrics.gini_at_k(top, n_candidates=5, k=2) == pytest.approx((0 * 1 + 2 * 1 + 4 * 3) / (5 * 5))
    assert metrics.gini_at_k(torch.tensor([[0, 1], [1, 0]]), n_candidates=2, k=2) == 0
    assert metrics.gini_at_k(torch.tensor([[-1]]), n_candidates=2, k=1) == 0


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 12))
def test_gini_is_half_the_relative_mean_difference(seed, n_users, n_candidates):
    generator = np.random.default_rng(seed)
    top = np.stack([generator.permutation(n_candidates)[:3] for _ in range(n_users)])
    counts = [int((top == item).sum()) for item in range(n_candidates)]
    difference = sum(abs(a - b) for a in counts for b in counts) / n_candidates**2
    expected = difference / (2 * sum(counts) / n_candidates)
    k = top.shape[1]
    assert metrics.gini_at_k(torch.from_numpy(top), n_candidates=n_candidates, k=k) == pytest.approx(expected, abs=1e-12)
    assert metrics.coverage_at_k(torch.from_numpy(top), n_candidates=n_candidates, k=k) == sum(c > 0 for c in counts) / n_candidates


@pytest.mark.parametrize("k", [0, 4])
def test_a_cutoff_beyond_the_list_is_refused(k):
    with pytest.raises(ShapeError, match="cut-off"):
        metrics.recall_at_k(torch.zeros(1, 3, dtype=torch.bool), n_relevant=torch.tensor([1]), k=k)


def test_counts_for_other_users_are_refused():
    with pytest.raises(ShapeError, match="one a user"):
        metrics.recall_at_k(torch.zeros(2, 3, dtype=torch.bool), n_relevant=torch.tensor([1]), k=1)
