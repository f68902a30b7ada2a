"""Random order: each user gets the candidates in an order of their own, drawn once. The floor that chance is."""

import torch
from torch import Tensor

from milktrain.config import TrainConfig
from milktrain.recommender import Ranker, Task


class RandomOrder:
    """Scores drawn per user from a generator seeded with the user's id, so asking twice gives the same list.

    Args:
        n_items: number of items in the catalogue.
        seed: of all orders.
    """

    def __init__(self, *, n_items: int, seed: int) -> None:
        self.n_items, self.seed = n_items, seed

    def ranker(self, items: Tensor) -> Ranker:
        """Uniform in [0, 1)."""
        return lambda users: torch.stack([self._row(user)[items] for user in users.tolist()])

    def _row(self, user: int) -> Tensor:
        return torch.rand(self.n_items, generator=torch.Generator().manual_seed(self.seed + user))


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> RandomOrder:
    """Random order for a task."""
    seed = int(torch.randint(2**31, (), generator=generator))
    return RandomOrder(n_items=len(task.content.available), seed=seed)
