"""Judging a model on one part of a split: metrics per user, and their means.

Candidates are all new items, validation and test together, as in the authors' code; users without a relevant candidate are
left out. Both facts travel with every result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from torch import Tensor

from milktrain import metrics, ranking
from milktrain.recommender import Scorer

#: What every result says about how it came about.
PROTOCOL = {
    "candidates": "all new items (validation and test together)",
    "masked": "nothing: new items have no training interactions",
    "ties": f"random order of ids, seed {ranking.TIE_SEED}, the same for all users",
    "users": "users with at least one relevant candidate",
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one model on one part.

    Args:
        per_user: `user_idx`, `n_relevant`, and a Float32 column `<metric>@<k>` each.
        means: mean over the users of each metric.
    """

    per_user: pl.DataFrame
    means: dict[str, float]


def evaluate(model: Scorer, *, pairs: Tensor, candidates: Tensor, cutoffs: Sequence[int]) -> Evaluation:
    """Rank all candidates for every user with a relevant one, and measure the lists.

    Args:
        model: scores users against items.
        pairs: (n, 2) int64 user, item: what is relevant.
        candidates: (C,) int64 item ids.
        cutoffs: list lengths; a list of all candidates stands in for a longer one.
    """
    ranked = ranking.rank(model, pairs=pairs, candidates=candidates, k=max(cutoffs))
    columns = {"user_idx": ranked.users.numpy(), "n_relevant": ranked.n_relevant.numpy()}
    for k in sorted(cutoffs):
        for name, measure in metrics.METRICS.items():
            columns[f"{name}@{k}"] = measure(ranked.hits, n_relevant=ranked.n_relevant, k=min(k, ranked.hits.shape[1])).numpy()
    per_user = pl.DataFrame(columns)
    names = per_user.columns[2:]
    means = per_user.select(pl.col(name).cast(pl.Float64).mean() for name in names).row(0)
    return Evaluation(per_user, dict(zip(names, means, strict=True)))
