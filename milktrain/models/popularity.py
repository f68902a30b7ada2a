"""Popularity: the number of training interactions of an item, the same list for everybody.

A floor. New items have none, so among new items it is the tie rule's random order: that is what popularity knows of them.
"""

import torch
from torch import Tensor

from milktrain.config import TrainConfig
from milktrain.recommender import Ranker, Task


class Popularity:
    """Scores an item by how many users have it in training.

    Args:
        counts: (V,) training interactions of each item.
    """

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts

    def ranker(self, items: Tensor) -> Ranker:
        """The same row for every user."""
        counts = self.counts[items].float()
        return lambda users: counts.expand(len(users), -1)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Popularity:
    """Popularity of a task; it has no settings and draws nothing."""
    return Popularity(torch.bincount(task.train[:, 1], minlength=len(task.content.available)))
