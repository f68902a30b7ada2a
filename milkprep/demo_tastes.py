"""Tastes of the generated catalogue: what each item is about, what each user likes, who touched what.

Six themes stand for the hidden reason why a user likes an item. Each modality shows an item's themes truthfully for most
items and another theme for the rest, independently of the other modalities: each predicts taste, together they do better.
Shapes: U users, V items, T themes. All randomness comes from the seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.contracts import Modality

THEMES = ("sea", "forest", "desert", "city", "winter", "kitchen")
#: Share of items whose theme a modality shows truthfully.
TRUTHFUL = 0.75
#: Share of a user's interactions that follow taste; the others follow popularity alone.
BY_TASTE = 0.85
#: Share of users who like one theme only, and how much the first of two weighs.
ONE_THEME, FIRST_OF_TWO = 0.6, 0.6
#: Interactions a user: at least, and the mean of what comes on top.
LEAST, MEAN_MORE = 13, 6
#: Spread of popularity: standard deviation of its logarithm.
POPULARITY_SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class Tastes:
    """The planted truth.

    Args:
        items: (V, T) how much each item is about each theme; rows sum to 1.
        users: (U, T) how much each user likes each theme; rows sum to 1.
        shown: what each modality shows of an item, (V, T); rows sum to 1.
        touched: item numbers of each user's interactions, distinct.
    """

    items: NDArray[np.float64]
    users: NDArray[np.float64]
    shown: dict[Modality, NDArray[np.float64]]
    touched: list[NDArray[np.int64]]


def draw(*, n_users: int, n_items: int, n_untouched: int, seed: int) -> Tastes:
    """Draw tastes and the interactions that follow from them.

    Args:
        n_users: U.
        n_items: V.
        n_untouched: how many of the last items nobody touches.
        seed: of every draw.
    """
    rng = np.random.default_rng([seed, 1])
    items = _mixtures(rng, n_items, first=rng.uniform(0.7, 1.0, n_items))
    users = _mixtures(rng, n_users, first=np.where(rng.random(n_users) < ONE_THEME, 1.0, FIRST_OF_TWO))
    shown = {modality: _shown(rng, items) for modality in Modality}
    popularity = rng.lognormal(0, POPULARITY_SPREAD, n_items)
    popularity[n_items - n_untouched :] = 0
    touched = [_touched(rng, liking=items @ user, popularity=popularity) for user in users]
    return Tastes(items, users, shown, touched)


def _mixtures(rng: Generator, n: int, *, first: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, T) rows with weight `first` on one theme and the rest on another."""
    order = np.argsort(rng.random((n, len(THEMES))), axis=1)  # (n, T), a random order of themes a row
    rows = np.arange(n)
    mixtures = np.zeros((n, len(THEMES)))
    mixtures[rows, order[:, 0]] = first
    mixtures[rows, order[:, 1]] = 1 - first
    return mixtures


def _shown(rng: Generator, items: NDArray[np.float64]) -> NDArray[np.float64]:
    other = (items.argmax(axis=1) + rng.integers(1, len(THEMES), len(items))) % len(THEMES)
    truthful = rng.random(len(items)) < TRUTHFUL
    return np.where(truthful[:, None], items, np.eye(len(THEMES))[other])


def _touched(rng: Generator, *, liking: NDArray[np.float64], popularity: NDArray[np.float64]) -> NDArray[np.int64]:
    """Distinct items of one user: most drawn by popularity times squared liking, the others by popularity."""
    by_taste = popularity * liking**2
    chance = BY_TASTE * by_taste / by_taste.sum() + (1 - BY_TASTE) * popularity / popularity.sum()
    wanted = min(LEAST + int(rng.poisson(MEAN_MORE)), int(np.count_nonzero(chance)))
    return rng.choice(len(chance), size=wanted, replace=False, p=chance)
