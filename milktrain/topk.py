"""The k best columns of rows of scores, exactly, with equal scores in column order, on a processor or a GPU.

A score and its column become one integer key, so that no two keys are equal and the order does not depend on how a sort treats
ties. Making keys of everything is slow, so blocks of columns are sifted by their maxima first; the answer is the same.
Shapes: U rows, C columns.
"""

import torch
from torch import Tensor

#: Columns whose maximum is looked at before they are; the fewer, the more maxima, the more, the more keys.
BLOCK = 32
#: Bytes that one score needs at most while its row is ranked: itself, and some integers of 8 bytes where rows are full of ties.
BYTES_PER_SCORE = 40
_LOW = 0xFFFFFFFF


def keys(scores: Tensor, columns: Tensor) -> Tensor:
    """Integers in the order of the scores, then of the columns backwards.

    IEEE 754 floats compare like their bits; those of negative ones are turned around.

    Args:
        scores: (U, C) float32, no NaN.
        columns: (C,) or (U, C) int64 in [0, 2**31), distinct within a row.

    Returns:
        (U, C) int64.
    """
    bits = (scores + 0.0).view(torch.int32).to(torch.int64)  # + 0.0 turns -0.0 into 0.0
    return (torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits) << 32) - columns


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
        scores: (U, C) float32, no NaN.
        k: how many; all where there are fewer.
        first: column that the first one here counts as.

    Returns:
        (U, min(k, C)) int64.
    """
    n, width = scores.shape
    k, n_blocks = min(k, width), width // BLOCK
    if n_blocks <= 2 * k:
        return _of_all(scores, k, first)
    even = n_blocks * BLOCK
    maxima = scores[:, :even].view(n, n_blocks, BLOCK).amax(dim=2)  # (U, blocks)
    top = maxima.topk(k + 1, dim=1)
    # k blocks reach the k-th maximum, so k scores do: whatever is lower is out. Where one block more reaches it, nothing is known.
    unclear = top.values[:, k] == top.values[:, k - 1]
    inside = top.indices[:, :k, None] * BLOCK + torch.arange(BLOCK, device=scores.device)  # (U, k, BLOCK)
    rest = torch.arange(even, width, device=scores.device).expand(n, -1)
    columns = torch.cat([inside.flatten(1), rest], dim=1)
    best = keys(scores.gather(1, columns), columns + first).topk(k, dim=1).values
    if bool(unclear.any()):
        best[unclear] = _of_all(scores[unclear], k, first)
    return best


def merged(mine: Tensor, others: Tensor, k: int) -> Tensor:
    """The k best of two sets of keys, best first."""
    both = torch.cat([mine, others], dim=1)
    return both.topk(min(k, both.shape[1]), dim=1).values


def _of_all(scores: Tensor, k: int, first: int) -> Tensor:
    columns = torch.arange(first, first + scores.shape[1], device=scores.device)
    return keys(scores, columns).topk(k, dim=1, sorted=True).values
