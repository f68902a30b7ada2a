"""Results by group: how many modalities the relevant items miss, which they miss, and how active the users are.

Lists are those of the whole evaluation: nothing is ranked anew, and items of other groups keep their places. A user counts in a group
of items with the relevant items of that group alone, and only where there is one; so recall is the share of those that the list holds.
A user counts in one group of users, with all relevant items. Docs: `docs/evaluation.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from milktrain import metrics
from milktrain.bundle import Bundle
from milktrain.ranking import Ranking
from schemas.contracts import Part

#: Groups of users by their training interactions.
N_BINS = 3


@dataclass(frozen=True, slots=True)
class _Group:
    """One group. Shapes: items (V,) bool or None for all; users (U,) bool over the judged, or None for all."""

    by: str
    name: str
    items: Tensor | None = None
    users: Tensor | None = None
    least: int | None = None
    most: int | None = None


def frame(data: Bundle, part: Part, lists: Ranking, *, cutoffs: Sequence[int]) -> pl.DataFrame:
    """Metrics of one part by group.

    Args:
        data: the split; what an item misses is what its vectors lack or the split takes away, of the modalities in use.
        part: the one that was judged.
        lists: of its users, `Evaluation.lists`.
        cutoffs: list lengths, as judged.

    Returns:
        A row a group: `part`; `by`: `all`, `n_missing`, `missing` (which modalities, `none` where nothing is) or `user_interactions`;
        `group`; `least` and `most` training interactions of its users, null for groups of items; `n_users`, who have a relevant item in
        it; `n_items` and `n_relevant`, items and interactions that are relevant in it; a Float64 mean over those users, `<metric>@<k>`,
        of each metric. A group that nobody has a relevant item of has no row.
    """
    pairs = data.pairs[part]
    row = torch.searchsorted(lists.users, pairs[:, 0].contiguous())
    activity = torch.bincount(data.pairs[Part.TRAIN][:, 0], minlength=data.n_users)[lists.users]  # (U,)
    groups = [_Group("all", "all"), *_by_missing(data), *_by_activity(activity)]
    rows = [_measured(group, lists, row=row, item=pairs[:, 1], cutoffs=cutoffs) for group in groups]
    kept = [{"part": part.value} | found for found in rows if found]
    return pl.DataFrame(kept, schema_overrides={"least": pl.Int64, "most": pl.Int64})


def _by_missing(data: Bundle) -> list[_Group]:
    missing = ~data.available  # (V, M)
    count = missing.sum(dim=1)
    by_count = [_Group("n_missing", str(n), items=count == n) for n in range(missing.shape[1] + 1)]
    patterns = torch.unique(missing, dim=0)
    patterns = patterns[torch.argsort(patterns.sum(dim=1), stable=True)]
    names = [",".join(name for name, gone in zip(data.modalities, row, strict=True) if gone) or "none" for row in patterns.tolist()]
    by_which = [_Group("missing", name, items=(missing == row).all(dim=1)) for name, row in zip(names, patterns, strict=True)]
    return [*by_count, *by_which]


def _by_activity(activity: Tensor) -> list[_Group]:
    """Thirds of the judged users by their training interactions; users with as many are never parted, so thirds can be uneven, or fewer."""
    ordered = activity.sort().values
    last = [int(ordered[-(-len(ordered) * (i + 1) // N_BINS) - 1]) for i in range(N_BINS)]  # the most of the i-th third
    groups, below = [], -1
    for most in sorted(set(last)):
        inside = (activity > below) & (activity <= most)
        least = int(activity[inside].min())
        groups.append(_Group("user_interactions", str(most) if least == most else f"{least}-{most}", users=inside, least=least, most=most))
        below = most
    return groups


def _measured(group: _Group, lists: Ranking, *, row: Tensor, item: Tensor, cutoffs: Sequence[int]) -> dict[str, object] | None:
    chosen = torch.ones(len(item), dtype=torch.bool) if group.items is None else group.items[item]
    hits = lists.hits if group.items is None else lists.hits & group.items[lists.top.clamp(min=0)]  # -1 is no hit in any case
    n_relevant = torch.bincount(row[chosen], minlength=len(lists.users))
    counted = n_relevant > 0 if group.users is None else (n_relevant > 0) & group.users
    if not bool(counted.any()):
        return None
    hits, relevant = hits[counted], n_relevant[counted]
    found: dict[str, object] = {
        "by": group.by,
        "group": group.name,
        "least": group.least,
        "most": group.most,
        "n_users": int(counted.sum()),
        "n_items": len(torch.unique(item[chosen & counted[row]])),
        "n_relevant": int(relevant.sum()),
    }
    for k in sorted(cutoffs):
        for name, measure in metrics.METRICS.items():
            found[f"{name}@{k}"] = float(measure(hits, n_relevant=relevant, k=min(k, hits.shape[1])).double().mean())
    return found
