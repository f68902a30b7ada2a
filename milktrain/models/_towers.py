"""Towers of DropoutNet and Heater: layers that are normalised and squashed, then a linear one; and training items that have a vector.

Shapes: N rows, W training items, H width of collaborative vectors.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from milktrain.models import _layers as layers
from milktrain.models._batch_norm import BatchNorm
from milktrain.recommender import Collaborative

STD = 0.01
MOMENTUM = 0.9
#: A column that hardly differs is left near 0.
LEAST_STD = 1e-6


class Tower(nn.Module):
    """Linear, batch normalisation and tanh, for each hidden layer; a linear layer in the end.

    The linear layers before a normalisation have no bias: it takes away what a bias would add.

    Args:
        n_in: width of what comes in.
        hidden: widths of the hidden layers.
        n_out: width of what comes out.
        generator: draws the initial weights, normal with standard deviation 0.01 and cut at twice that; biases start at 0.
    """

    def __init__(self, n_in: int, hidden: Sequence[int], n_out: int, *, generator: torch.Generator) -> None:
        super().__init__()
        widths = [n_in, *hidden, n_out]
        self.layers = nn.ModuleList(nn.Linear(wide, to, bias=False) for wide, to in itertools.pairwise(widths[:-1]))
        self.normalised = nn.ModuleList(BatchNorm(width) for width in hidden)
        self.out = nn.Linear(widths[-2], n_out)
        with torch.no_grad():
            for layer in [*self.layers, self.out]:
                nn.init.trunc_normal_(layer.weight, std=STD, a=-2 * STD, b=2 * STD, generator=generator)
            self.out.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(N, n_in) to (N, n_out)."""
        for layer, normalised in zip(self.layers, self.normalised, strict=True):
            x = torch.tanh(normalised(layer(x), learning=self.training))
        found: Tensor = self.out(x)
        return found


def standardised(vectors: Tensor, *, most: float) -> Tensor:
    """Each column to mean 0 and deviation 1 over the rows that are not zeros, and no number further from 0 than `most`.

    Args:
        vectors: (N, H); rows of zeros stay.
        most: greatest absolute value.
    """
    known = vectors.ne(0).any(dim=1)
    found = torch.zeros_like(vectors)
    if bool(known.any()):
        rows = vectors[known]
        found[known] = ((rows - rows.mean(dim=0)) / rows.std(dim=0, unbiased=False).clamp(min=LEAST_STD)).clamp(-most, most)
    return found


class KnownItems(nn.Module):
    """Collaborative vectors of training items; in the state, never moved, and not there for new items.

    Args:
        vectors: of all items.
        training_items: which of them are training items.
    """

    table: Tensor

    def __init__(self, vectors: Collaborative, training_items: layers.TrainingItems) -> None:
        super().__init__()
        self._training_items = training_items
        self.register_buffer("table", vectors.items[training_items.ids.to(vectors.items.device)].clone())  # (W, H)

    def ids(self) -> Tensor:
        """(W,) the items that have a vector, ascending."""
        return self._training_items.ids.to(self.table.device)

    def has(self, items: Tensor) -> Tensor:
        """(N,) bool, whether an item has a vector."""
        return self._training_items.rows(items) >= 0

    def of(self, items: Tensor) -> Tensor:
        """(N, H), zeros for items without."""
        return self._training_items.look_up(self.table, items)


def momentum_descent(model: nn.Module, *, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Gradient descent with momentum 0.9 over everything, as both publications have it."""
    return [torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=MOMENTUM)]


def squared_weights(model: nn.Module) -> Tensor:
    """() sum of the squares of all weights of linear layers, biases and normalisations left out."""
    return torch.stack([module.weight.square().sum() for module in model.modules() if isinstance(module, nn.Linear)]).sum()
