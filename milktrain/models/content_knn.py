"""Content neighbours: new items like what a user has, by content alone. Nothing is learned: a floor for whoever learns from content.

`profile`: the cosine of a candidate's content with the mean content of the user's training items. `nearest`: the mean cosine with the k of the
user's items that are most like the candidate. A user without training items scores 0 with everything.
Shapes: U users, C candidates, n interactions of the users at hand, F width of all modalities side by side, L items of a user at most.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from milktrain.config import TrainConfig
from milktrain.model_settings import ModelSettings
from milktrain.models import _layers as layers
from milktrain.models._histories import Histories
from milktrain.recommender import Content, Ranker, Task

#: Numbers of content that are joined for users at a time: 256 MB.
CELLS_OF_CONTENT = 2**26
#: Cosines of users' items with candidates that are in memory at a time, in `nearest`.
CELLS = 2**22


class Settings(ModelSettings):
    """What content neighbours alone know."""

    likeness: Literal["profile", "nearest"] = Field(default="profile", description="like the mean of the user's items, or like the nearest of them")
    n_nearest: Annotated[int, Field(ge=1, le=65_536)] = Field(default=5, description="how many of the user's items `nearest` takes, at most")


SPACE = {
    "likeness": {"choices": ["profile", "nearest"]},
    "n_nearest": {"low": 1, "high": 20, "only_with": {"likeness": ["nearest"]}},
}


class ContentKnn:
    """Scores candidates by the content of what users have.

    Args:
        content: of all items; scored in main memory.
        train: (n, 2) int64 user, item.
        n_users: U.
        own: the settings.
    """

    def __init__(self, content: Content, train: Tensor, *, n_users: int, own: Settings) -> None:
        in_memory = Content(tuple(matrix.cpu() for matrix in content.features), content.available.cpu(), content.is_train.cpu())
        self.own = own
        self.content = layers.Joined(in_memory)
        self.items = layers.TrainingItems(in_memory.is_train, train)
        self.known = Histories(train.cpu(), self.items, n_users=n_users, device=torch.device("cpu"))

    def ranker(self, items: Tensor) -> Ranker:
        """Cosines with (C,) candidates."""
        z = self.places(items)
        if self.own.likeness == "profile":
            return lambda users: self._by_profile(users, z)
        return lambda users: self._by_nearest(users, z)

    def places(self, items: Tensor) -> Tensor:
        """Content of (C,) items at length 1, (C, F)."""
        return F.normalize(self.content.of(items), dim=1)

    def _by_profile(self, users: Tensor, z: Tensor) -> Tensor:
        """(U, C)."""
        # Even in size, so that no last part of one row takes another way through the matrix product.
        n_parts = -(-len(users) * self.content.width // CELLS_OF_CONTENT)
        return torch.cat([self._profiles(part) @ z.T for part in torch.tensor_split(users, max(1, min(n_parts, len(users))))])

    def _profiles(self, users: Tensor) -> Tensor:
        """(U, F) mean contents at length 1."""
        owner, rows = self.known.of(users)
        total = torch.zeros(len(users), self.content.width)
        for part in torch.split(torch.arange(len(rows)), max(1, CELLS // self.content.width)):
            total.index_add_(0, owner[part], self.content.of(self.items.ids[rows[part]]))
        return F.normalize(total, dim=1)  # a mean has the direction of the sum

    def _by_nearest(self, users: Tensor, z: Tensor) -> Tensor:
        """(U, C); users with like numbers of items go together, so that little is padded."""
        scores = torch.zeros(len(users), len(z))
        counts = self.known.counts[users]
        order = counts.argsort(stable=True)
        order = order[counts[order] > 0]
        while len(order):
            most = int(counts[order[-1]])  # those that have most are last
            n = max(1, CELLS // (most * len(z)))
            parts = torch.split(z, max(1, CELLS // most))  # one, but for a user who has very many
            scores[order[-n:]] = torch.cat([self._of_block(users[order[-n:]], part) for part in parts], dim=1)
            order = order[:-n]
        return scores

    def _of_block(self, users: Tensor, z: Tensor) -> Tensor:
        owner, rows = self.known.of(users)
        counts = self.known.counts[users]
        place = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[owner]
        cosines = torch.full((len(users), int(counts.max()), len(z)), -torch.inf)  # (U, L, C)
        parts = torch.split(self.items.ids[rows], max(1, CELLS_OF_CONTENT // self.content.width))
        cosines[owner, place] = torch.cat([self.places(part) @ z.T for part in parts])
        best = cosines.topk(min(self.own.n_nearest, cosines.shape[1]), dim=1).values  # (U, k, C)
        there = best > -torch.inf
        return best.masked_fill(~there, 0).sum(dim=1) / there.sum(dim=1)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> ContentKnn:
    """Content neighbours for a task."""
    return ContentKnn(task.content, task.train, n_users=task.n_users, own=Settings.model_validate(config.of_model))
