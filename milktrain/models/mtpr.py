"""MTPR: items are ranked with and without their ids in training, so that an item without one, a new item, is nothing unusual.

Source: Du et al. 2020, "How to learn item representation for cold-start multimedia recommendation?".
Normal representation [q_i ; W f_i], counterfactual one [0 ; W f_i]; score (A p_u).(B rep_i); the sum of four BPR losses, in which the positive and
the negative are normal or counterfactual: N-N, C-C, N-C, C-N. A new item has no id, so the counterfactual one is what it has.
Ids, of users and items, learn by Adagrad, maps by Adam with weight decay, both at the same rate, .01.
Losses and penalties are summed over the batch, as in the authors' code: that sets how much the weight decay of the maps weighs.
Departures: content is all modalities side by side. The width of users is `dim`, which is 2d: ids of items take one half, mapped content the
other. The penalty of the maps is the optimizer's weight decay, which is the gradient of the same term.
Shapes: B triples, U users, W training items, C candidates, D width (2d).
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from milktrain import losses
from milktrain.config import TrainConfig
from milktrain.model_settings import ModelSettings
from milktrain.models import _layers as layers
from milktrain.recommender import Batch, Losses, Ranker, Task

STD = 0.01


class Settings(ModelSettings):
    """What MTPR alone knows."""

    map_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(default=0.01, description="weight decay of the maps under Adam")


USUAL = {"learning_rate": 1e-2}
SPACE = {
    "learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
    "map_decay": {"low": 1e-5, "high": 1e-1, "log": True},
    "reg": {"low": 1e-6, "high": 1e-2, "log": True},
}


class Mtpr(nn.Module):
    """The model and its objective.

    Args:
        content: of all items, side by side.
        items: numbers those that have an id.
        n_users: U.
        dim: D, of which one half is for ids of items and the other for content.
        reg: weight of the sum over the batch of |p_u|^2 + |q_pos|^2 + |q_neg|^2.
        map_decay: weight decay of the maps.
        generator: draws the initial weights.
    """

    def __init__(
        self, content: layers.Joined, items: layers.TrainingItems, *, n_users: int, dim: int, reg: float, map_decay: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.items, self.reg, self.map_decay = content, items, reg, map_decay
        of_ids = max(1, dim // 2)  # d
        self.users = layers.normal(n_users, dim, std=STD, generator=generator)  # P
        self.ids = layers.normal(items.count, of_ids, std=STD, generator=generator)  # Q
        self.of_content = _map(content.width, of_ids, generator=generator)  # W
        self.of_users = _map(dim, of_ids, generator=generator)  # A
        self.of_items = _map(2 * of_ids, of_ids, generator=generator)  # B

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:  # noqa: ARG002 - nothing is drawn in a step
        """Four BPR losses on one batch: every pair of a normal or counterfactual positive and negative."""
        p = self.users(batch.users)
        q = [self.items.look_up(self.ids.weight, items) for items in (batch.positives, batch.negatives)]
        u = self.of_users(p)  # (B, d)
        positive, negative = (self._scores(u, ids, items) for ids, items in zip(q, (batch.positives, batch.negatives), strict=True))
        bpr = losses.bpr((positive[:, :, None] - negative[:, None, :]).flatten(1))  # (4,): N-N, N-C, C-N, C-C
        norm = layers.mean_square_length(p, *q)
        return Losses(len(p) * (bpr.sum() + self.reg * norm), {"bpr": bpr.detach(), "regularisation": norm.detach()})

    def optimizers(self, *, learning_rate: float) -> Sequence[torch.optim.Optimizer]:
        """Adagrad for ids, Adam with weight decay for maps."""
        tables, maps = (self.users, self.ids), (self.of_content, self.of_users, self.of_items)
        return (
            torch.optim.Adagrad([each.weight for each in tables], lr=learning_rate),
            torch.optim.Adam([each.weight for each in maps], lr=learning_rate, weight_decay=self.map_decay, fused=True),
        )

    def ranker(self, items: Tensor) -> Ranker:
        """Normal representations of training items, counterfactual ones of new items."""
        z = self.places(items)
        return lambda users: self.of_users(self.users(users)) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items in the space that users are mapped to, (C, d)."""
        return layers.in_parts(lambda part: self.of_items(self._representation(self.items.look_up(self.ids.weight, part), part)), items)

    def _representation(self, ids: Tensor, items: Tensor) -> Tensor:
        return torch.cat([ids, self.of_content(self.content.of(items))], dim=1)

    def _scores(self, u: Tensor, ids: Tensor, items: Tensor) -> Tensor:
        """(B, 2): of the normal and of the counterfactual item, which differ by what ids give."""
        from_content = u @ self.of_items.weight[:, ids.shape[1] :]  # (B, d)
        from_ids = u @ self.of_items.weight[:, : ids.shape[1]]
        counterfactual = (from_content * self.of_content(self.content.of(items))).sum(dim=1)
        return torch.stack([counterfactual + (from_ids * ids).sum(dim=1), counterfactual], dim=1)


def _map(n_in: int, n_out: int, *, generator: torch.Generator) -> nn.Linear:
    """Without bias, normally distributed."""
    layer = layers.linear(n_in, n_out, generator=generator, bias=False)
    nn.init.normal_(layer.weight, std=STD, generator=generator)
    return layer


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Mtpr:
    """MTPR for a task."""
    own = Settings.model_validate(config.of_model)
    content, items = layers.Joined(task.content), layers.TrainingItems(task.content.is_train, task.train)
    return Mtpr(content, items, n_users=task.n_users, dim=config.dim, reg=config.reg, map_decay=own.map_decay, generator=generator)
