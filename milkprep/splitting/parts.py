"""Which items are new, and which of the new ones are for validation: at random, or those that were seen last."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from schemas.contracts import Part
from schemas.errors import DataError

#: Places of the items of each part; validation and test first, as what is drawn for training after them does not shift them.
Members = dict[Part, NDArray[np.intp]]


class Order(StrEnum):
    """How new items are picked.

    `RANDOM` draws them. `FIRST_SEEN` takes those whose first interaction is the latest: the older half of them is for validation, the
    newest half for test.
    """

    RANDOM = "random"
    FIRST_SEEN = "first-seen"


def members(n_items: int, *, cold_fraction: float, generator: np.random.Generator, newness: NDArray[np.integer] | None = None) -> Members:
    """Divide items into parts.

    Args:
        n_items: N, with interactions.
        cold_fraction: share of them that is new, half of it (rounded down) validation, half test.
        generator: source of randomness; not used where `newness` is given.
        newness: (N,) rank of each item by its first interaction, without ties, the largest seen last; at random when None.

    Raises:
        DataError: if a part would be empty.
    """
    n_each = int(cold_fraction * n_items / 2)
    if n_each < 1 or n_items - 2 * n_each < 1:
        raise DataError(
            f"{n_items} items with interactions are too few for a share of {cold_fraction} new ones. Pull more, or change --cold-fraction."
        )
    if newness is None:
        order = generator.permutation(n_items)
        return {Part.VAL: order[:n_each], Part.TEST: order[n_each : 2 * n_each], Part.TRAIN: order[2 * n_each :]}
    order = np.argsort(newness, kind="stable")
    return {Part.VAL: order[-2 * n_each : -n_each], Part.TEST: order[-n_each:], Part.TRAIN: order[: -2 * n_each]}
