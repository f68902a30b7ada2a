"""CCFCRec: content is drawn to the ids of items that occur with an item for some user, and away from others.

Source: Zhou et al. 2023, "Contrastive collaborative filtering for cold-start item recommendation".
q = Linear-LeakyReLU-Linear of the content, z the item's id. Contrast by cosine at temperature t: q with the ids of co-occurring items, each
against others of its own; and q with the item's own z against others (self contrast). Ranking: for an item, the user who has it comes before a
user who has not, once by z and once by q. The sum is weighted w and 1 - w. A new item has no id: q ranks it.
Losses are summed over the batch, as in the authors' code: that sets how much the weight decay weighs.
Departures: attention over an item's attributes is the inner map of a dense content. A co-occurring item is drawn as a user of the item, then
another item of that user; the publication's lists of all such items grow with the square of what users have. Others are drawn for each contrast
out of a pool that is drawn for the batch, so that one matrix product gives all cosines; what the batch's own user has is none of them,
while an item that occurs with it for another user alone can be. The learning rate is ten times the publication's 1e-4, which was for many
times the steps an epoch. Weight decay regularises, and `reg` adds nothing unless it is set.
The setting `negatives` is for `ranked = "items"`; where users are ranked it is refused.
Shapes: B interactions, P pool, K co-occurring items, N others each, U users, W training items, C candidates, D width.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from milktrain.config import TrainConfig
from milktrain.model_settings import ModelSettings
from milktrain.models import _histories as histories
from milktrain.models import _layers as layers
from milktrain.models._encoded import EncodedItems
from milktrain.models._histories import Histories
from milktrain.recommender import Batch, Losses, Task

Count = Annotated[int, Field(ge=1, le=65_536)]
#: Distinct items that the others of a batch are drawn from.
POOL = 1024
#: How often a user who turns out to have the item is drawn again; who has it still is left out of the ranking.
REDRAWS = 8


class Settings(ModelSettings):
    """What CCFCRec alone knows."""

    n_co_occurring: Count = Field(default=5, description="co-occurring items each item's content is drawn to")
    n_others: Count = Field(default=40, description="items that each of them is contrasted with")
    n_self_others: Count = Field(default=40, description="items that the item's own id is contrasted with")
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(default=0.1, description="of the contrasts")
    contrast_weight: Annotated[float, Field(ge=0, le=1)] = Field(default=0.5, description="weight of the contrasts; the rest is that of the ranking")
    ranked: Literal["users", "items"] = Field(default="users", description="what BPR compares: users for an item, or items for a user as others do")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(default=0.1, description="of all parameters under Adam")


IDLE_WITH = {"negatives": ("ranked", "users")}
STEP = "training interactions, each with a user who has not the item, or a negative"
USUAL = {"learning_rate": 1e-3, "batch_size": 1024, "reg": 0.0}
SPACE = {
    "learning_rate": {"low": 3e-4, "high": 1e-2, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "contrast_weight": {"low": 0.3, "high": 0.7},
    "ranked": {"choices": ["users", "items"]},
}


class CoOccurring:
    """Draws items that occur with an item: one of its users, then another item of that user.

    Args:
        known: what users have in training.
    """

    def __init__(self, known: Histories) -> None:
        place = torch.arange(len(known.rows), device=known.rows.device)
        with_another = known.counts[known.users] > 1
        entries = place[with_another]
        self._entries = entries[known.rows[entries].argsort(stable=True)]  # interactions by item, then user
        self._counts = torch.bincount(known.rows[entries], minlength=known.n_rows)  # (W,)
        self._starts = self._counts.cumsum(0) - self._counts
        self._known = known

    def draw(self, rows: Tensor, n: int, *, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """So many rows that occur with each of (B,) rows, with replacement.

        Returns:
            (B, n) rows; and (B,) bool, False for a row that no other occurs with: what stands beside it is nothing then.
        """
        known, there = self._known, self._counts[rows] > 0
        chosen = self._starts[rows, None] + _below(self._counts[rows, None].expand(-1, n), generator)
        entry = self._entries[chosen.masked_fill(~there[:, None], 0)] if len(self._entries) else torch.zeros_like(chosen)
        user = known.users[entry]
        of_user = known.starts[user]
        other = _below(known.counts[user] - 1, generator)
        other = other + (other >= entry - of_user)  # pass by the item itself
        last = len(known.rows) - 1  # for rows that are nothing
        return known.rows[(of_user + other).clamp(max=last)], there


class Ccfcrec(EncodedItems):
    """The model and its objective.

    Args:
        content: of all items, side by side.
        items: numbers those that have an id.
        known: what users have in training.
        dim: D.
        reg: weight of the sum over the batch of squared lengths; all losses are sums, their parts in the log are means.
        own: the rest.
        generator: draws the initial weights.
    """

    def __init__(
        self, content: layers.Joined, items: layers.TrainingItems, known: Histories, *, dim: int, reg: float, own: Settings,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__(content, items, known, dim=dim, hidden=dim, generator=generator)
        self.reg, self.own = reg, own
        self.co_occurring = CoOccurring(known)
        self.active = known.counts.nonzero().squeeze(1)  # who can be the user that has not

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """Contrasts and ranking on one batch; its negatives are not looked at, others are drawn."""
        rows = self.items.rows(batch.positives)
        z, q = self.ids(rows), self.encode(batch.positives)  # (B, D)
        contrast, self_contrast = self._contrasts(batch.users, rows, q, generator)
        by_ids, by_content, norm = self._rankings(batch, z, q, generator)
        weight = self.own.contrast_weight
        total = weight * (contrast + self_contrast) + (1 - weight) * (by_ids + by_content) + self.reg * norm
        parts = {"contrast": contrast, "self_contrast": self_contrast, "by_ids": by_ids, "by_content": by_content, "regularisation": norm}
        return Losses(len(rows) * total, {name: part.detach() for name, part in parts.items()})

    def optimizers(self, *, learning_rate: float) -> Sequence[torch.optim.Optimizer]:
        """Adam with weight decay."""
        return (torch.optim.Adam(self.parameters(), lr=learning_rate, weight_decay=self.own.weight_decay, fused=True),)

    def _contrasts(self, users: Tensor, rows: Tensor, q: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """() with co-occurring items, and () with the item itself."""
        own, device = self.own, users.device
        pool = histories.pool(self.items.count, POOL, generator=generator, device=device)  # (P,)
        q = F.normalize(q, dim=1)
        cosines = (q @ F.normalize(self.ids(pool), dim=1).T).masked_fill(self.known.taken(users, pool), -torch.inf)  # (B, P)
        friends, there = self.co_occurring.draw(rows, own.n_co_occurring, generator=generator)  # (B, K)
        near = (q[:, None] * F.normalize(self.ids(friends), dim=2)).sum(dim=2)  # (B, K)
        itself = (q * F.normalize(self.ids(rows), dim=1)).sum(dim=1, keepdim=True)  # (B, 1)
        with_friends = _drawn_cross_entropy(near, cosines, own.n_others, generator, temperature=own.temperature)
        with_itself = _drawn_cross_entropy(itself, cosines, own.n_self_others, generator, temperature=own.temperature)
        return _mean(with_friends.mean(dim=1), there), with_itself.mean()

    def _rankings(self, batch: Batch, z: Tensor, q: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """() by ids, () by content, and () the mean over the batch of the squared lengths of all that they compare."""
        u = self.users(batch.users)
        if self.own.ranked == "items":
            z_other, q_other = self.items.look_up(self.ids.weight, batch.negatives), self.encode(batch.negatives)
            by_ids, by_content = (F.softplus((u * gap).sum(dim=1)).mean() for gap in (z_other - z, q_other - q))
            return by_ids, by_content, layers.mean_square_length(u, z, q, z_other, q_other)
        others, usable = self._who_has_not(self.items.rows(batch.positives), generator)
        k = self.users(others)
        by_ids, by_content = (_mean(F.softplus(((k - u) * item).sum(dim=1)), usable) for item in (z, q))
        return by_ids, by_content, layers.mean_square_length(u, k, z, q)

    def _who_has_not(self, rows: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(B,) users, each drawn among those who are active; and (B,) bool, False for one who has the row beside it."""
        drawn = self._draw_users(len(rows), generator)
        for _ in range(REDRAWS):
            wrong = self.known.has(drawn, rows).nonzero().squeeze(1)
            if not len(wrong):
                break
            drawn[wrong] = self._draw_users(len(wrong), generator)
        return drawn, ~self.known.has(drawn, rows)

    def _draw_users(self, n: int, generator: np.random.Generator) -> Tensor:
        return self.active[torch.from_numpy(generator.integers(len(self.active), size=n)).to(self.active.device)]


def _drawn_cross_entropy(positive: Tensor, cosines: Tensor, n: int, generator: np.random.Generator, *, temperature: float) -> Tensor:
    """-log of each positive's share in the softmax over itself and n others, drawn for it with replacement out of the row of cosines.

    Shapes: positive (B, K), cosines (B, P), minus infinity where they are no others; the answer (B, K).
    """
    b, k = positive.shape
    columns = torch.from_numpy(generator.integers(cosines.shape[1], size=(b, k * n))).to(cosines.device)
    others = cosines.gather(1, columns).view(b, k, n)
    scores = torch.cat([positive[:, :, None], others], dim=2) / temperature
    return scores.logsumexp(dim=2) - scores[:, :, 0]


def _below(limits: Tensor, generator: np.random.Generator) -> Tensor:
    """Whole numbers drawn evenly from 0 to each limit, which is left out; 0 where there are none."""
    uniform = torch.from_numpy(generator.random(limits.shape)).to(limits.device)
    return (uniform * limits).long().clamp(min=0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """() mean of (B,) values over those that count; 0 where none does."""
    return (values * counted).sum() / counted.sum().clamp(min=1)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Ccfcrec:
    """CCFCRec for a task."""
    items = layers.TrainingItems(task.content.is_train, task.train)
    known = Histories(task.train, items, n_users=task.n_users, device=task.content.is_train.device)
    return Ccfcrec(
        layers.Joined(task.content), items, known, dim=config.dim, reg=config.reg, own=Settings.model_validate(config.of_model), generator=generator
    )
