"""Environments: weightings of the modalities under which the same item is seen.

An environment is a row of weights over M modalities, non-negative, summing to 1. A step sees M + 1 of them: the uniform one
that inference uses, one fresh Dirichlet draw, and that draw's cyclic shifts, so that over the shifts every modality carries
every weight once (cyclic mixup, eq. 8 to 11).
"""

import numpy as np
import torch
from torch import Tensor

from schemas.errors import BadValue


def cyclic_mixup(draw: Tensor) -> Tensor:
    """The environments of one step.

    Args:
        draw: (M,) weights that sum to 1, one Dirichlet sample.

    Returns:
        (M + 1, M), rows sum to 1: uniform, the draw, the draw with its last weight moved to the front, and so on.

    Source:
        eq. 9 to 11.

    Example:
        >>> cyclic_mixup(torch.tensor([0.75, 0.25])).tolist()
        [[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]
    """
    n = draw.shape[0]
    shifts = [torch.roll(draw, shift) for shift in range(n)]
    return torch.stack([torch.full_like(draw, 1 / n), *shifts])  # (M + 1, M)


def draw_weights(n_modalities: int, *, alpha: float, generator: np.random.Generator) -> Tensor:
    """One sample of the symmetric Dirichlet distribution.

    NumPy draws it, because its small-alpha method does not underflow: at alpha = 0.01 most weights are near 0 or 1.

    Args:
        n_modalities: M, at least 1.
        alpha: concentration, above 0. Small: one modality dominates. Large: near uniform.
        generator: source of randomness.

    Returns:
        (M,) float32, sums to 1.

    Raises:
        BadValue: if alpha is not positive.
    """
    if not alpha > 0:
        raise BadValue(f"alpha is {alpha}; the concentration of the Dirichlet draw must be above 0.")
    return torch.from_numpy(generator.dirichlet(np.full(n_modalities, alpha)).astype(np.float32))
