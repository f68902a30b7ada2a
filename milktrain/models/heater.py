"""Heater: a mixture of experts makes an item's vector from its content, and takes the place of the collaborative vector for half of the items.

Source: Zhu et al. 2020, "Recommendation for new users and new items via randomized training and mixture-of-experts transformation". Every expert
is a layer of its own; a gate of the same content weighs them, c = tanh(sum over k of gate_k tanh(expert_k(content))). In a step c stands in for
the vectors of half of the items, and is drawn to the vectors of all of them. Vectors are standardised by column first, and cut. Users' and items'
go through a tower each; their inner product is to be 1 for interactions and 0 for 5 negatives each, in squared error. A new item is what the
tower makes of c.
Departures: users have no content here, and always show their vector. Rows of one item in a step share what is drawn for it, so that each item
goes through the experts once a step. The publication adds up the distances of the 1,024 rows of its step, at a weight of 1e-4; here it is their
mean, at 1,024 times the weight, whatever the size of a step; and the learning rate, .005 there, is six times that for steps of six times the
rows. A training item that nobody interacted with is in no loss, and ranked as a new one. Linear layers before a normalisation have no bias, which
it would take away; it sees each item of a step once, however often that occurs. Experts and gate start as torch's layers do.
Shapes: B positives, R = 6 B rows, N distinct items of a step, U users, K experts, H width of collaborative vectors, D width of scores.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from milktrain import sampling
from milktrain.config import TrainConfig
from milktrain.model_settings import CollaborativeSettings
from milktrain.models import _layers as layers
from milktrain.models import _towers as towers
from milktrain.recommender import Batch, Batches, Collaborative, Losses, Ranker, Task

IDLE = frozenset({"negatives"})
STEP = "training interactions, each with negatives_each negatives"
#: An epoch has six times the rows of other models', so validation is looked at more often.
USUAL = {"learning_rate": 3e-2, "batch_size": 1024, "dim": 200, "reg": 1e-4, "evaluate_every": 5, "patience": 10}
SPACE = {
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "closeness": {"low": 1e-3, "high": 10.0, "log": True},
    "items_by_content": {"low": 0.3, "high": 1.0},
    "backbone": {"choices": ["bpr-mf", "lightgcn"]},
}
#: How far from 0 standardised vectors may be; made ones, which stand in for items', are between -1 and 1.
MOST_OF_USERS, MOST_OF_ITEMS = 5.0, 1.0
#: The learning rate is multiplied by DECAY every DECAY_EVERY epochs.
DECAY, DECAY_EVERY = 0.8, 10
#: Candidates that go through the experts together.
ITEMS_PER_CHUNK = 4096


class Settings(CollaborativeSettings):
    """What Heater alone knows."""

    n_experts: Annotated[int, Field(ge=1, le=1024)] = Field(default=5, description="experts that make a vector from content")
    hidden_width: Annotated[int, Field(ge=1, le=65_536)] = Field(default=200, description="width of the hidden layer of both towers")
    closeness: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.1, description="weight of the mean squared distance of made vectors from collaborative ones"
    )
    items_by_content: Annotated[float, Field(ge=0, le=1)] = Field(default=0.5, description="share of a step's items that show a made vector")
    negatives_each: Annotated[int, Field(ge=1, le=1024)] = Field(default=5, description="items that the user has not, for every interaction")


class Experts(nn.Module):
    """Content to a vector: each expert its own layer, weighed by a gate.

    Args:
        n_in: width of content.
        n_out: H.
        n_experts: K.
        generator: draws the initial weights.
    """

    def __init__(self, n_in: int, n_out: int, *, n_experts: int, generator: torch.Generator) -> None:
        super().__init__()
        self.experts = nn.ModuleList(layers.linear(n_in, n_out, generator=generator) for _ in range(n_experts))
        self.gate = layers.linear(n_in, n_experts, generator=generator)

    def forward(self, content: Tensor) -> Tensor:
        """(N, n_in) to (N, H), every number between -1 and 1."""
        gates = torch.tanh(self.gate(content))  # (N, K)
        parts = [gate[:, None] * torch.tanh(expert(content)) for gate, expert in zip(gates.unbind(1), self.experts, strict=True)]
        return torch.tanh(torch.stack(parts).sum(dim=0))


class Heater(nn.Module):
    """The experts, the towers and their objective.

    Args:
        task: content, training interactions, and collaborative vectors, which are kept in the state and never moved.
        n_experts: K.
        hidden_width: of the towers.
        dim: D.
        closeness: weight of the distance of made vectors from collaborative ones.
        items_by_content: share of the items of a step that show a made vector.
        negatives_each: negatives of an interaction.
        reg: weight of the squares of all weights of linear layers.
        generator: draws the initial weights.
    """

    users: Tensor

    def __init__(
        self, task: Task, *, n_experts: int, hidden_width: int, dim: int, closeness: float, items_by_content: float, negatives_each: int, reg: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        vectors, content = task.collaborative, task.content
        assert vectors is not None, "the settings name a backbone"
        self.content, self.train_pairs = layers.Joined(content), task.train.cpu()
        self.closeness, self.items_by_content, self.negatives_each, self.reg = closeness, items_by_content, negatives_each, reg
        self._n_items = len(content.is_train)
        width = vectors.users.shape[1]
        vectors = Collaborative(towers.standardised(vectors.users, most=MOST_OF_USERS), towers.standardised(vectors.items, most=MOST_OF_ITEMS))
        self.register_buffer("users", vectors.users)  # (U, H)
        self.items = towers.KnownItems(vectors, layers.TrainingItems(content.is_train, task.train))
        self.experts = Experts(self.content.width, width, n_experts=n_experts, generator=generator)
        self.of_users = towers.Tower(width, [hidden_width], dim, generator=generator)
        self.of_items = towers.Tower(width, [hidden_width], dim, generator=generator)
        self._drawing: tuple[Tensor, sampling.Negatives] | None = None

    def optimizers(self, *, learning_rate: float) -> Sequence[torch.optim.Optimizer]:
        """Gradient descent with momentum."""
        return towers.momentum_descent(self, learning_rate=learning_rate)

    def learning_rate_factor(self, epoch: int) -> float:
        """0.8 for every 10 epochs that are over."""
        return float(DECAY ** ((epoch - 1) // DECAY_EVERY))

    def batches(self, *, batch_size: int, generator: torch.Generator) -> Batches:
        """Every interaction once; those of a step have their negatives one after the other: 5 of the first, 5 of the second."""
        pairs, sampler = self._to_draw_from()
        shuffled = pairs[torch.randperm(len(pairs), generator=generator)]
        drawn = sampler.sample(shuffled[:, 0], each=self.negatives_each, part=batch_size, generator=generator)
        parts = zip(torch.split(shuffled, batch_size), drawn, strict=True)
        return Batches(-(-len(pairs) // batch_size), (Batch(part[:, 0], part[:, 1], negatives) for part, negatives in parts))

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """Squared error of scores against 1 and 0, and of made vectors against collaborative ones."""
        rows = torch.cat([batch.positives, batch.negatives])  # (R,)
        users, of_user = torch.unique(batch.users, return_inverse=True)
        of_user = torch.cat([of_user, of_user.repeat_interleave(self.negatives_each)])
        items, of_item, counts = torch.unique(rows, return_inverse=True, return_counts=True)
        known, made = self.items.of(items), self.experts(self.content.of(items))  # (N, H) each
        by_content = layers.chosen_rows(len(items), self.items_by_content, generator=generator, device=items.device)
        z = self.of_items(torch.where(by_content[:, None], made, known))
        scores = (layers.rows_of(self.of_users(self.users[users]), of_user) * layers.rows_of(z, of_item)).sum(dim=1)  # (R,)
        truth = torch.zeros_like(scores).index_fill_(0, torch.arange(len(batch.positives), device=scores.device), 1.0)
        error = (scores - truth).square().mean()
        distance = ((made - known).square().sum(dim=1) * counts).sum() / len(rows)
        total = error + self.closeness * distance + self.reg * towers.squared_weights(self)
        return Losses(total, {"error": error.detach(), "distance": distance.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products of the towers' outputs."""
        z = self.places(items)
        return lambda users: self.of_users(self.users[users]) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items to (C, D): by their own vectors, or by made ones where they have none."""
        return torch.cat([self._placed(part) for part in torch.split(items, ITEMS_PER_CHUNK)])

    def _placed(self, items: Tensor) -> Tensor:
        is_known = self.items.has(items)[:, None]
        found: Tensor = self.of_items(torch.where(is_known, self.items.of(items), self.experts(self.content.of(items))))
        return found

    def _to_draw_from(self) -> tuple[Tensor, sampling.Negatives]:
        """Interactions of users who lack a training item, and what draws negatives for them; made when training begins."""
        if self._drawing is None:
            candidates = self.items.ids().cpu()
            usable = self.train_pairs[sampling.can_have_negative(self.train_pairs, candidates=candidates, n_items=self._n_items)]
            self._drawing = usable, sampling.negatives(usable, candidates=candidates, n_items=self._n_items)
        return self._drawing


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Heater:
    """Heater for a task."""
    own = Settings.model_validate(config.of_model)
    return Heater(
        task, n_experts=own.n_experts, hidden_width=own.hidden_width, dim=config.dim, closeness=own.closeness, items_by_content=own.items_by_content,
        negatives_each=own.negatives_each, reg=config.reg, generator=generator,
    )  # fmt: skip
