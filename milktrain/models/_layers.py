"""Parts that models share: layers whose weights come from a generator, content as one matrix, tables of training items, draws for a step.

Nothing here draws from torch's global generator, so that a run is what its seed says, and goes on to the same end after an interruption.
Shapes: V items, W training items that somebody interacted with, D width.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from milktrain.recommender import Content, warm

#: Candidates whose content is joined at a time: 4096-wide content of as many items takes 64 MB.
ITEMS_PER_PART = 4096


def linear(n_in: int, n_out: int, *, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A linear layer with torch's default initial weights, drawn from our own generator."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    bound: float = n_in**-0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def normal(n_rows: int, dim: int, *, std: float, generator: torch.Generator) -> nn.Embedding:
    """A table of (n_rows, dim), normally distributed around 0."""
    return nn.Embedding(n_rows, dim, _weight=torch.empty(n_rows, dim).normal_(0, std, generator=generator))


def xavier(n_rows: int, dim: int, *, generator: torch.Generator) -> nn.Embedding:
    """A table of (n_rows, dim), normally distributed with variance 2 / (n_rows + dim).

    Source:
        Glorot & Bengio 2010.
    """
    return normal(n_rows, dim, std=(2 / (n_rows + dim)) ** 0.5, generator=generator)


class Joined:
    """The modalities of an item side by side: its content as one vector.

    Args:
        content: of all V items; kept by reference.
    """

    def __init__(self, content: Content) -> None:
        self._features = content.features

    @property
    def width(self) -> int:
        """Of all modalities together."""
        return sum(matrix.shape[1] for matrix in self._features)

    def of(self, items: Tensor) -> Tensor:
        """(..., width) of items (...)."""
        return torch.cat([matrix[items] for matrix in self._features], dim=-1)


class TrainingItems:
    """Numbers training items from 0 on, for tables that have a row for each of them and none for new ones.

    So a state does not depend on how many new items there are, and nothing can be learned of one. A training item that nobody interacted
    with, as splits that came with their dataset may have, is a new one here, see `recommender.warm`.

    Args:
        is_train: (V,) bool.
        train: (n, 2) int64 user, item.
    """

    def __init__(self, is_train: Tensor, train: Tensor) -> None:
        numbered = warm(is_train, train)
        self.ids = numbered.nonzero().squeeze(1)  # (W,)
        self.count = len(self.ids)
        self._row = torch.where(numbered, numbered.long().cumsum(0) - 1, -1)  # (V,)

    def rows(self, items: Tensor) -> Tensor:
        """Row of each item in such a table; -1 for a new item."""
        return self._row.to(items.device)[items]

    def look_up(self, table: Tensor, items: Tensor) -> Tensor:
        """Rows of a table (W, D) for items (...); zeros for a new one.

        Returns:
            (..., D).
        """
        rows = self.rows(items)
        return rows_of(table, rows.clamp(min=0)) * (rows >= 0).to(table.dtype)[..., None]


def rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (...) of a table (W, D), as (..., D).

    With `table[rows]` several threads would add gradients of one row in whatever order they come to them, and sums depend on it.
    """
    return F.embedding(rows, table)


def in_parts(place: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
    """What a function makes of (C,) items, some thousand at a time, so that the content of all of them is never side by side at once."""
    return torch.cat([place(part) for part in torch.split(items, ITEMS_PER_PART)])


def mean_square_length(*rows: Tensor) -> Tensor:
    """() sum over several matrices (B, D) of the mean over the batch of their rows' squared lengths."""
    return torch.stack([each.square().sum(dim=-1).mean() for each in rows]).sum()


def dropout(x: Tensor, share: float, *, generator: np.random.Generator) -> Tensor:
    """Each number to 0 with a probability, the others scaled so that the mean stays; without a share, x itself."""
    if not share:
        return x
    kept = torch.from_numpy(generator.random(x.shape, dtype=np.float32) >= share).to(x.device)
    return x * kept / (1 - share)


def chosen_rows(n: int, share: float, *, generator: np.random.Generator, device: torch.device) -> Tensor:
    """(n,) bool, True for exactly round(share * n) of the rows, which are drawn."""
    mask = np.zeros(n, dtype=bool)
    mask[generator.permutation(n)[: round(share * n)]] = True
    return torch.from_numpy(mask).to(device)
