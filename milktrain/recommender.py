"""What a recommender is: what it is built from, what training gives it, what evaluation asks of it. The models are in `models/`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Training triples: the user interacted with the positive, and not with the negative.

    Shapes:
        users, positives, negatives: (B,) int64 indices.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor


@dataclass(frozen=True, slots=True)
class Content:
    """What a model may know of items.

    Shapes:
        features: M matrices (V, d_m) float32, imputed and scaled, all finite.
        available: (V, M) bool, False where a row is imputed.
        is_train: (V,) bool.
    """

    features: tuple[Tensor, ...]
    available: Tensor
    is_train: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """What a model is built for.

    Shapes:
        content: of all V items.
        train: (n, 2) int64 user, item.
    """

    content: Content
    n_users: int
    train: Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """What one step minimises.

    Shapes:
        total: () to be differentiated.
        parts: detached scalars or vectors by name, for the log.
    """

    total: Tensor
    parts: dict[str, Tensor]


#: Users (U,) int64 to their scores (U, C), higher is better, over candidates fixed before.
Ranker = Callable[[Tensor], Tensor]


class Scorer(Protocol):
    """What evaluation asks of every model."""

    def ranker(self, items: Tensor) -> Ranker:
        """Prepare (C,) candidates once, for users who come in chunks."""
        ...


@runtime_checkable
class Placing(Scorer, Protocol):
    """A model for which items lie somewhere by what they have: it knows an item from its content, and what is near it."""

    def places(self, items: Tensor) -> Tensor:
        """(C,) items to (C, D)."""
        ...


class Trainable(Scorer, Protocol):
    """What training asks of a model that learns; it is a `torch.nn.Module` besides."""

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """The objective on one batch; `generator` feeds whatever the model draws anew at every step."""
        ...
