"""Judging a model on one part of a split: metrics per user, their means, and what is measured of all lists together.

Which candidates there are and what is masked is a profile's choice, see `protocol`; users without a relevant candidate are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from milktrain import metrics, ranking
from milktrain.recommender import Scorer


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one model on one part.

    Args:
        per_user: `user_idx`, `n_relevant`, and a Float32 column `<metric>@<k>` each.
        means: mean over the users of each metric, and of all lists together `coverage@<k>` and `gini@<k>`.
        n_candidates: items that were ranked.
        lists: what was measured.
    """

    per_user: pl.DataFrame
    means: dict[str, float]
    n_candidates: int
    lists: ranking.Ranking


def evaluate(
    model: Scorer, *, pairs: Tensor, candidates: Tensor, cutoffs: Sequence[int], masked: Tensor | None = None, memory: int = ranking.MEMORY,
    device: torch.device = ranking.PROCESSOR,
) -> Evaluation:  # fmt: skip
    """Rank all candidates for every user with a relevant one, and measure the lists.

    Args:
        model: scores users against items.
        pairs: (n, 2) int64 user, item: what is relevant.
        candidates: (C,) int64 item ids.
        cutoffs: list lengths; a list of all candidates stands in for a longer one.
        masked: (m, 2) int64 user, item: what may not be in the user's list.
        memory: bytes for the scores of a chunk; it changes no metric.
        device: where the model lies, and lists are made.
    """
    ranked = ranking.rank(model, pairs=pairs, candidates=candidates, k=max(cutoffs), masked=masked, memory=memory, device=device)
    columns = {"user_idx": ranked.users.numpy(), "n_relevant": ranked.n_relevant.numpy()}
    for k in sorted(cutoffs):
        for name, measure in metrics.METRICS.items():
            columns[f"{name}@{k}"] = measure(ranked.hits, n_relevant=ranked.n_relevant, k=min(k, ranked.hits.shape[1])).numpy()
    per_user = pl.DataFrame(columns)
    names = per_user.columns[2:]
    means = per_user.select(pl.col(name).cast(pl.Float64).mean() for name in names).row(0)
    of_lists = {
        f"{name}@{k}": measure(ranked.top, n_candidates=len(candidates), k=k) for k in sorted(cutoffs) for name, measure in metrics.OF_LISTS.items()
    }
    return Evaluation(per_user, dict(zip(names, means, strict=True)) | of_lists, len(candidates), ranked)
