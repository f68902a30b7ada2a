"""The k best columns of rows of scores, exactly, with equal scores in column order, on a processor or a GPU.

A score and its column become one integer key, so that no two keys are equal and the order does not depend on how a sort treats
ties. Making keys of everything is slow, so scores are sifted first by a floor that at least k of their row reach; the answer is the same.
Shapes: U rows, C columns.
"""

import torch
from torch import Tensor

#: Columns of a block, or a multiple; processors find the maximum of so many at once.
BLOCK = 32
#: Bytes that one score needs at most while its row is ranked: itself, and some integers of 8 bytes where rows are full of ties.
BYTES_PER_SCORE = 40
_LOW = 0xFFFFFFFF
_NO_KEY = torch.iinfo(torch.int64).min


class NotANumber(ArithmeticError):
    """Among the scores there is one that has no place in any order."""


def keys(scores: Tensor, columns: Tensor) -> Tensor:
    """Integers in the order of the scores, then of the columns backwards.

    IEEE 754 floats compare like their bits; those of negative ones are turned around.

    Args:
        scores: (U, C) float32, no NaN.
        columns: (C,) or (U, C) int64 in [0, 2**31), distinct within a row.

    Returns:
        (U, C) int64.
    """
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    turned = (bits >> 31).bitwise_and_(0x7FFFFFFF).bitwise_xor_(bits)
    return turned.to(torch.int64).bitwise_left_shift_(32).sub_(columns)


def columns_of(found: Tensor) -> Tensor:
    """The columns that keys were made of."""
    return (-found) & _LOW


def is_minus_infinity(found: Tensor) -> Tensor:
    """Whether keys were made of a score of minus infinity."""
    lowest = keys(torch.full((1,), -torch.inf), torch.zeros(1, dtype=torch.int64)).item()
    return found <= lowest


def best_keys(scores: Tensor, k: int, *, first: int = 0) -> Tensor:
    """Keys of the k best scores of each row, best first.

    Args:
        scores: (U, C) float32.
        k: how many; all where there are fewer.
        first: column that the first one here counts as.

    Returns:
        (U, min(k, C)) int64.

    Raises:
        NotANumber: if a score is none.
    """
    n, width = scores.shape
    k = min(k, width)
    if width < 4 * k:
        _check(scores)
        return _of_all(scores, k, first)
    size = BLOCK * (width // (3 * k * BLOCK)) or (BLOCK if width >= 2 * k * BLOCK else 0)
    maxima = _maxima_in_order(scores, size) if size else _maxima(scores, fewest=2 * k)
    best = maxima.topk(k, dim=1, sorted=False)
    # A maximum over what is no number is none, and the greatest of all to topk; only columns in no block are looked at themselves.
    _check(best.values)
    _check(scores[:, maxima.shape[1] * size :] if size else scores)
    floor = best.values.amin(dim=1, keepdim=True)  # (U, 1); k blocks reach it, so k scores do
    # Where more blocks reach it than k, ties may let any number of scores through; elsewhere little more than half of a row at most.
    crowded = (maxima >= floor).sum(dim=1) > k
    near = _near(scores, best.indices, size) if size else scores
    reached = _reaching(near, floor, but=crowded)
    row = reached.div(near.shape[1], rounding_mode="floor")
    columns = reached - row * near.shape[1]
    if size:
        block = torch.cat([best.indices, best.indices.new_full((n, 1), maxima.shape[1])], dim=1)  # (U, k + 1); the last is what is left over
        place = columns.div(size, rounding_mode="floor")
        columns += (block.flatten().index_select(0, row * (k + 1) + place) - place) * size
    found = keys(near.reshape(-1).index_select(0, reached), columns + first)
    lists = _padded(found, row, n, least=k).topk(k, dim=1).values
    if bool(crowded.any()):
        lists[crowded] = _of_all(scores[crowded], k, first)
    return lists


def merged(mine: Tensor, others: Tensor, k: int) -> Tensor:
    """The k best of two sets of keys, best first."""
    both = torch.cat([mine, others], dim=1)
    return both.topk(min(k, both.shape[1]), dim=1).values


def _check(scores: Tensor) -> None:
    if bool(scores.sum().isnan()) and bool(scores.isnan().any()):  # a sum is four times as fast as looking at each
        raise NotANumber


def _of_all(scores: Tensor, k: int, first: int) -> Tensor:
    columns = torch.arange(first, first + scores.shape[1], device=scores.device)
    return keys(scores, columns).topk(k, dim=1, sorted=True).values


def _maxima(scores: Tensor, *, fewest: int) -> Tensor:
    """Maxima of blocks of columns that share none, fewer than twice as many as asked for; an odd column out is in no block."""
    while scores.shape[1] >= 2 * fewest:
        half = scores.shape[1] // 2
        scores = torch.maximum(scores[:, :half], scores[:, half : 2 * half])
    return scores


def _maxima_in_order(scores: Tensor, size: int) -> Tensor:
    """Maxima of blocks of neighbouring columns; those left over at the end are in no block."""
    n_blocks = scores.shape[1] // size
    return scores[:, : n_blocks * size].view(len(scores), n_blocks, size).amax(dim=2)


def _near(scores: Tensor, blocks: Tensor, size: int) -> Tensor:
    """(U, (k + 1) * size) scores of k blocks of each row, and of the columns left over, filled up with minus infinity."""
    n, width = scores.shape
    starts = blocks * size + torch.arange(n, device=scores.device)[:, None] * width
    near = scores.new_full((n, (blocks.shape[1] + 1) * size), -torch.inf)
    taken = blocks.shape[1] * size
    near[:, :taken] = scores.reshape(-1).unfold(0, size, 1).index_select(0, starts.flatten()).view(n, taken)
    left_over = width % size
    near[:, taken : taken + left_over] = scores[:, width - left_over :]
    return near


def _reaching(scores: Tensor, floor: Tensor, *, but: Tensor) -> Tensor:
    """Places, in the scores row by row, ascending, of those that reach the floor of their row, other rows left out."""
    n, width = scores.shape
    size = n * width
    flags = torch.zeros(-(-size // 8) * 8, dtype=torch.uint8, device=scores.device)
    here = flags[:size].view(n, width)
    here.copy_(torch.ge(scores, floor, out=torch.empty_like(scores)))  # by way of floats, which processors compare many at a time
    if bool(but.any()):
        here[but] = 0
    # Few are set, and eight flags are one integer: looking at those first is three times as fast.
    words = flags.view(torch.int64)
    eights = words.nonzero().squeeze(1)
    places = words.index_select(0, eights).view(torch.uint8).nonzero().squeeze(1)
    return (eights.index_select(0, places >> 3) << 3).add_(places & 7)


def _padded(found: Tensor, row: Tensor, n: int, *, least: int) -> Tensor:
    """Keys that come row by row, ascending, as a matrix of n rows as wide as the longest, or more."""
    counts = torch.bincount(row, minlength=n)
    width = max(least, int(counts.max()))
    starts = counts.cumsum(0) - counts
    padded = found.new_full((n * width,), _NO_KEY)
    shift = torch.arange(n, device=found.device) * width - starts  # from the place among all keys to that in the matrix
    padded[shift.index_select(0, row).add_(torch.arange(len(found), device=found.device))] = found
    return padded.view(n, width)
