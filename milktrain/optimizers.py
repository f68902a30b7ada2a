"""Optimizers: Adam over everything, or Adam that touches only the users of the batch.

`adam` moves every user at every step: also one who is not in the batch, as long as its moments last. That is 3 x U x D numbers read
and written a step, which is nothing at ten thousand users and most of the time at a million. `sparse_adam` moves the users of
the batch alone, and the moments of the others wait unchanged: another, lazier algorithm with other numbers, not a faster way to the
same ones. The extractors are under Adam in both.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from milktrain.config import TrainConfig
from milktrain.recommender import OwnOptimizers
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

    def scale_learning_rates(self, factor: float) -> None:
        """Set every learning rate to so many times what it was at first; a training that goes on needs no more than the factor."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


class RowAdam(torch.optim.Optimizer):
    """Adam on the rows a sparse gradient names; the others, and their moments, wait unchanged.

    The algorithm of `torch.optim.SparseAdam`, on rows taken out and put back instead of on sparse tensors: a quarter of the time.

    Args:
        params: tables whose gradients are sparse.
        lr: learning rate.
        betas: decay of the two moments.
        eps: added to the root of the second.
    """

    def __init__(self, params: Iterable[torch.Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override] # no closure: nothing here evaluates a step twice
        """Move the rows that have a gradient; several gradients of one row are added up first."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, table.grad, self.state[table], **{name: group[name] for name in ("lr", "betas", "eps")})

    def _move(self, table: torch.Tensor, sparse: torch.Tensor, state: dict[str, Any], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(table), "exp_avg_sq": torch.zeros_like(table)}
        state["step"] += 1
        rows, place = torch.unique(sparse._indices()[0], return_inverse=True)
        gradient = table.new_zeros(len(rows), table.shape[1]).index_add_(0, place, sparse._values())  # (R, D)
        mean = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - betas[0])
        square = state["exp_avg_sq"].index_select(0, rows).mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        of_mean, of_square = (1 - beta ** state["step"] for beta in betas)
        table.index_add_(0, rows, mean.div_(square.sqrt_().add_(eps)).mul_(-lr * of_square**0.5 / of_mean))


def adam(model: nn.Module, *, learning_rate: float) -> torch.optim.Adam:
    """Adam in one fused pass over all parameters, which takes a third off a step; the arithmetic is that of the plain one."""
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


def build(model: nn.Module, config: TrainConfig) -> Together:
    """The optimizer the settings name, or those that a model brings itself. With `sparse_adam` the gradients of embedding tables become sparse.

    Raises:
        BadValue: if `sparse_adam` is asked for with a regularisation that moves every parameter at every step, or for another model than milk.
    """
    if config.optimizer == "sparse_adam" and not getattr(model, "SPARSE", False):
        raise BadValue("optimizer sparse_adam needs a model whose gradients can be sparse, as milk's are: take adam.")
    if isinstance(model, OwnOptimizers):
        return Together(model.optimizers(learning_rate=config.learning_rate))
    if config.optimizer == "adam":
        return Together([adam(model, learning_rate=config.learning_rate)])
    if config.regularisation == "parameters":
        raise BadValue("optimizer sparse_adam moves the users of a batch alone, regularisation parameters all of them: take adam, or batch.")
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    for table in tables:
        table.sparse = True
    rows = {id(table.weight) for table in tables}
    others = [parameter for parameter in model.parameters() if id(parameter) not in rows]
    sparse = [RowAdam([table.weight for table in tables], lr=config.learning_rate)] if tables else []
    dense = [torch.optim.Adam(others, lr=config.learning_rate, fused=True)] if others else []
    return Together([*sparse, *dense])
