"""Seconds of judging a part of a split, against a plain loop over users and against a faiss flat index, in one run, on generated vectors.

Run: python benchmarks/evaluation.py [--rounds 5] [--processor-time]

With --processor-time the seconds are those of the processor and not of the clock, on one thread: what to look at where others use the machine.

All are given the same vectors of users and items and the same truth. `milktrain` ranks every judged user and measures seven metrics at two
cut-offs, coverage and Gini. The plain loop does, for one user after the other, scores, mask, argsort and the same seven metrics: in torch, as the
model is, and (`plain_numpy`) in numpy, whose sort of a short row is three times as fast. The faiss index searches a list for every user there is,
judged or not, as the authors' evaluation does; then the lists of the judged are measured one after the other. `faiss_search` is the search alone,
which measures nothing. An index knows no mask, so it is left out where training items are masked; and where faiss is not there: it is needed for
nothing else (pip install faiss-cpu).
"""

import argparse
import json
import math
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import torch

from milktrain.evaluation import evaluate
from milktrain.oracle import Oracle

CUTOFFS = (10, 20)
WIDTH = 64


@dataclass(frozen=True)
class Size:
    """A dataset's size: users, items, new items, and of the judged part its users and interactions."""

    users: int
    items: int
    new: int
    judged: int
    relevant: int


#: Validation and test items together are candidates; judged users and interactions are those of the real test parts.
SIZES = {
    "short videos": Size(users=9308, items=6710, new=1342, judged=2960, relevant=7200),
    "clothing": Size(users=39387, items=23033, new=4606, judged=19858, relevant=27800),
}


@dataclass(frozen=True)
class Task:
    """Vectors (U, D) and (V, D), candidates (C,), what is relevant (n, 2) and what is masked (m, 2)."""

    users: np.ndarray
    items: np.ndarray
    candidates: np.ndarray
    pairs: np.ndarray
    masked: np.ndarray | None


def generated(size: Size, *, every_item: bool, seed: int = 0) -> Task:
    """A task of that size: new items alone are candidates, or every item with the training items masked, for a fifth of the users."""
    if every_item:
        size = replace(size, judged=size.judged // 5, relevant=size.relevant // 5)
    rng = np.random.default_rng(seed)
    users, items = (rng.normal(size=(n, WIDTH)).astype("float32") for n in (size.users, size.items))
    new = np.sort(rng.permutation(size.items)[: size.new])
    test = np.sort(rng.permutation(new)[: size.new // 2])
    judged = rng.permutation(size.users)[: size.judged]
    owners = np.concatenate([judged, rng.choice(judged, size.relevant - size.judged)])
    pairs = np.unique(np.stack([owners, rng.choice(test, size.relevant)], 1), axis=0)
    if not every_item:
        return Task(users, items, new, pairs, None)
    known = np.setdiff1d(np.arange(size.items), new)
    masked = np.unique(np.stack([rng.integers(size.users, size=size.users * 6), rng.choice(known, size.users * 6)], 1), axis=0)
    return Task(users, items, np.arange(size.items), pairs, masked)


def ours(task: Task) -> float:
    """Recall@20 by the library."""
    masked = None if task.masked is None else torch.from_numpy(task.masked)
    model = Oracle(torch.from_numpy(task.users), torch.from_numpy(task.items))
    found = evaluate(model, pairs=torch.from_numpy(task.pairs), candidates=torch.from_numpy(task.candidates), cutoffs=CUTOFFS, masked=masked)
    return found.means["recall@20"]


def plain(task: Task) -> float:
    """Recall@20 by a loop over users, in torch, that also measures what else there is to measure of a list."""
    relevant, seen, place = _sets(task.pairs), _sets(task.masked), _places(task)
    users, vectors, candidates = (torch.from_numpy(array) for array in (task.users, task.items[task.candidates], task.candidates))
    totals = _Totals()
    for user, wanted in relevant.items():
        scores = vectors @ users[user]
        scores[[place[item] for item in seen.get(user, ())]] = -torch.inf
        totals.add(candidates[torch.argsort(scores, descending=True)[: max(CUTOFFS)]].tolist(), wanted)
    return totals.sums["recall", 20] / len(relevant)


def plain_numpy(task: Task) -> float:
    """The same in numpy."""
    relevant, seen, place = _sets(task.pairs), _sets(task.masked), _places(task)
    vectors, totals = task.items[task.candidates], _Totals()
    for user, wanted in relevant.items():
        scores = vectors @ task.users[user]
        scores[[place[item] for item in seen.get(user, ())]] = -np.inf
        totals.add(task.candidates[np.argsort(-scores)[: max(CUTOFFS)]].tolist(), wanted)
    return totals.sums["recall", 20] / len(relevant)


def faiss_all(task: Task) -> float:
    """Recall@20 by lists of an index for all users, and a loop over those that are judged."""
    lists, totals, relevant = faiss_search(task), _Totals(), _sets(task.pairs)
    for user, wanted in relevant.items():
        totals.add(task.candidates[lists[user]].tolist(), wanted)
    return totals.sums["recall", 20] / len(relevant)


def faiss_search(task: Task) -> np.ndarray:
    """Lists of a flat inner-product index for all users."""
    import faiss

    index = faiss.IndexFlatIP(WIDTH)
    index.add(task.items[task.candidates])
    lists: np.ndarray = index.search(task.users, max(CUTOFFS))[1]
    return lists


class _Totals:
    """Sums over users of seven metrics at each cut-off."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, int], float] = defaultdict(float)

    def add(self, ranked: list[int], wanted: set[int]) -> None:
        for k in CUTOFFS:
            ranks = [rank for rank, item in enumerate(ranked[:k], start=1) if item in wanted]
            most = min(k, len(wanted))
            self.sums["recall", k] += len(ranks) / len(wanted)
            self.sums["hr", k] += len(ranks) / most
            self.sums["hit", k] += bool(ranks)
            self.sums["precision", k] += len(ranks) / k
            self.sums["mrr", k] += 1 / ranks[0] if ranks else 0.0
            self.sums["map", k] += sum(found / rank for found, rank in enumerate(ranks, start=1)) / most
            self.sums["ndcg", k] += sum(1 / math.log2(rank + 1) for rank in ranks) / sum(1 / math.log2(rank + 1) for rank in range(1, most + 1))


def _sets(pairs: np.ndarray | None) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for user, item in pairs.tolist() if pairs is not None else []:
        found.setdefault(user, set()).add(item)
    return found


def _places(task: Task) -> dict[int, int]:
    return {item: column for column, item in enumerate(task.candidates.tolist())}


def one_thread() -> None:
    """Let neither torch nor the index use more."""
    torch.set_num_threads(1)
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)


def measure(task: Task, *, rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each way over alternating rounds, and how many times as long as `milktrain` each took in its round."""
    ways: dict[str, Callable[[Task], object]] = {"milktrain": ours, "plain": plain, "plain_numpy": plain_numpy}
    if find_spec("faiss") and task.masked is None:
        ways |= {"faiss": faiss_all, "faiss_search": faiss_search}
    found = [answer for answer in (way(task) for way in ways.values()) if isinstance(answer, float)]  # which also warms up
    assert max(found) - min(found) < 1e-5, "the ways disagree"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clock()
            way(task)
            seconds[name].append(clock() - started)
    times = {
        f"{name}_times": round(statistics.median(a / b for a, b in zip(taken, seconds["milktrain"], strict=True)), 2)
        for name, taken in seconds.items()
        if name != "milktrain"
    }
    return {name: round(statistics.median(taken), 4) for name, taken in seconds.items()} | times


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    asked = parser.parse_args()
    how = {"rounds": asked.rounds, "clock": time.process_time if asked.processor_time else time.perf_counter}
    if asked.processor_time:
        one_thread()
    for name, size in SIZES.items():
        for every_item in (False, True):
            found = measure(generated(size, every_item=every_item), **how)
            print(json.dumps({"benchmark": "evaluation", "size": name, "candidates": "all items" if every_item else "new items"} | found), flush=True)
    print(json.dumps({"benchmark": "evaluation", "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
