"""CLCRec: contrasts that make the content of an item say of it what its interactions say.

Source: Wei et al. 2021, "Contrastive learning for cold-start recommendation".
Two softmax cross-entropies of a training item against others, at temperature t, weighted l and 1 - l. Between representation and content
(R-E): the item's id against encoded contents, all at length 1. Between user and item (U-I): the user's inner product with the item's id,
in whose place stands, for a share of the pairs drawn anew at each step, its encoded content. A new item has no id: the encoder ranks it.
Departures: negatives are drawn for a whole batch, not for each interaction, so that one matrix product scores them all; an item the user has
in training is no negative of that user, and drops out of the softmax. Negatives are training items whatever `negatives` says. The
length of embeddings that is regularised is a mean over users and items of the batch, unsquared, as in the authors' code. The temperature is
.2, the publication's 2: with that, and its stronger regularisation of .1, training stops by validation before users have learned anything.
Shapes: B interactions, P negatives, U users, W training items, C candidates, D width.
"""

from typing import Annotated

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

Share = Annotated[float, Field(ge=0, le=1)]


class Settings(ModelSettings):
    """What CLCRec alone knows."""

    n_negatives: Annotated[int, Field(ge=1, le=65_536)] = Field(default=128, description="items each training item is contrasted with")
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(default=0.2, description="of both contrasts")
    content_weight: Share = Field(default=0.5, description="weight of the contrast of ids and content; the rest is that of users and items")
    content_share: Share = Field(default=0.5, description="pairs of a user and an item in which content stands for the id")
    hidden: Annotated[int, Field(ge=1, le=65_536)] = Field(default=256, description="width of the encoder's inner layer")


IDLE = frozenset({"negatives"})
STEP = "training interactions, which share n_negatives negatives"
USUAL = {"learning_rate": 1e-3, "batch_size": 256, "reg": 1e-3}
SPACE = {
    "content_weight": {"low": 0.5, "high": 0.9},
    "reg": {"low": 1e-3, "high": 1e-1, "log": True},
    "temperature": {"low": 0.1, "high": 2.0, "log": True},
}


class Clcrec(EncodedItems):
    """The model and its objective.

    Args:
        content: of all items, side by side.
        items: numbers those that have an id.
        known: what users have in training.
        dim: D.
        reg: weight of the mean length of embeddings.
        own: the rest.
        generator: draws the initial weights.
    """

    def __init__(
        self, content: layers.Joined, items: layers.TrainingItems, known: Histories, *, dim: int, reg: float, own: Settings,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__(content, items, known, dim=dim, hidden=own.hidden, generator=generator)
        self.reg, self.own = reg, own

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """Both contrasts on one batch; its negatives are not looked at, others are drawn."""
        device = batch.users.device
        rows = histories.pool(self.items.count, self.own.n_negatives, generator=generator, device=device)  # (P,)
        taken = self.known.taken(batch.users, rows)  # (B, P)
        u, ids, others = self.users(batch.users), self.ids(self.items.rows(batch.positives)), self.ids(rows)
        encoded, others_encoded = self.encode(batch.positives), self.encode(self.items.ids.to(device)[rows])
        by_content = _cross_entropy(*_scores(_unit(ids), _unit(encoded), _unit(others_encoded)), taken, temperature=self.own.temperature)
        content_stands = generator.random((len(u), 1 + len(rows)), dtype=np.float32) < self.own.content_share
        swapped = torch.from_numpy(content_stands).to(device)
        of_ids, of_content = (torch.cat(_scores(u, *pair), dim=1) for pair in ((ids, others), (encoded, others_encoded)))
        mixed = torch.where(swapped, of_content, of_ids)  # (B, 1 + P)
        by_users = _cross_entropy(mixed[:, :1], mixed[:, 1:], taken, temperature=self.own.temperature)
        length = (torch.linalg.vector_norm(u, dim=1).mean() + self._mean_length(ids, others)) / 2
        total = self.own.content_weight * by_content + (1 - self.own.content_weight) * by_users + self.reg * length
        parts = {"ids_content": by_content, "users_items": by_users, "regularisation": length}
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    @staticmethod
    def _mean_length(positives: Tensor, others: Tensor) -> Tensor:
        """() over the positive of each interaction and its P negatives."""
        n = len(others)
        lengths = [torch.linalg.vector_norm(each, dim=1).mean() for each in (positives, others)]
        mean: Tensor = (lengths[0] + n * lengths[1]) / (1 + n)
        return mean


def _scores(anchors: Tensor, positives: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Of (B, D) anchors with their own (B, D) positives, (B, 1), and with (P, D) others, (B, P)."""
    return (anchors * positives).sum(dim=1, keepdim=True), anchors @ others.T


def _cross_entropy(positive: Tensor, others: Tensor, taken: Tensor, *, temperature: float) -> Tensor:
    """() mean over the batch of -log of the positive's share in the softmax over itself and the others that are not taken.

    Shapes: positive (B, 1); others, taken (B, P).
    """
    scores = torch.cat([positive, others.masked_fill(taken, -torch.inf)], dim=1) / temperature
    return (scores.logsumexp(dim=1) - scores[:, 0]).mean()


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=1)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Clcrec:
    """CLCRec for a task."""
    items = layers.TrainingItems(task.content.is_train, task.train)
    known = Histories(task.train, items, n_users=task.n_users, device=task.content.is_train.device)
    own = Settings.model_validate(config.of_model)
    return Clcrec(layers.Joined(task.content), items, known, dim=config.dim, reg=config.reg, own=own, generator=generator)
