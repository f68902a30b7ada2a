"""Full ranking of candidates for many users, in chunks of both, with an explicit tie rule.

Every candidate is scored, none is sampled. Equal scores are ordered by a seeded random permutation of the item ids, the same
for all users, so a model that cannot tell items apart gains nothing from the order they are stored in. The size of the chunks
shapes memory and nothing else.
Shapes: U users with at least one relevant candidate, C candidates, K list length.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain import topk
from milktrain.recommender import Ranker, Scorer
from schemas.errors import BadValue, TrainingDiverged

#: Bytes that the scores of one chunk, and what is made of them, may take; what the model itself takes comes on top.
MEMORY = 128 * 2**20
LEAST_MEMORY = 2**20
TIE_SEED = 20240714
#: Users scored at a time at least, where memory is short; a matrix product of a few rows wastes the machine.
FEWEST_USERS = 64


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked lists against the truth, in main memory.

    Shapes:
        users: (U,) int64, ascending; users without a relevant candidate are left out.
        hits: (U, K) bool.
        n_relevant: (U,) int64, >= 1.
        top: (U, K) int64 item ids, best first; -1 where a user has no unmasked candidate left.
    """

    users: Tensor
    hits: Tensor
    n_relevant: Tensor
    top: Tensor


def rank(
    model: Scorer, *, pairs: Tensor, candidates: Tensor, k: int, tie_seed: int = TIE_SEED, masked: Tensor | None = None, memory: int = MEMORY,
) -> Ranking:  # fmt: skip
    """Rank all candidates for every user that has a relevant one, on the device that the model's scores are on.

    Args:
        model: scores users against items.
        pairs: (n, 2) int64 user, item: what is relevant; the items must be candidates.
        candidates: (C,) int64 distinct item ids.
        k: list length; shortened to C where there are fewer candidates.
        tie_seed: orders equal scores.
        masked: (m, 2) int64 user, item: what may not be in the user's list; pairs of other users or items change nothing.
        memory: bytes for the scores of a chunk.

    Raises:
        BadValue: if k is below 1, nothing is relevant, or memory is below 1 MB.
        TrainingDiverged: if a score is not a number.
    """
    if k < 1 or not len(pairs):
        raise BadValue(f"A ranking needs k >= 1 (it is {k}) and at least one relevant pair (there are {len(pairs)}).")
    if memory < LEAST_MEMORY:
        raise BadValue(f"A ranking needs memory for a chunk of scores: {memory} bytes are given, 1MB is the least.")
    pairs, candidates = pairs.cpu(), candidates.cpu()
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(tie_seed))
    candidates = candidates.sort().values[order]  # column c has tie rank c
    users, row = torch.unique(pairs[:, 0], return_inverse=True)
    truth = _cells(row, pairs[:, 1], candidates)
    assert len(truth) == len(pairs), "a relevant item is no candidate, or twice"
    hidden = _masked_cells(masked, users, candidates)
    k = min(k, len(candidates))
    user_chunks, candidate_chunks = chunks(len(users), len(candidates), cells=memory // topk.BYTES_PER_SCORE)
    with torch.inference_mode():
        rankers = [(part, model.ranker(candidates[part])) for part in candidate_chunks]
        found = [_best(rankers, users, part, k=k, hidden=hidden, n_candidates=len(candidates)).cpu() for part in user_chunks]
    best = torch.cat(found)
    columns = topk.columns_of(best)  # (U, K)
    hits = _among(truth, torch.arange(len(users))[:, None] * len(candidates) + columns)
    top = torch.where(topk.is_minus_infinity(best), -1, candidates[columns]) if len(hidden) else candidates[columns]
    return Ranking(users, hits & (top >= 0), torch.bincount(row, minlength=len(users)), top)


def chunks(n_users: int, n_candidates: int, *, cells: int) -> tuple[list[slice], list[slice]]:
    """Chunks of users and of candidates, even in size, whose product is at most `cells` where it can be."""
    width = min(n_candidates, max(1, cells // FEWEST_USERS))
    by_candidate = _even(n_candidates, width)
    widest = max(part.stop - part.start for part in by_candidate)
    return _even(n_users, max(1, cells // widest)), by_candidate


def _even(n: int, most: int) -> list[slice]:
    # Even, so that no last chunk of one row takes another way through the matrix product, which rounds differently.
    count = -(-n // most)
    edges = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _best(rankers: list[tuple[slice, Ranker]], users: Tensor, part: slice, *, k: int, hidden: Tensor, n_candidates: int) -> Tensor:
    best: Tensor | None = None
    mine = hidden[slice(*torch.searchsorted(hidden, torch.tensor([part.start, part.stop]) * n_candidates).tolist())]
    rows, columns = mine // n_candidates - part.start, mine % n_candidates
    for there, ranker in rankers:
        scores = _checked(ranker(users[part]))
        if len(hidden):
            here = (columns >= there.start) & (columns < there.stop)
            scores = scores.clamp(min=torch.finfo(torch.float32).min)  # so that minus infinity means masked
            scores[rows[here].to(scores.device), columns[here].to(scores.device) - there.start] = -torch.inf
        found = topk.best_keys(scores, k, first=there.start)
        best = found if best is None else topk.merged(best, found, k)
    assert best is not None
    return best


def _checked(scores: Tensor) -> Tensor:
    if bool(scores.sum().isnan()) and bool(scores.isnan().any()):  # a sum is four times as fast as looking at each
        raise TrainingDiverged(
            "The model gave a score that is not a number. Look at the features with `python cli.py check`, or lower learning_rate."
        )
    return scores.float()


def _cells(rows: Tensor, items: Tensor, candidates: Tensor) -> Tensor:
    """Ascending distinct row * C + column of those pairs whose item is a candidate."""
    column = torch.full((int(torch.cat([candidates, items]).max()) + 1,), -1)
    column[candidates] = torch.arange(len(candidates))
    columns = column[items]
    known = columns >= 0
    cells: Tensor = torch.unique(rows[known] * len(candidates) + columns[known])
    return cells


def _masked_cells(masked: Tensor | None, users: Tensor, candidates: Tensor) -> Tensor:
    if masked is None or not len(masked):
        return torch.empty(0, dtype=torch.int64)
    masked = masked.cpu()
    row = torch.searchsorted(users, masked[:, 0].contiguous()).clamp(max=len(users) - 1)
    mine = users[row] == masked[:, 0]
    return _cells(row[mine], masked[mine, 1], candidates)


def _among(values: Tensor, wanted: Tensor) -> Tensor:
    """Which of the wanted are among ascending values."""
    place = torch.searchsorted(values, wanted).clamp(max=len(values) - 1)
    return values[place] == wanted
