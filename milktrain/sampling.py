"""Training triples: every interaction once an epoch in a fresh order, each with one sampled negative.

Negatives are uniform over the given candidates and never an item the user has in training. Which candidates there are is the
caller's choice: the authors' code draws from all items, new ones included, which teaches the model that new items are disliked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain.recommender import Batch
from schemas.errors import BadValue


@dataclass(frozen=True, slots=True)
class Negatives:
    """Uniform negatives by rejection.

    Shapes:
        candidates: (C,) int64 item ids to draw from.
        seen: sorted int64 keys user * n_items + item of every training interaction.
    """

    candidates: Tensor
    seen: Tensor
    n_items: int

    def sample(self, users: Tensor, *, generator: torch.Generator) -> Tensor:
        """One item for each user that the user has not in training.

        Args:
            users: (n,) int64; each must have at least one candidate left, see `can_have_negative`.
            generator: source of randomness.

        Returns:
            (n,) int64 item ids.
        """
        drawn = self._draw(len(users), generator)
        open_rows = self._is_seen(users, drawn).nonzero().squeeze(1)
        while len(open_rows):
            again = self._draw(len(open_rows), generator)
            drawn[open_rows] = again
            open_rows = open_rows[self._is_seen(users[open_rows], again)]
        return drawn

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.candidates[torch.randint(len(self.candidates), (n,), generator=generator)]

    def _is_seen(self, users: Tensor, items: Tensor) -> Tensor:
        keys = users * self.n_items + items
        place = torch.searchsorted(self.seen, keys).clamp(max=len(self.seen) - 1)
        return self.seen[place] == keys


def negatives(train: Tensor, *, candidates: Tensor, n_items: int) -> Negatives:
    """A sampler for these training interactions.

    Args:
        train: (n, 2) int64 user, item.
        candidates: (C,) int64 item ids to draw from.
        n_items: number of items in the catalogue.

    Raises:
        BadValue: if there is nothing to train on or to draw from.
    """
    if not len(train) or not len(candidates):
        raise BadValue(f"Training needs interactions (there are {len(train)}) and candidate negatives (there are {len(candidates)}).")
    return Negatives(candidates, (train[:, 0] * n_items + train[:, 1]).sort().values, n_items)


def can_have_negative(train: Tensor, *, candidates: Tensor, n_items: int) -> Tensor:
    """Which training interactions belong to users with at least one candidate they do not have in training.

    Returns:
        (n,) bool.
    """
    is_candidate = torch.zeros(n_items, dtype=torch.bool)
    is_candidate[candidates] = True
    taken = torch.bincount(train[:, 0], weights=is_candidate[train[:, 1]].double())
    return taken[train[:, 0]] < len(candidates)


def epoch(train: Tensor, sampler: Negatives, *, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
    """The batches of one epoch.

    Args:
        train: (n, 2) int64 user, item.
        sampler: draws the negatives, for the whole epoch at once.
        batch_size: triples a batch; the last may be smaller.
        generator: source of randomness for order and negatives.
    """
    shuffled = train[torch.randperm(len(train), generator=generator)]
    users, positives = shuffled.unbind(1)
    drawn = sampler.sample(users, generator=generator)
    for rows in zip(*(torch.split(column, batch_size) for column in (users, positives, drawn)), strict=True):
        yield Batch(*rows)
