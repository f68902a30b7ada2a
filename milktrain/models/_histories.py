"""What each user has in training, for models that draw negatives, or relatives of an item, in a step.

Everything is set-wise over the users of a batch; nothing is as large as users times items.
Shapes: U users, W training items, n training interactions, B users of a batch, P items of a pool.
"""

import numpy as np
import torch
from torch import Tensor

from milktrain.models._layers import TrainingItems


class Histories:
    """The training items of each user, by row of tables of training items.

    Args:
        train: (n, 2) int64 user, item.
        items: numbers the items.
        n_users: U.
        device: where the lists lie.
    """

    def __init__(self, train: Tensor, items: TrainingItems, *, n_users: int, device: torch.device) -> None:
        users, rows = train[:, 0].to(device), items.rows(train[:, 1].to(device))
        self._keys, order = (users * items.count + rows).sort()  # (n,)
        self.users, self.rows = users[order], rows[order]  # (n,) each, ascending by user, then row
        self.counts = torch.bincount(self.users, minlength=n_users)  # (U,)
        self.starts = self.counts.cumsum(0) - self.counts  # (U,)
        self.n_rows = items.count

    def of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Place in `users` (B,) and row of every interaction that these have, one after the other."""
        counts = self.counts[users]
        owner = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        first = counts.cumsum(0) - counts
        return owner, self.rows[self.starts[users][owner] + torch.arange(len(owner), device=users.device) - first[owner]]

    def taken(self, users: Tensor, pool: Tensor) -> Tensor:
        """Which of a pool each user has.

        Args:
            users: (B,).
            pool: (P,) distinct rows, ascending.

        Returns:
            (B, P) bool.
        """
        owner, rows = self.of(users)
        place = torch.searchsorted(pool, rows).clamp_(max=len(pool) - 1)
        there = pool[place] == rows
        found = torch.zeros(len(users), len(pool), dtype=torch.bool, device=users.device)
        found[owner[there], place[there]] = True
        return found

    def has(self, users: Tensor, rows: Tensor) -> Tensor:
        """(B,) bool: whether each user has the item beside it."""
        sought = users * self.n_rows + rows
        place = torch.searchsorted(self._keys, sought).clamp_(max=len(self._keys) - 1)
        return self._keys[place] == sought


def pool(n_rows: int, most: int, *, generator: np.random.Generator, device: torch.device) -> Tensor:
    """(P,) distinct rows out of n_rows, ascending: at most so many, and all where there are no more."""
    drawn = generator.choice(n_rows, size=min(n_rows, most), replace=False, shuffle=False)
    return torch.from_numpy(np.sort(drawn)).to(device)
