"""How much of a run's recall is left if everybody is given one list: that of the mean user. And what the best list for everybody would have.

Run: python benchmarks/one_order.py --store tiktok.duckdb runs/ftmt-0-duif-default-6340d466 ...
The mean user scores an item by the mean of all users' scores. The best list holds the items that are wanted most in the part itself, which
nobody can know beforehand: a bound. Recall@20, a JSON line each run and part.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from milktrain import protocol
from milktrain.evaluation import evaluate
from milktrain.recommender import Ranker, Scorer
from milktrain.using.trained import Ready, open_run
from schemas.contracts import Part

METRIC, CUTOFF = "recall@20", 20
#: Users scored at a time.
CHUNK = 1024


class OneList:
    """The same scores for every user.

    Args:
        scores: (C,) of (C,) items.
    """

    def __init__(self, scores: Callable[[Tensor], Tensor]) -> None:
        self._scores = scores

    def ranker(self, items: Tensor) -> Ranker:
        """One row, for everybody."""
        found = self._scores(items)
        return lambda users: found.expand(len(users), -1)


def of_mean_user(model: Scorer, *, n_users: int) -> OneList:
    """The list of the mean user of a model."""

    def scores(items: Tensor) -> Tensor:
        rank, total = model.ranker(items), torch.zeros(len(items), dtype=torch.float64)
        for users in torch.arange(n_users).split(CHUNK):
            total += rank(users).double().sum(dim=0)
        return (total / n_users).float()

    return OneList(scores)


def wanted_most(wanted: Tensor, *, n_items: int) -> OneList:
    """The list of what is wanted most.

    Args:
        wanted: (n, 2) int64 user, item.
        n_items: V.
    """
    counts = torch.bincount(wanted[:, 1], minlength=n_items).float()
    return OneList(lambda items: counts[items])


def measure(ready: Ready, part: Part) -> dict[str, float]:
    """Recall@20 of a run's own lists, of the mean user's, and of the best one for everybody."""
    data = ready.data
    pool, pairs = protocol.pool(data, part), data.pairs[part]
    lists: dict[str, Scorer] = {
        "own": ready.model,
        "mean_user": of_mean_user(ready.model, n_users=data.n_users),
        "best_for_all": wanted_most(pairs, n_items=data.n_items),
    }
    return {
        name: evaluate(model, pairs=pairs, candidates=pool.candidates, masked=pool.masked, cutoffs=[CUTOFF]).means[METRIC]
        for name, model in lists.items()
    }


def main() -> None:
    """Measure the runs that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("runs", nargs="+")
    asked = parser.parse_args()
    for run in asked.runs:
        trained = open_run(run, store=asked.store)
        ready = trained.ready(trained.data())
        if isinstance(ready.model, nn.Module):
            ready.model.eval()
        with torch.inference_mode():
            for part in (Part.VAL, Part.TEST):
                print(json.dumps({"run": Path(run).name, "part": part.value, "metric": METRIC} | measure(ready, part)), flush=True)


if __name__ == "__main__":
    main()
