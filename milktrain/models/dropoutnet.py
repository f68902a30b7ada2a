"""DropoutNet: towers learn to give the scores of collaborative vectors, also where the vectors are taken away and content alone is left.

Source: Volkovs et al. 2017, "DropoutNet: addressing cold start in recommender systems". An item's tower sees its collaborative vector and its
content, a user's tower the user's collaborative vector; their inner product is to be that of the collaborative vectors, in squared error. In each
step the vectors of half of the items, and independently of half of the users, are zeros. A new item has zeros for a vector and keeps its content.
Half of the weight lies on each user's best items by collaborative score, half on random ones.
Departures: users have no content here. The publication draws 2,500 best and 2,500 random items a user and takes them a hundred pairs at a time,
each with towers run anew; here a step takes users and random items, runs each tower once a row, and all of their pairs count, so that what is
taken away is so for all pairs of a row in the step: the expected loss is nearly the same (a user with more of the best in a step weighs more in
it), and a pair costs a thousandth. The publication standardises what towers see, and divides the rate by 10 every 50 steps; here vectors are as
they were learned, and the rate stays. `batch_size` is of users. Users and items without a training interaction, whose vectors say nothing, are
not learned from. Linear layers before a normalisation have no bias, which it would take away.
Shapes: B users, N items of a step, U users, H width of collaborative vectors, D width of scores.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from milktrain.config import TrainConfig
from milktrain.model_settings import CollaborativeSettings
from milktrain.models import _layers as layers
from milktrain.models import _towers as towers
from milktrain.recommender import Batch, Batches, Collaborative, Content, Losses, Ranker, Task

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=65_536)]

IDLE = frozenset({"negatives"})
STEP = "users, each with all items of the step"
USUAL = {"learning_rate": 5e-3, "batch_size": 256, "dim": 200, "reg": 0.0}
SPACE = {
    "learning_rate": {"low": 1e-3, "high": 2e-2, "log": True},
    "items_without_vector": {"low": 0.3, "high": 1.0},
    "users_without_vector": {"low": 0.0, "high": 0.5},
    "backbone": {"choices": ["bpr-mf", "lightgcn"]},
}
#: Users whose scores of all items are looked at together, and candidates that go through the tower together.
ROWS_PER_CHUNK = 1024
#: Scores computed at a time when looking for the best: 16 MB.
CELLS = 2**22


class Settings(CollaborativeSettings):
    """What DropoutNet alone knows."""

    first_width: Width = Field(default=800, description="width of the first hidden layer of both towers")
    second_width: Width = Field(default=400, description="width of the second hidden layer")
    items_per_step: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(default=256, description="random training items of a step")
    best_items: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default=2500, description="items of each user that are best by collaborative score, on which half of the weight lies"
    )
    items_without_vector: Share = Field(default=0.5, description="share of a step's items that show their content alone")
    users_without_vector: Share = Field(default=0.5, description="share of a step's users that show nothing")


class DropoutNet(nn.Module):
    """The towers and their objective.

    Args:
        content: of all items.
        items: numbers those that have a vector.
        vectors: collaborative ones; kept in the state, never moved.
        hidden: widths of the hidden layers of both towers.
        dim: D.
        items_per_step: N.
        best_items: how many items of a user are the best.
        items_without_vector: share of the items whose vectors are taken away in a step.
        users_without_vector: share of the users.
        reg: weight of the squares of all weights of linear layers.
        generator: draws the initial weights.
    """

    users: Tensor

    def __init__(
        self, content: Content, items: layers.TrainingItems, vectors: Collaborative, *, hidden: Sequence[int], dim: int, items_per_step: int,
        best_items: int, items_without_vector: float, users_without_vector: float, reg: float, generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.reg = layers.Joined(content), reg
        self.items_per_step, self.best_items = items_per_step, best_items
        self.items_without_vector, self.users_without_vector = items_without_vector, users_without_vector
        width = vectors.users.shape[1]
        self.register_buffer("users", vectors.users.clone())  # (U, H)
        self.items = towers.KnownItems(vectors, items)
        self.of_users = towers.Tower(width, hidden, dim, generator=generator)
        self.of_items = towers.Tower(width + self.content.width, hidden, dim, generator=generator)
        self._thresholds: Tensor | None = None

    def optimizers(self, *, learning_rate: float) -> Sequence[torch.optim.Optimizer]:
        """Gradient descent with momentum."""
        return towers.momentum_descent(self, learning_rate=learning_rate)

    def batches(self, *, batch_size: int, generator: torch.Generator) -> Batches:
        """Every user with a vector once, each step with items drawn for it, as the positives; there are no negatives."""
        users, known = self.users.ne(0).any(dim=1).nonzero().squeeze(1).cpu(), self.items.ids().cpu()
        parts = torch.split(users[torch.randperm(len(users), generator=generator)], batch_size)
        none, n = users.new_empty(0), min(self.items_per_step, len(known))
        drawn = (known[torch.randperm(len(known), generator=generator)[:n]] for _ in parts)
        return Batches(len(parts), (Batch(part, items, none) for part, items in zip(parts, drawn, strict=True)))

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """Squared error of all pairs of the step, half of the weight on each user's best."""
        u, v = self.users[batch.users], self.items.of(batch.positives)
        with torch.autocast(u.device.type, enabled=False):  # thresholds are compared with targets to the last digit
            target, least = u @ v.T, self._thresholds_of(batch.users)  # (B, N) of the vectors as they are, (B,)
        u = _without(u, self.users_without_vector, generator=generator)
        v = _without(v, self.items_without_vector, generator=generator)
        found = self.of_users(u) @ self.of_items(torch.cat([v, self.content.of(batch.positives)], dim=1)).T
        error = (found - target).square()
        best = target >= least[:, None]
        everywhere, at_best = error.mean(), (error * best).sum() / best.sum().clamp(min=1)
        total = 0.5 * everywhere + 0.5 * at_best + self.reg * towers.squared_weights(self)
        return Losses(total, {"error": everywhere.detach(), "error_at_best": at_best.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products of the towers' outputs."""
        z = self.places(items)
        return lambda users: self.of_users(self.users[users]) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items to (C, D): training items by vector and content, new ones by content."""
        parts = torch.split(items, ROWS_PER_CHUNK)
        return torch.cat([self.of_items(torch.cat([self.items.of(part), self.content.of(part)], dim=1)) for part in parts])

    def _thresholds_of(self, users: Tensor) -> Tensor:
        """Score of the last of each user's best items; what is not yet known in a training is computed for all users at once."""
        if self._thresholds is None:
            table = self.items.of(self.items.ids())
            last = min(self.best_items, len(table))
            parts = (part @ table.T for part in torch.split(self.users, max(1, CELLS // len(table))))
            self._thresholds = torch.cat([scores.topk(last, dim=1, sorted=False).values.amin(dim=1) for scores in parts])  # (U,)
        return self._thresholds[users]


def _without(rows: Tensor, share: float, *, generator: np.random.Generator) -> Tensor:
    """Rows, a share of them zeros."""
    gone = layers.chosen_rows(len(rows), share, generator=generator, device=rows.device)
    return rows.masked_fill(gone[:, None], 0)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> DropoutNet:
    """DropoutNet for a task."""
    own = Settings.model_validate(config.of_model)
    assert task.collaborative is not None, "the settings name a backbone"
    items = layers.TrainingItems(task.content.is_train, task.train)
    return DropoutNet(
        task.content, items, task.collaborative, hidden=(own.first_width, own.second_width), dim=config.dim, items_per_step=own.items_per_step,
        best_items=own.best_items, items_without_vector=own.items_without_vector, users_without_vector=own.users_without_vector, reg=config.reg,
        generator=generator,
    )  # fmt: skip
