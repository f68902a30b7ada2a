"""DUIF: users live where content is mapped to; a score is the user's vector times one linear map of the item's content.

Source: Geng et al. 2015, "Learning image and user features for recommendation in social networks".
Departures: the publication learns the content network from pictures; here content comes ready, all modalities side by side. Its loss of
scores against 1 and 0 is BPR here, as in the comparisons of later papers.
Shapes: B triples, U users, D width.
"""

import numpy as np
import torch
from torch import Tensor, nn

from milktrain import losses
from milktrain.config import TrainConfig
from milktrain.models import _layers as layers
from milktrain.recommender import Batch, Losses, Ranker, Task

STD = 0.01

SPACE = {
    "learning_rate": {"low": 3e-4, "high": 1e-2, "log": True},
    "reg": {"low": 1e-6, "high": 1e-1, "log": True},
}


class Duif(nn.Module):
    """The model and its objective.

    Args:
        content: of all items, side by side.
        n_users: U.
        dim: D.
        reg: weight of the mean over the batch of |u|^2 + |z_pos|^2 + |z_neg|^2.
        generator: draws the initial weights.
    """

    def __init__(self, content: layers.Joined, *, n_users: int, dim: int, reg: float, generator: torch.Generator) -> None:
        super().__init__()
        self.content, self.reg = content, reg
        self.users = layers.normal(n_users, dim, std=STD, generator=generator)
        self.to_users = layers.linear(content.width, dim, generator=generator)

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:  # noqa: ARG002 - nothing is drawn in a step
        """BPR on one batch."""
        u = self.users(batch.users)  # (B, D)
        positive, negative = self.places(batch.positives), self.places(batch.negatives)
        bpr = losses.bpr((u * (positive - negative)).sum(dim=1, keepdim=True)).mean()
        norm = layers.mean_square_length(u, positive, negative)
        return Losses(bpr + self.reg * norm, {"bpr": bpr.detach(), "regularisation": norm.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products with the mapped content."""
        z = self.places(items)
        return lambda users: self.users(users) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items in the users' space, (C, D)."""
        return layers.in_parts(lambda part: self.to_users(self.content.of(part)), items)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Duif:
    """DUIF for a task."""
    return Duif(layers.Joined(task.content), n_users=task.n_users, dim=config.dim, reg=config.reg, generator=generator)
