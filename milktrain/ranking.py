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
from milktrain.recommender import Scorer
from schemas import allocator
from schemas.errors import BadValue, TrainingDiverged

#: Bytes that the scores of one chunk, and what is made of them, may take; what the model itself takes comes on top.
MEMORY = 128 * 2**20
LEAST_MEMORY = 2**20
PROCESSOR = torch.device("cpu")
TIE_SEED = 20240714
#: Scores of a chunk on a processor, however much memory there is: 8 MB stay near it while they are sifted.
CELLS_IN_CACHE = 2**21
#: List places compared with relevant items at a time.
COMPARED = 2**20
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


def check_memory(memory: int) -> None:
    """Refuse too little memory for a chunk of scores before any work is done.

    Raises:
        BadValue: if it is below 1 MB.
    """
    if memory < LEAST_MEMORY:
        raise BadValue(f"A ranking needs memory for a chunk of scores: {memory} bytes are given, 1MB is the least.")


def rank(
    model: Scorer, *, pairs: Tensor, candidates: Tensor, k: int, tie_seed: int = TIE_SEED, masked: Tensor | None = None, memory: int = MEMORY,
    device: torch.device = PROCESSOR,
) -> Ranking:  # fmt: skip
    """Rank all candidates for every user that has a relevant one, where the model lies; lists come back to main memory.

    Args:
        model: scores users against items.
        pairs: (n, 2) int64 user, item: what is relevant; the items must be candidates.
        candidates: (C,) int64 distinct item ids.
        k: list length; shortened to C where there are fewer candidates.
        tie_seed: orders equal scores.
        masked: (m, 2) int64 user, item: what may not be in the user's list; pairs of other users or items change nothing.
        memory: bytes for the scores of a chunk.
        device: where the model lies.

    Raises:
        BadValue: if k is below 1, nothing is relevant, or memory is below 1 MB.
        TrainingDiverged: if a score is not a number.
    """
    if k < 1 or not len(pairs):
        raise BadValue(f"A ranking needs k >= 1 (it is {k}) and at least one relevant pair (there are {len(pairs)}).")
    check_memory(memory)
    allocator.keep_freed_memory()
    candidates = candidates.cpu()
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(tie_seed))
    candidates = candidates.sort().values[order]  # column c has tie rank c
    relevant = _in_order(pairs.cpu())
    users, row = torch.unique_consecutive(relevant[:, 0], return_inverse=True)
    column = _columns(relevant[:, 1], candidates)
    assert len(relevant) == len(pairs), "a relevant pair is there twice"
    assert bool((column >= 0).all()), "a relevant item is no candidate"
    hidden = _hidden(masked, users, candidates)
    k = min(k, len(candidates))
    best = _best(model, users, candidates, k=k, hidden=hidden, cells=memory // topk.BYTES_PER_SCORE, device=device)
    columns = topk.columns_of(best)  # (U, K)
    hits, top = _hits(columns, row, column), candidates[columns]
    if hidden:
        none_left = topk.is_minus_infinity(best)
        hits, top = hits & ~none_left, top.masked_fill(none_left, -1)
    return Ranking(users, hits, torch.bincount(row, minlength=len(users)), top)


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


def _best(model: Scorer, users: Tensor, candidates: Tensor, *, k: int, hidden: "_Hidden | None", cells: int, device: torch.device) -> Tensor:
    """(U, K) keys of the best columns, in main memory."""
    if device.type == "cpu":
        cells = min(cells, CELLS_IN_CACHE)
    by_user, by_candidate = chunks(len(users), len(candidates), cells=cells)
    found = []
    with torch.inference_mode():
        rankers = [(part, model.ranker(candidates[part].to(device))) for part in by_candidate]
        for part in by_user:
            mine = hidden.of(part, device) if hidden else None
            some, best = users[part].to(device), None
            for there, ranker in rankers:
                keys = _keys(_masked(ranker(some).float(), mine, there), k, there)
                best = keys if best is None else topk.merged(best, keys, k)
            assert best is not None
            found.append(best.cpu())
    return torch.cat(found)


def _keys(scores: Tensor, k: int, there: slice) -> Tensor:
    try:
        return topk.best_keys(scores, k, first=there.start)
    except topk.NotANumber as error:
        raise TrainingDiverged(
            "The model gave a score that is not a number. Look at the features with `python cli.py check`, or lower learning_rate."
        ) from error


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Cells that may not be in a list, ascending by row. Shapes: row, column (m,) int64."""

    row: Tensor
    column: Tensor

    def of(self, part: slice, device: torch.device) -> "_Hidden":
        """Those of some rows, counted from the first of them."""
        a, b = torch.searchsorted(self.row, torch.tensor([part.start, part.stop])).tolist()
        return _Hidden((self.row[a:b] - part.start).to(device), self.column[a:b].to(device))


def _masked(scores: Tensor, hidden: _Hidden | None, there: slice) -> Tensor:
    if hidden is None:
        return scores
    here = (hidden.column >= there.start) & (hidden.column < there.stop)
    scores = scores.clamp(min=torch.finfo(torch.float32).min)  # so that minus infinity means masked
    scores[hidden.row[here], hidden.column[here] - there.start] = -torch.inf
    return scores


def _in_order(pairs: Tensor) -> Tensor:
    """The pairs by user, then item, each once."""
    n_items = int(pairs[:, 1].max()) + 1
    place = pairs[:, 0] * n_items + pairs[:, 1]
    if bool((place[1:] > place[:-1]).all()):
        return pairs
    place = torch.unique(place)
    user = place.div(n_items, rounding_mode="floor")
    return torch.stack([user, place - user * n_items], dim=1)


def _columns(items: Tensor, candidates: Tensor) -> Tensor:
    """The column of each item, -1 where it is no candidate."""
    column = torch.full((int(max(candidates.max(), items.max())) + 1,), -1)
    column[candidates] = torch.arange(len(candidates))
    return column[items]


def _hidden(masked: Tensor | None, users: Tensor, candidates: Tensor) -> _Hidden | None:
    if masked is None or not len(masked):
        return None
    masked = _in_order(masked.cpu())
    row, column = _columns(masked[:, 0], users), _columns(masked[:, 1], candidates)
    known = (row >= 0) & (column >= 0)
    return _Hidden(row[known], column[known]) if bool(known.any()) else None


def _hits(columns: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Where in its row's list each relevant cell stands. Shapes: columns (U, K); row, column (n,)."""
    hits = torch.zeros(columns.shape, dtype=torch.bool)
    for part in _even(len(row), max(1, COMPARED // columns.shape[1])):
        pair, place = (columns[row[part]] == column[part, None]).nonzero(as_tuple=True)
        hits[row[part][pair], place] = True
    return hits
