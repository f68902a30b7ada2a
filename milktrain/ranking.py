"""Full ranking of candidates for many users, in chunks, with an explicit tie rule.

Every candidate is scored, none is sampled. Equal scores are ordered by a seeded random permutation of the item ids, the same
for all users, so a model that cannot tell items apart gains nothing from the order they are stored in.
Shapes: U users with at least one relevant candidate, C candidates, K list length.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain.recommender import Scorer
from schemas.errors import BadValue, TrainingDiverged

#: Score cells computed at a time: 4 M cells are 16 MB of scores and 32 MB of sort keys.
CELLS_PER_CHUNK = 4_000_000
TIE_SEED = 20240714


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked lists against the truth.

    Shapes:
        users: (U,) int64, ascending; users without a relevant candidate are left out.
        hits: (U, K) bool.
        n_relevant: (U,) int64, >= 1.
        top: (U, K) int64 item ids, best first.
    """

    users: Tensor
    hits: Tensor
    n_relevant: Tensor
    top: Tensor


def rank(model: Scorer, *, pairs: Tensor, candidates: Tensor, k: int, tie_seed: int = TIE_SEED) -> Ranking:
    """Rank all candidates for every user that has a relevant one.

    Args:
        model: scores users against items.
        pairs: (n, 2) int64 user, item: what is relevant; the items must be candidates.
        candidates: (C,) int64 distinct item ids.
        k: list length; shortened to C where there are fewer candidates.
        tie_seed: orders equal scores.

    Raises:
        BadValue: if k is below 1, or nothing is relevant.
        TrainingDiverged: if a score is not a number.
    """
    if k < 1 or not len(pairs):
        raise BadValue(f"A ranking needs k >= 1 (it is {k}) and at least one relevant pair (there are {len(pairs)}).")
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(tie_seed)).to(candidates.device)
    candidates = candidates.sort().values[order]  # column c has tie rank c
    column = torch.full((int(candidates.max()) + 1,), -1, device=candidates.device)
    column[candidates] = torch.arange(len(candidates), device=candidates.device)
    users, row = torch.unique(pairs[:, 0], return_inverse=True)
    row, by_row = row.sort(stable=True)
    columns = column[pairs[by_row, 1]]
    assert int(columns.min()) >= 0, "a relevant item is no candidate"
    k = min(k, len(candidates))
    step = max(1, CELLS_PER_CHUNK // len(candidates))
    hits, tops = [], []
    with torch.inference_mode():
        ranker = model.ranker(candidates)
        for start in range(0, len(users), step):
            chunk = users[start : start + step]
            best = _top_columns(_checked(ranker(chunk)), k)  # (u, k)
            mine = slice(*torch.searchsorted(row, torch.tensor([start, start + len(chunk)], device=row.device)).tolist())
            relevant = torch.zeros(len(chunk), len(candidates), dtype=torch.bool, device=candidates.device)
            relevant[row[mine] - start, columns[mine]] = True
            hits.append(relevant.gather(1, best))
            tops.append(candidates[best])
    return Ranking(users, torch.cat(hits), torch.bincount(row, minlength=len(users)), torch.cat(tops))


def _checked(scores: Tensor) -> Tensor:
    if bool(scores.isnan().any()):
        raise TrainingDiverged(
            "The model gave a score that is not a number. Look at the features with `python cli.py check`, or lower learning_rate."
        )
    return scores.float()


def _top_columns(scores: Tensor, k: int) -> Tensor:
    """Columns of the k best scores, equal scores in column order.

    Scores become integers of the same order (IEEE 754 floats compare like their bits), followed by the negated column, so
    that no two keys are equal and the answer does not depend on how the sort treats ties.
    """
    bits = (scores + 0.0).view(torch.int32).to(torch.int64)  # + 0.0 turns -0.0 into 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    columns = torch.arange(scores.shape[1], device=scores.device)
    keys = (ordered << 32) - columns
    return keys.topk(k, dim=1, sorted=True).indices
