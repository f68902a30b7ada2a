"""Full ranking: against a plain sort, under ties, and whatever the chunk size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from milktrain import ranking
from schemas.errors import BadValue, TrainingDiverged


class _Table:
    """Scores looked up in a matrix."""

    def __init__(self, scores):
        self.table = torch.as_tensor(scores, dtype=torch.float32)

    def ranker(self, items):
        return lambda users: self.table[users][:, items]


@settings(max_examples=60)
@given(st.integers(0, 100_000))
def test_the_order_is_that_of_a_plain_sort(seed):
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(5, 12)).astype("float32")
    candidates = np.sort(generator.choice(12, 9, replace=False))
    pairs = np.array([(u, candidates[u]) for u in range(5)])
    found = ranking.rank(_Table(table), pairs=torch.from_numpy(pairs), candidates=torch.from_numpy(candidates), k=4)
    expected = candidates[np.argsort(-table[:, candidates], axis=1)[:, :4]]
    assert found.top.tolist() == expected.tolist()
    assert found.hits.tolist() == (expected == pairs[:, 1:]).tolist()


@settings(max_examples=40)
@given(st.lists(st.sampled_from([-np.inf, -2.5, -0.0, 0.0, 1e-30, -1e-30, 3.0, np.inf]), min_size=6, max_size=6))
def test_integer_keys_order_floats_as_floats(values):
    order = ranking._top_columns(torch.tensor([values]), 6)[0].tolist()
    assert order == sorted(range(6), key=lambda c: (-values[c], c))


def test_equal_scores_are_ordered_alike_for_all_users_and_by_no_item_id():
    pairs = torch.tensor([[u, 0] for u in range(4)])
    found = ranking.rank(_Table(np.zeros((4, 50))), pairs=pairs, candidates=torch.arange(50), k=50)
    assert (found.top == found.top[0]).all()
    assert found.top[0].tolist() != list(range(50))
    assert sorted(found.top[0].tolist()) == list(range(50))
    again = ranking.rank(_Table(np.zeros((4, 50))), pairs=pairs, candidates=torch.arange(50).flip(0), k=50)
    assert again.top.tolist() == found.top.tolist()


def test_chunks_change_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    table = generator.normal(size=(23, 17)).round(1)  # rounding makes ties
    pairs = torch.tensor([(u, i) for u in range(23) for i in range(u % 17, 17, 5)])
    whole = ranking.rank(_Table(table), pairs=pairs, candidates=torch.arange(17), k=6)
    monkeypatch.setattr(ranking, "CELLS_PER_CHUNK", 40)
    chunked = ranking.rank(_Table(table), pairs=pairs, candidates=torch.arange(17), k=6)
    for name in ("users", "hits", "n_relevant", "top"):
        assert torch.equal(getattr(whole, name), getattr(chunked, name))


def test_users_without_a_relevant_candidate_are_left_out():
    found = ranking.rank(_Table(np.zeros((4, 3))), pairs=torch.tensor([[3, 0], [1, 2], [3, 1]]), candidates=torch.arange(3), k=10)
    assert found.users.tolist() == [1, 3]
    assert found.n_relevant.tolist() == [1, 2]
    assert found.hits.shape == (2, 3)


def test_a_score_that_is_not_a_number_is_an_error_not_a_rank():
    with pytest.raises(TrainingDiverged, match="not a number"):
        ranking.rank(_Table([[float("nan"), 1.0]]), pairs=torch.tensor([[0, 0]]), candidates=torch.arange(2), k=1)


def test_nothing_relevant_is_refused():
    with pytest.raises(BadValue, match="at least one relevant pair"):
        ranking.rank(_Table([[1.0]]), pairs=torch.empty(0, 2, dtype=torch.int64), candidates=torch.arange(1), k=1)
