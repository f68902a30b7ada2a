"""Simulated loss of modalities: which of the modalities that items have a split takes away.

Natural absence and simulated loss are different things and are kept apart everywhere. Every function promises: only what is present
is lost, an item that has a modality keeps one, and the numbers are exact, not a coin toss an item.
Shapes: N items, M modalities.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schemas.errors import DataError

Mask = NDArray[np.bool_]
Weights = NDArray[np.float64]


def lose_one(present: Mask, *, rate: float, generator: np.random.Generator, weights: Weights | None = None) -> Mask:
    """Take one random modality from a share of the items.

    The share is of the items that have at least two modalities, because an item always keeps one: with a complete catalogue
    that is the paper's protocol. The number of items is rounded half up.

    Args:
        present: (N, M) what the items have.
        rate: share that loses one, in [0, 1].
        generator: source of randomness.
        weights: (N,) > 0, see `chosen`; every item alike when None.

    Returns:
        (N, M) True where a modality is taken away; only where `present` is True, at most one a row.

    Example:
        >>> lose_one(np.ones((4, 2), dtype=bool), rate=0.5, generator=np.random.default_rng(0)).sum()
        np.int64(2)
    """
    able = np.flatnonzero(present.sum(axis=1) >= 2)
    losing = chosen(able, rounded(rate * len(able)), generator=generator, weights=weights)
    lost = np.zeros_like(present)
    # Among a row's present modalities the largest of independent uniforms falls on each with equal chance.
    draws = np.where(present[losing], generator.random((len(losing), present.shape[1])), -1.0)
    lost[losing, draws.argmax(axis=1)] = True
    return lost


def lose_levels(present: Mask, *, shares: Sequence[float], generator: np.random.Generator, weights: Weights | None = None) -> Mask:
    """Take no, one, two ... random modalities from shares of all the items.

    Items that have too few modalities by nature are among those that lose fewer. Where there are not enough others, as many as
    there are lose so many, and the rest is made up by items that lose one less.

    Args:
        present: (N, M) what the items have.
        shares: of the items that lose 0, 1, ... modalities, summing to 1; at most M of them. `counts` says how they are rounded.
        generator: source of randomness.
        weights: (N,) > 0, see `chosen`; every item alike when None.

    Returns:
        (N, M) True where a modality is taken away.

    Example:
        >>> lost = lose_levels(np.ones((10, 3), dtype=bool), shares=(0.2, 0.4, 0.4), generator=np.random.default_rng(0))
        >>> np.bincount(lost.sum(axis=1)).tolist()
        [2, 4, 4]
    """
    lost, free, owed = np.zeros_like(present), np.ones(len(present), dtype=bool), 0
    wanted = counts(shares, len(present))
    for level in range(len(shares) - 1, 0, -1):  # the most first: few items can lose many
        able = np.flatnonzero(free & (present.sum(axis=1) > level))
        n = min(wanted[level] + owed, len(able))
        owed += wanted[level] - n
        losing = chosen(able, n, generator=generator, weights=weights)
        draws = np.where(present[losing], generator.random((n, present.shape[1])), -1.0)
        lost[losing[:, None], np.argsort(-draws, axis=1, kind="stable")[:, :level]] = True
        free[losing] = False
    return lost


def lose_shares(present: Mask, *, shares: Sequence[float], generator: np.random.Generator, weights: Weights | None = None) -> Mask:
    """Take each modality from a share of its own of the items.

    The share is of the items that have this modality and another one. Modalities are drawn independently of each other; where that
    leaves an item nothing, it gets one back, which another item loses in its place, so that the numbers stay exact.

    Args:
        present: (N, M) what the items have.
        shares: (M,) of each modality, in [0, 1].
        generator: source of randomness.
        weights: (N,) > 0, see `chosen`; every item alike when None.

    Returns:
        (N, M) True where a modality is taken away.

    Raises:
        DataError: if so much cannot be lost with every item keeping one.

    Example:
        >>> lost = lose_shares(np.ones((10, 2), dtype=bool), shares=(0.6, 0.4), generator=np.random.default_rng(0))
        >>> lost.sum(axis=0).tolist(), int(lost.all(axis=1).sum())
        ([6, 4], 0)
    """
    lost, several = np.zeros_like(present), present.sum(axis=1) >= 2
    for modality, share in enumerate(shares):
        able = np.flatnonzero(present[:, modality] & several)
        lost[chosen(able, rounded(share * len(able)), generator=generator, weights=weights), modality] = True
    while (bare := several & ~(present & ~lost).any(axis=1)).any():
        if not _give_back(present, lost, bare, generator=generator, weights=weights):
            raise DataError(
                f"The shares of --loss would leave {int(bare.sum())} items without any modality; an item keeps one. "
                f"{int(several.sum())} of {len(present)} items have several: lower the shares."
            )
    return lost


def chosen(able: NDArray[np.intp], n: int, *, generator: np.random.Generator, weights: Weights | None) -> NDArray[np.intp]:
    """Draw n of some items without replacement.

    Args:
        able: ids of the items to draw from.
        n: how many, at most as many as there are.
        generator: source of randomness.
        weights: by item id: one item after the other is drawn, each time with a chance proportional to its weight among those left.

    Source:
        Efraimidis & Spirakis 2006: the n smallest of exponential waiting times, each with its weight for a rate.
    """
    if weights is None:
        return generator.permutation(able)[:n]
    waits = generator.exponential(size=len(able)) / weights[able]
    return able[np.argsort(waits, kind="stable")[:n]]


def rank_weights(popularity: NDArray[np.integer], *, most: bool) -> Weights:
    """Weights proportional to the rank of items by popularity.

    Args:
        popularity: (N,) interactions of each item.
        most: whether the most popular item has the largest rank, else the least popular.

    Returns:
        (N,) 1 ... N; items of equal popularity share the mean of their ranks.

    Example:
        >>> rank_weights(np.array([5, 9, 5]), most=True).tolist()
        [1.5, 3.0, 1.5]
    """
    _, place, n = np.unique(popularity if most else -popularity, return_inverse=True, return_counts=True)
    ranks: Weights = (np.cumsum(n) - (n - 1) / 2)[place]
    return ranks


def counts(shares: Sequence[float], n: int) -> list[int]:
    """Whole numbers that sum to n and are less than one away from their shares of it, by largest remainder.

    Args:
        shares: summing to 1.
        n: how many there are in all.

    Example:
        >>> counts((0.1, 0.45, 0.45), 705)
        [71, 317, 317]
    """
    exact = np.asarray(shares) * n
    whole = np.floor(exact).astype(int)
    first = np.argsort(whole - exact, kind="stable")[: n - whole.sum()]
    whole[first] += 1
    return [int(each) for each in whole]


def rounded(number: float) -> int:
    """The nearest whole number, half up."""
    return int(np.floor(number + 0.5))


def _give_back(present: Mask, lost: Mask, bare: Mask, *, generator: np.random.Generator, weights: Weights | None) -> bool:
    """Give some bare items a modality back and take it elsewhere, in place; False where there is no way.

    The way may lead over items that keep one modality and swap it for another (augmenting paths of a flow), so that it is found
    wherever there is one.
    """
    of_each = np.where(present, generator.random(present.shape), -1.0).argmax(axis=1)  # one of a bare item's own, at random
    order = generator.permutation(present.shape[1]).tolist()
    for start, first in [(m, bare & (of_each == m)) for m in order] + [(m, bare & present[:, m]) for m in order]:
        way = _way(present, lost, int(start)) if first.any() else None
        if way is None:
            continue
        kept = present & ~lost
        only = kept.sum(axis=1) == 1
        swapping = [only & kept[:, m] & lost[:, after] for m, after in pairwise(way)]
        groups = [first, *swapping, kept[:, way[-1]] & (kept.sum(axis=1) >= 2)]
        n = min(int(group.sum()) for group in groups)
        for place, group in enumerate(groups):
            members = chosen(np.flatnonzero(group), n, generator=generator, weights=weights if place == len(way) else None)
            if place:
                lost[members, way[place - 1]] = True
            if place < len(way):
                lost[members, way[place]] = False
        return True
    return False


def _way(present: Mask, lost: Mask, start: int) -> list[int] | None:
    """The shortest chain of modalities from one that is to be given back to one that some item can lose."""
    kept = present & ~lost
    n_kept = kept.sum(axis=1)
    ways, seen = [[start]], {start}
    for way in ways:
        last = way[-1]
        if (kept[:, last] & (n_kept >= 2)).any():
            return way
        reached = lost[(n_kept == 1) & kept[:, last]].any(axis=0)
        ways.extend([*way, int(m)] for m in np.flatnonzero(reached) if m not in seen)
        seen.update(np.flatnonzero(reached).tolist())
    return None
