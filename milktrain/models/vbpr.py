"""VBPR: matrix factorisation with a visual part: users and items meet in a space of ids and in one that content is mapped to.

Source: He & McAuley 2016, "VBPR: Visual Bayesian personalized ranking from implicit feedback".
score = b_i + b'.f_i + g_u.g_i + t_u.(E f_i); the terms of the user and of all alone order nothing and are left out, as in its optimisation.
A new item has no id: its g and b are zero, and the content part alone ranks it.
Departures: content is all modalities side by side, not pictures alone. The width is halved between ids and content, as the publication
halves it. Adam, with initial values N(0, .01), for plain stochastic gradients. As there, the maps of content are not regularised.
Shapes: B triples, U users, W training items, C candidates, D width, F width of content.
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


class Vbpr(nn.Module):
    """The model and its objective.

    Args:
        content: of all items, side by side.
        items: numbers those that have an id.
        n_users: U.
        dim: D, of which one half is for ids and the other for content.
        reg: weight of the mean over the batch of the squared lengths of what belongs to its users and items.
        generator: draws the initial weights.
    """

    def __init__(
        self, content: layers.Joined, items: layers.TrainingItems, *, n_users: int, dim: int, reg: float, generator: torch.Generator
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.items, self.reg = content, items, reg
        of_ids = dim // 2
        self.users = layers.normal(n_users, dim, std=STD, generator=generator)  # g_u, t_u
        self.ids = layers.normal(items.count, of_ids, std=STD, generator=generator)  # g_i
        self.biases = nn.Embedding(items.count, 1, _weight=torch.zeros(items.count, 1))  # b_i
        self.to_users = layers.linear(content.width, dim - of_ids, generator=generator, bias=False)  # E
        self.to_bias = layers.linear(content.width, 1, generator=generator, bias=False)  # b'

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:  # noqa: ARG002 - nothing is drawn in a step
        """BPR on one batch."""
        u = self.users(batch.users)  # (B, D)
        positive, negative = self._parts(batch.positives), self._parts(batch.negatives)
        gap = self._scores(u, positive) - self._scores(u, negative)  # (B,)
        bpr = losses.bpr(gap[:, None]).mean()
        norm = layers.mean_square_length(u, *positive[:2], *negative[:2])
        return Losses(bpr + self.reg * norm, {"bpr": bpr.detach(), "regularisation": norm.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products, plus what an item has for everybody."""
        z, bias = self.places(items), self._biases(items)
        return lambda users: self.users(users) @ z.T + bias

    def places(self, items: Tensor) -> Tensor:
        """(C,) items in the users' space, (C, D): id, zero for a new one, beside mapped content."""
        content = layers.in_parts(lambda part: self.to_users(self.content.of(part)), items)
        return torch.cat([self.items.look_up(self.ids.weight, items), content], dim=1)

    def _biases(self, items: Tensor) -> Tensor:
        content = layers.in_parts(lambda part: self.to_bias(self.content.of(part)), items)
        return (self.items.look_up(self.biases.weight, items) + content).squeeze(1)

    def _parts(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ids (B, D / 2), biases (B, 1), and what content gives (B, D - D / 2 + 1)."""
        content = self.content.of(items)
        own = self.items.look_up(self.ids.weight, items), self.items.look_up(self.biases.weight, items)
        return *own, torch.cat([self.to_users(content), self.to_bias(content)], dim=1)

    @staticmethod
    def _scores(u: Tensor, parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        ids, bias, content = parts
        z = torch.cat([ids, content[:, :-1]], dim=1)
        return (u * z).sum(dim=1) + bias[:, 0] + content[:, -1]


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Vbpr:
    """VBPR for a task."""
    content, items = layers.Joined(task.content), layers.TrainingItems(task.content.is_train, task.train)
    return Vbpr(content, items, n_users=task.n_users, dim=config.dim, reg=config.reg, generator=generator)
