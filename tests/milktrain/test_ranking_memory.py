"""Ranking within given memory: chunks are counted, what they take is counted, and no metric depends on them."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from milktrain import ranking, topk
from milktrain.evaluation import evaluate
from milktrain.oracle import Oracle

MB = 2**20


class _Watched:
    """A model that remembers the shapes of the scores that it was asked for."""

    def __init__(self, users, items):
        self.users, self.items, self.shapes = users, items, []

    def ranker(self, items):
        candidates = self.items[items]

        def scores(users):
            self.shapes.append((len(users), len(candidates)))
            return self.users[users] @ candidates.T

        return scores


class _Live(TorchDispatchMode):
    """Bytes of all tensors that operations made and that are still there, and the most there ever were."""

    def __init__(self):
        super().__init__()
        self.tensors, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                count = self.tensors.setdefault(storage._cdata, [0, storage.nbytes()])
                self.now += 0 if count[0] else count[1]
                count[0] += 1
                weakref.finalize(tensor, self._gone, storage._cdata)
        self.peak = max(self.peak, self.now)
        return made

    def _gone(self, storage):
        count = self.tensors[storage]
        count[0] -= 1
        if not count[0]:
            self.now -= self.tensors.pop(storage)[1]


def _task(n_users, n_items, *, width=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    users, items = (torch.randn(n, width, generator=generator) for n in (n_users, n_items))
    pairs = torch.stack([torch.arange(n_users), torch.randint(n_items, (n_users,), generator=generator)], dim=1)
    return users, items, pairs


@pytest.mark.parametrize("memory", [MB, 3 * MB, 10 * MB])
def test_no_chunk_of_scores_is_larger_than_the_memory_allows(memory):
    users, items, pairs = _task(900, 1100)
    model = _Watched(users, items)
    ranking.rank(model, pairs=pairs, candidates=torch.arange(1100), k=20, memory=memory)
    assert sum(rows * columns for rows, columns in model.shapes) == 900 * 1100
    assert max(rows * columns for rows, columns in model.shapes) * topk.BYTES_PER_SCORE <= memory
    assert len(model.shapes) >= 900 * 1100 * topk.BYTES_PER_SCORE / memory


@pytest.mark.parametrize("size", [(64, 2048, 20), (300, 700, 20), (64, 409, 100), (500, 100, 20), (64, 409, 409)])
@pytest.mark.parametrize("kind", ["all different", "all equal", "few levels", "a crowd at the head"])
def test_what_sifting_takes_is_no_more_than_is_reckoned_for_a_score(kind, size):
    rows, columns, k = size
    scores = {
        "all different": torch.randn(rows, columns),
        "all equal": torch.zeros(rows, columns),
        "few levels": torch.randint(0, 30, (rows, columns)).float(),
        "a crowd at the head": (torch.arange(columns) % max(2, columns // 64) < 20).float().repeat(rows, 1),
    }[kind]
    with _Live() as live:
        topk.best_keys(scores, k)
    assert scores.nbytes < scores.nbytes + live.peak <= topk.BYTES_PER_SCORE * rows * columns


@pytest.mark.parametrize("masked", [False, True])
def test_metrics_and_lists_are_the_same_to_the_bit_whatever_the_memory(masked):
    users, items, pairs = _task(400, 900)
    known = torch.stack([torch.arange(400).repeat(60), torch.randint(900, (24_000,), generator=torch.Generator().manual_seed(1))], dim=1)
    model = Oracle(users, items)
    how = {"pairs": pairs, "candidates": torch.arange(900), "cutoffs": (1, 5, 20), "masked": known if masked else None}
    first, *others = [evaluate(model, memory=memory, **how) for memory in (64 * MB, MB, 2 * MB, 5 * MB)]
    for other in others:
        assert other.means == first.means
        assert other.per_user.equals(first.per_user)
        assert torch.equal(other.lists.top, first.lists.top)


def _expected(scores, pairs, candidates, masked, k):
    """Recall of each user by a plain sort of (score, tie rank)."""
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(ranking.TIE_SEED)).tolist()
    tie = {item: rank for rank, item in enumerate(sorted(candidates)[place] for place in order)}
    found = []
    for user in sorted({user for user, _ in pairs}):
        wanted = {item for who, item in pairs if who == user}
        allowed = [item for item in candidates if (user, item) not in masked]
        found.append(len(wanted & set(sorted(allowed, key=lambda item: (-scores[user][item], tie[item]))[:k])) / len(wanted))
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000), cells=st.integers(1, 4000), share=st.sampled_from([0.05, 0.5, 1.0]), hidden=st.sampled_from([0.0, 0.3, 0.95]))
def test_a_model_of_vectors_is_judged_as_a_plain_sort_judges_it_under_any_candidates_masks_and_chunks(seed, cells, share, hidden):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(20, 400))
    users, items = rng.integers(-2, 3, size=(6, 3)), rng.integers(-2, 3, size=(n_items, 3))  # small integers: exact, and full of ties
    candidates = np.sort(rng.choice(n_items, max(1, int(share * n_items)), replace=False)).tolist()
    pairs = sorted({(int(rng.integers(6)), int(rng.choice(candidates))) for _ in range(10)})
    masked = {(u, i) for u in range(8) for i in range(n_items) if rng.random() < hidden} - set(pairs)  # of users and items not asked for too
    shuffled = rng.permutation(sorted(masked)) if masked else np.empty((0, 2), dtype=int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "LEAST_MEMORY", 1)
        patch.setattr(ranking, "FEWEST_USERS", 2)
        found = evaluate(
            Oracle(torch.from_numpy(users).float(), torch.from_numpy(items).float()), pairs=torch.tensor(pairs), cutoffs=(3,),
            candidates=torch.tensor(candidates), masked=torch.from_numpy(shuffled), memory=cells * topk.BYTES_PER_SCORE,
        )  # fmt: skip
    expected = _expected((users @ items.T).tolist(), pairs, candidates, masked, 3)
    assert found.per_user["recall@3"].to_list() == pytest.approx(expected, abs=1e-6)
    assert found.n_candidates == len(candidates)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
def test_lists_are_made_on_the_gpu_and_come_back():
    users, items, pairs = (tensor.round() if tensor.is_floating_point() else tensor for tensor in _task(300, 5000))
    masked = torch.stack([torch.arange(300).repeat(40), torch.arange(12_000) % 5000], dim=1)
    how = {"pairs": pairs, "candidates": torch.arange(5000), "cutoffs": (10, 20), "masked": masked, "memory": 4 * MB}
    seen = []

    class _Seen(Oracle):
        def ranker(self, candidates):
            scores = super().ranker(candidates)
            return lambda some: seen.append(some.device.type) or scores(some)

    here = evaluate(Oracle(users, items), **how)
    there = evaluate(_Seen(users.cuda(), items.cuda()), device=torch.device("cuda"), **how)
    assert set(seen) == {"cuda"}
    assert there.lists.top.device.type == "cpu"
    assert torch.equal(there.lists.top, here.lists.top)  # integers as floats: no rounding
    assert there.means == here.means
