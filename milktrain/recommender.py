"""What a recommender is: what it is built from, what training gives it, what evaluation asks of it. The models are in `models/`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
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
class Collaborative:
    """Vectors learned from training interactions alone; see `backbones`.

    Shapes:
        users: (U, D) float32; zeros for users without a training interaction.
        items: (V, D) float32; zeros for items without one, so for every new item.
    """

    users: Tensor
    items: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """What a model is built for.

    Shapes:
        content: of all V items.
        train: (n, 2) int64 user, item.
        collaborative: for models whose settings name a backbone; None for others.
    """

    content: Content
    n_users: int
    train: Tensor
    collaborative: Collaborative | None = None


def warm(is_train: Tensor, train: Tensor) -> Tensor:
    """Which items models learn of: training items that somebody interacted with. All others are as new ones, and known by their content alone.

    Args:
        is_train: (V,) bool.
        train: (n, 2) int64 user, item.

    Returns:
        (V,) bool.
    """
    return torch.zeros_like(is_train).index_fill_(0, train[:, 1].to(is_train.device), True) & is_train


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


@dataclass(frozen=True, slots=True)
class Batches:
    """An epoch of a model that draws its own.

    Args:
        n: how many.
        drawn: the batches, drawn as they are asked for; from the same state of the generator always the same ones.
    """

    n: int
    drawn: Iterator[Batch]


@runtime_checkable
class OwnBatches(Protocol):
    """A model whose epoch is not every interaction once with one negative, but items or users, say."""

    def batches(self, *, batch_size: int, generator: torch.Generator) -> Batches:
        """The batches of one epoch, in main memory; what a column means is the model's affair."""
        ...


@runtime_checkable
class InTurns(Protocol):
    """A model whose parts learn in turns on the same batch; training takes these losses and never asks for `losses`."""

    def in_turns(self, batch: Batch, *, generator: np.random.Generator) -> Iterator[Losses]:
        """Losses one after the other; parameters have moved by the one before when the next is asked for.

        A part that a loss is not to move must not get a gradient from it.
        """
        ...


@runtime_checkable
class OwnOptimizers(Protocol):
    """A model whose publication trains its parts by other optimizers than Adam over everything."""

    def optimizers(self, *, learning_rate: float) -> Sequence[torch.optim.Optimizer]:
        """Each over parameters of its own, stepped in this order."""
        ...


@runtime_checkable
class Scheduled(Protocol):
    """A model whose learning rates change with the epochs."""

    def learning_rate_factor(self, epoch: int) -> float:
        """What all learning rates are multiplied by in an epoch, counted from 1."""
        ...


@runtime_checkable
class EpochWise(Protocol):
    """A model that makes something anew at the beginning of each epoch; what it makes belongs to its state."""

    def begin_epoch(self) -> None:
        """Called before the first step of an epoch, and not again where a training goes on in the middle of one."""
        ...
