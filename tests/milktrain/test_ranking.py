"""Full ranking: against a plain sort, under ties, and whatever the chunk size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from milktrain import ranking, topk
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
    order = topk.columns_of(topk.best_keys(torch.tensor([values]), 6))[0].tolist()
    assert order == sorted(range(6), key=lambda c: (-values[c], c))


def test_equal_scores_are_ordered_alike_for_all_users_and_by_no_item_id():
    pairs = torch.tensor([[u, 0] for u in range(4)])
    found = ranking.rank(_Table(np.zeros((4, 50))), pairs=pairs, candidates=torch.arange(50), k=50)
    assert (found.top == found.top[0]).all()
    assert found.top[0].tolist() != list(range(50))
    assert sorted(found.top[0].tolist()) == list(range(50))
    again = ranking.rank(_Table(np.zeros((4, 50))), pairs=pairs, candidates=torch.arange(50).flip(0), k=50)
    assert again.top.tolist() == found.top.tolist()


def _plain(table, pairs, candidates, k, masked=()):
    """Lists by sorting (score, tie rank) user by user."""
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(ranking.TIE_SEED)).tolist()
    tie = {sorted(candidates)[item]: place for place, item in enumerate(order)}
    lists = []
    for user in sorted({user for user, _ in pairs}):
        allowed = [item for item in candidates if (user, item) not in masked]
        best = sorted(allowed, key=lambda item: (-table[user][item], tie[item]))[:k]
        lists.append(best + [-1] * (min(k, len(candidates)) - len(best)))
    return lists


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), cells=st.integers(1, 6000), levels=st.integers(1, 40), k=st.integers(1, 9), with_mask=st.booleans())
def test_chunks_of_users_and_candidates_change_nothing_and_ties_go_by_rank(seed, cells, levels, k, with_mask):
    generator = np.random.default_rng(seed)
    n_items = int(generator.integers(1, 900))
    table = generator.integers(-levels, levels, size=(7, n_items)).astype("float32")  # few levels: ties within and across chunks
    pairs = sorted({(int(generator.integers(7)), int(generator.integers(n_items))) for _ in range(9)})
    masked = {(u, i) for u in range(7) for i in range(n_items) if generator.random() < 0.7} - set(pairs) if with_mask else set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "LEAST_MEMORY", 1)
        patch.setattr(ranking, "FEWEST_USERS", 2)
        found = ranking.rank(
            _Table(table), pairs=torch.tensor(pairs), candidates=torch.arange(n_items), k=k, memory=cells * topk.BYTES_PER_SCORE,
            masked=torch.tensor(sorted(masked)) if masked else None,
        )  # fmt: skip
    expected = _plain(table.tolist(), pairs, range(n_items), k, masked)
    assert found.top.tolist() == expected
    users = found.users.tolist()
    assert found.hits.tolist() == [[(user, item) in pairs for item in row] for user, row in zip(users, expected, strict=True)]


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 100_000))
def test_chunks_are_even_cover_all_and_stay_within_memory(n_users, n_candidates, cells):
    for n, parts in zip((n_users, n_candidates), ranking.chunks(n_users, n_candidates, cells=cells), strict=True):
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1
    by_user, by_candidate = ranking.chunks(n_users, n_candidates, cells=cells)
    assert by_user[-1].stop - by_user[-1].start <= max(1, cells // (by_candidate[0].stop - by_candidate[0].start))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
def test_a_gpu_gives_the_order_that_a_processor_gives():
    table = torch.randint(-20, 20, (50, 3000), generator=torch.Generator().manual_seed(0)).float()
    pairs = torch.tensor([[u, u] for u in range(50)])
    masked = torch.tensor([[u, i] for u in range(50) for i in range(100, 200)])
    here, there = _Table(table), _Table(table.cuda())
    places = {torch.device("cpu"): here, torch.device("cuda"): there}
    how = {"pairs": pairs, "candidates": torch.arange(3000), "k": 20, "masked": masked, "memory": 2**20}
    lists = [ranking.rank(model, device=device, **how) for device, model in places.items()]
    assert torch.equal(lists[0].top, lists[1].top)
    assert torch.equal(lists[0].hits, lists[1].hits)


def test_less_memory_than_a_chunk_needs_is_refused():
    with pytest.raises(BadValue, match="1MB is the least"):
        ranking.rank(_Table([[1.0]]), pairs=torch.tensor([[0, 0]]), candidates=torch.arange(1), k=1, memory=1000)


def test_users_without_a_relevant_candidate_are_left_out():
    found = ranking.rank(_Table(np.zeros((4, 3))), pairs=torch.tensor([[3, 0], [1, 2], [3, 1]]), candidates=torch.arange(3), k=10)
    assert found.users.tolist() == [1, 3]
    assert found.n_relevant.tolist() == [1, 2]
    assert found.hits.shape == (2, 3)


def test_a_score_that_is_not_a_number_is_an_error_not_a_rank():
    with pytest.raises(TrainingDiverged, match="not a number"):
        ranking.rank(_Table([[float("nan"), 1.0]]), pairs=torch.tensor([[0, 0]]), candidates=torch.arange(2), k=1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("width", [5, 21, 79, 80, 641, 1279, 1280, 1342, 4606])
def test_a_score_that_is_no_number_is_seen_wherever_it_is(width, sign):
    """In rows that are sorted whole, in those with maxima of blocks, and in columns that are in no block; processors make those of either sign."""
    for column in sorted({0, width // 3, width // 2, width - 2, width - 1}):
        scores = torch.arange(2.0 * width).view(2, width)
        scores[1, column] = torch.tensor(float("nan")).copysign(torch.tensor(sign))
        with pytest.raises(topk.NotANumber):
            topk.best_keys(scores, 20)
    for k in (3, 20):  # without one, infinities of both signs are scores like others
        scores = torch.arange(2.0 * width).view(2, width)
        scores[0, 0], scores[0, -1] = torch.inf, -torch.inf
        assert topk.columns_of(topk.best_keys(scores, k))[0, 0].item() == 0


def test_nothing_relevant_is_refused():
    with pytest.raises(BadValue, match="at least one relevant pair"):
        ranking.rank(_Table([[1.0]]), pairs=torch.empty(0, 2, dtype=torch.int64), candidates=torch.arange(1), k=1)
