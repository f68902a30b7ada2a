"""Simulated loss of modalities: which of the modalities that items have a setting takes away.

Natural absence and simulated loss are different things and are kept apart everywhere.
Shapes: N items, M modalities.
"""

import numpy as np
from numpy.typing import NDArray


def lose_one(present: NDArray[np.bool_], *, rate: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Take one random modality from a share of the items.

    The share is of the items that have at least two modalities, because an item always keeps one: with a complete catalogue
    that is the paper's protocol. The number of items is exact (rounded half up), not a coin toss each.

    Args:
        present: (N, M) what the items have.
        rate: share that loses one, in [0, 1].
        generator: source of randomness.

    Returns:
        (N, M) True where a modality is taken away; only where `present` is True, at most one a row.

    Example:
        >>> lose_one(np.ones((4, 2), dtype=bool), rate=0.5, generator=np.random.default_rng(0)).sum()
        np.int64(2)
    """
    able = np.flatnonzero(present.sum(axis=1) >= 2)
    n = int(np.floor(rate * len(able) + 0.5))
    chosen = generator.permutation(able)[:n]
    lost = np.zeros_like(present)
    # Among a row's present modalities the largest of independent uniforms falls on each with equal chance.
    draws = np.where(present[chosen], generator.random((n, present.shape[1])), -1.0)
    lost[chosen, draws.argmax(axis=1)] = True
    return lost
