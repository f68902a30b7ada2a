"""Ridge regression in closed form, over rows that are asked for in parts: what is fitted on can be larger than memory.

Shapes: n rows, d inputs, e targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Rows in float64 at a time.
CHUNK_ROWS = 8192
#: (k,) ids of rows to (k, width).
Rows = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Ridge:
    """Predicts `after + (x - before) @ weight`; shapes (d,), (e,), (d, e), float32."""

    before: Tensor
    after: Tensor
    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(k, d) to (k, e)."""
        return self.after + (x - self.before) @ self.weight


def fit(inputs: Rows, targets: Rows, rows: Tensor, *, before: Tensor, after: Tensor, strength: float) -> Ridge:
    """The map that is best on some rows under a penalty on its weights.

    Args:
        inputs: x of rows.
        targets: y of rows.
        rows: (n,) int64, what is fitted on; at least one.
        before: (d,) float64, mean of x over them.
        after: (e,) float64, mean of y.
        strength: of the penalty, times the mean variance of a column: one strength serves inputs of any scale; above 0.
    """
    gram = torch.zeros(len(before), len(before), dtype=torch.float64)
    cross = torch.zeros(len(before), len(after), dtype=torch.float64)
    for part in torch.split(rows, CHUNK_ROWS):
        centred = inputs(part) - before
        gram += centred.T @ centred
        cross += centred.T @ (targets(part) - after)
    penalty = float(strength * gram.diagonal().mean())
    gram.diagonal().add_(penalty if penalty > 0 else 1.0)  # where nothing varies, the mean is predicted
    weight = torch.linalg.solve(gram, cross)
    return Ridge(before.float(), after.float(), weight.float())
