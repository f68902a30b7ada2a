"""Content popularity: how often an item should be wanted by its content alone, one list for everybody. Nothing of users is learned.

A ridge regression of the number of training interactions of training items on their content, all modalities side by side. It is
what popularity can be among new items, and so the floor for whoever claims to know what single users want: few items have most
of the interactions, and who guesses them for everybody may look better than who ranks for each.
Shapes: V items, C candidates, F width of all modalities side by side.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from milktrain import ridge
from milktrain.config import TrainConfig
from milktrain.model_settings import ModelSettings
from milktrain.models import _layers as layers
from milktrain.recommender import Content, Ranker, Task


class Settings(ModelSettings):
    """What content popularity alone knows."""

    strength: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] = Field(
        default=0.1, description="of the penalty on the regression's weights, times the mean variance of a column of content"
    )


SPACE = {"strength": {"low": 1e-3, "high": 10.0, "log": True}}


class ContentPopularity:
    """Scores an item by the number of interactions that its content predicts.

    Args:
        content: of all items; scored in main memory.
        train: (n, 2) int64 user, item.
        strength: of the penalty.
    """

    def __init__(self, content: Content, train: Tensor, *, strength: float) -> None:
        in_memory = Content(tuple(matrix.cpu() for matrix in content.features), content.available.cpu(), content.is_train.cpu())
        self.content = layers.Joined(in_memory)
        rows = layers.TrainingItems(in_memory.is_train, train).ids  # an item that nobody interacted with is a new one here too
        counts = torch.bincount(train[:, 1].cpu(), minlength=len(in_memory.is_train)).double()
        mean = torch.stack([self.content.of(part).double().sum(dim=0) for part in torch.split(rows, ridge.CHUNK_ROWS)]).sum(dim=0) / len(rows)
        self.predict = ridge.fit(
            self.content.of, lambda part: counts[part, None], rows, before=mean, after=counts[rows].mean()[None], strength=strength
        )

    def ranker(self, items: Tensor) -> Ranker:
        """The same row for every user."""
        scores = layers.in_parts(lambda part: self.predict(self.content.of(part)), items).squeeze(1)  # (C,)
        return lambda users: scores.expand(len(users), -1)


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> ContentPopularity:
    """Content popularity of a task; nothing is drawn."""
    return ContentPopularity(task.content, task.train, strength=Settings.model_validate(config.of_model).strength)
