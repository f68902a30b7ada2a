"""BPR-MF: a vector a user, a vector an item, their inner product, and pairs that were seen before pairs that were not.

Source: Rendle et al. 2009. Initial vectors are normally distributed around 0 with standard deviation 0.1, as milk's users are.
Shapes: B triples, U users, V items, D width.
"""

import numpy as np
import torch
from torch import Tensor, nn

from milktrain import losses
from milktrain.models import _layers as layers
from milktrain.recommender import Batch, Losses, Ranker

STD = 0.1
#: Found on held-out training interactions of TikTok: Recall@20 .13, against .06 with a regularisation of 1e-4, which cannot keep
#: 200 numbers for every 6 interactions from learning them by heart.
TRAINING = {"learning_rate": "5e-3", "reg": "3e-2"}


class BprMf(nn.Module):
    """The tables and their objective.

    Args:
        n_users: U.
        n_items: V.
        width: D.
        reg: weight of the mean over the batch of |u|^2 + |i|^2 + |j|^2.
        generator: draws the initial vectors.
    """

    def __init__(self, *, n_users: int, n_items: int, width: int, reg: float, generator: torch.Generator) -> None:
        super().__init__()
        self.reg = reg
        self.users = layers.normal(n_users, width, std=STD, generator=generator)
        self.items = layers.normal(n_items, width, std=STD, generator=generator)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(U, D) and (V, D), as they are scored."""
        return self.users.weight, self.items.weight

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:  # noqa: ARG002 - nothing is drawn in a step
        """BPR on one batch."""
        users, items = self.vectors()
        u, i, j = (layers.rows_of(table, ids) for table, ids in ((users, batch.users), (items, batch.positives), (items, batch.negatives)))
        bpr = losses.bpr((u * (i - j)).sum(dim=1, keepdim=True)).mean()
        norm = layers.mean_square_length(self.users(batch.users), self.items(batch.positives), self.items(batch.negatives))  # before any propagation
        return Losses(bpr + self.reg * norm, {"bpr": bpr.detach(), "regularisation": norm.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products."""
        of_users, of_items = self.vectors()
        candidates = of_items[items]
        return lambda users: of_users[users] @ candidates.T


def build(train: Tensor, *, n_users: int, n_items: int, width: int, reg: float, generator: torch.Generator) -> BprMf:  # noqa: ARG001 - a factorisation knows no graph
    """BPR-MF for training interactions."""
    return BprMf(n_users=n_users, n_items=n_items, width=width, reg=reg, generator=generator)
