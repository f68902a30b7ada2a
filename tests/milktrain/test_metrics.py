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
    assert metrics.METRICS[name](hits, n_relevant=n_relevant, k=3).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("k", [0, 4])
def test_a_cutoff_beyond_the_list_is_refused(k):
    with pytest.raises(ShapeError, match="cut-off"):
        metrics.recall_at_k(torch.zeros(1, 3, dtype=torch.bool), n_relevant=torch.tensor([1]), k=k)


def test_counts_for_other_users_are_refused():
    with pytest.raises(ShapeError, match="one a user"):
        metrics.recall_at_k(torch.zeros(2, 3, dtype=torch.bool), n_relevant=torch.tensor([1]), k=1)
