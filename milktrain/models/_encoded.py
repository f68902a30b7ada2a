"""Users, ids of training items, and an encoder of content that stands where an item has no id: what contrastive models have in common.

Shapes: U users, W training items, C candidates, N items, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from milktrain.models import _layers as layers
from milktrain.models._histories import Histories
from milktrain.recommender import Ranker


class EncodedItems(nn.Module):
    """Tables and encoder, and scores by them.

    Args:
        content: of all items, side by side.
        items: numbers those that have an id.
        known: what users have in training.
        dim: D.
        hidden: width of the encoder's inner layer.
        generator: draws the initial weights.
    """

    def __init__(
        self, content: layers.Joined, items: layers.TrainingItems, known: Histories, *, dim: int, hidden: int, generator: torch.Generator
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.items, self.known = content, items, known
        self.users = layers.xavier(len(known.counts), dim, generator=generator)
        self.ids = layers.xavier(items.count, dim, generator=generator)
        self.inner = layers.linear(content.width, hidden, generator=generator)
        self.outer = layers.linear(hidden, dim, generator=generator)

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products with ids of training items, and encoded content of new ones."""
        z = self.places(items)
        return lambda users: self.users(users) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items in the users' space, (C, D)."""
        is_new = self.items.rows(items) < 0
        return torch.where(is_new[:, None], layers.in_parts(self.encode, items), self.items.look_up(self.ids.weight, items))

    def encode(self, items: Tensor) -> Tensor:
        """(N,) items by their content alone, (N, D)."""
        found: Tensor = self.outer(F.leaky_relu(self.inner(self.content.of(items))))
        return found
