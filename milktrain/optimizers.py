"""Optimizers: Adam over everything, or Adam that touches only the users of the batch.

`adam` moves every user at every step: also one who is not in the batch, as long as its moments last. That is 3 x U x D numbers read
and written a step, which is nothing at ten thousand users and most of the time at a million. `sparse_adam` moves the users of
the batch alone, and the moments of the others wait unchanged: another, lazier algorithm with other numbers, not a faster way to the
same ones. The extractors are under Adam in both.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from milktrain.config import TrainConfig
from schemas.errors import BadValue


class Stepper(Protocol):
    """What a training step asks of an optimizer."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        ...

    def step(self) -> object:
        """Move the parameters."""
        ...


class Together:
    """Several optimizers, each over parameters of its own, as one."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        """Step them in the given order."""
        self.parts = tuple(parts)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Step all."""
        for part in self.parts:
            part.step()


def adam(model: nn.Module, *, learning_rate: float) -> torch.optim.Adam:
    """Adam in one fused pass over all parameters, which takes a third off a step; the arithmetic is that of the plain one."""
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


def build(model: nn.Module, config: TrainConfig) -> Together:
    """The optimizer the settings name. With `sparse_adam` the gradients of the model's embedding tables become sparse.

    Raises:
        BadValue: if `sparse_adam` is asked for with a regularisation that moves every parameter at every step.
    """
    if config.optimizer == "adam":
        return Together([adam(model, learning_rate=config.learning_rate)])
    if config.regularisation == "parameters":
        raise BadValue("optimizer sparse_adam moves the users of a batch alone, regularisation parameters all of them: take adam, or batch.")
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    for table in tables:
        table.sparse = True
    rows = {id(table.weight) for table in tables}
    others = [parameter for parameter in model.parameters() if id(parameter) not in rows]
    sparse = [torch.optim.SparseAdam([table.weight for table in tables], lr=config.learning_rate)] if tables else []
    dense = [torch.optim.Adam(others, lr=config.learning_rate, fused=True)] if others else []
    return Together([*sparse, *dense])
