"""Environments: weightings of the modalities under which the same item is seen.

An environment is a row of weights over M modalities, non-negative, summing to 1. By default a step sees M + 1 of them: the uniform
one that inference uses, one fresh Dirichlet draw, and that draw's cyclic shifts, so that over the shifts every modality carries
every weight once (cyclic mixup, eq. 8 to 11). The other strategies are those of the paper's Table 4.
"""

import numpy as np
import torch
from torch import Tensor

from milktrain.config import EnvironmentStrategy
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
    n = len(draw)
    weights = draw.tolist()
    shifts = [weights[n - shift :] + weights[: n - shift] for shift in range(n)]
    return torch.tensor([[1 / n] * n, *shifts], dtype=draw.dtype, device=draw.device)  # (M + 1, M); a few numbers, made in one go


def uniform(n_modalities: int) -> Tensor:
    """(1, M), the environment of inference alone: what is left without invariance."""
    return torch.full((1, n_modalities), 1 / n_modalities)


def of_step(strategy: EnvironmentStrategy, n_modalities: int, *, alpha: float, generator: np.random.Generator, kept: Tensor | None = None) -> Tensor:
    """The environments of one step.

    Args:
        strategy: `cyclic`: uniform, a fresh draw, its shifts. `without_uniform`: a fresh draw and its shifts. `independent`: uniform
            and M fresh draws. `fixed`: uniform, the draw that was kept, its shifts.
        n_modalities: M.
        alpha: concentration of a draw.
        generator: source of randomness; `fixed` takes nothing from it.
        kept: (M,) the draw of `fixed`.

    Returns:
        (E, M) rows sum to 1; E = M + 1, and M without the uniform one.

    Raises:
        BadValue: if alpha is not positive, or `fixed` has no draw.
    """
    if strategy == "independent":
        draws = [draw_weights(n_modalities, alpha=alpha, generator=generator) for _ in range(n_modalities)]
        return torch.cat([uniform(n_modalities), torch.stack(draws)])
    if strategy == "fixed":
        if kept is None:
            raise BadValue("Environments are fixed, and no draw was kept: draw one with draw_weights when the model is built.")
        return cyclic_mixup(kept)
    rows = cyclic_mixup(draw_weights(n_modalities, alpha=alpha, generator=generator))
    return rows[1:] if strategy == "without_uniform" else rows


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
    return torch.tensor(generator.dirichlet([alpha] * n_modalities), dtype=torch.float32)
