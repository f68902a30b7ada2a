"""GAR: a generator makes an item's vector from its content, a discriminator scores real and made vectors; they learn in turns on each batch.

Source: Chen et al. 2022, "Generative adversarial framework for cold-start item recommendation", and the authors' code. Users' and items' vectors
are collaborative ones, and stay as they are. In the discriminator's turn real items are to score above made ones (1 - b) and negatives (b); in
the generator's turn, after the discriminator moved, a made vector is to score above the real one, and to be close to it. Each turn moves one of
the two; the other only looks on, without dropout and with its running means. A new item is what the discriminator makes of its made vector.
Departures: content is all modalities side by side, and vectors are those of our backbones, where the publication has one kind of content and
its own; those of items are scaled to a root mean square of 1, so that closeness weighs the same whatever the backbone. Both weights are 1/2 here:
with the published 0.05 and 0.1 the discriminator told made vectors from real ones at once, and ranked the made ones of what a user likes last.
What can have no effect is not there: a bias or a shift that the next normalisation takes away, and the bias of the items' network, which adds the
same to all items of a user. A batch of one row takes running means, having none of its own; the short last batch of an epoch is used.
Shapes: B triples, U users, W training items, H width of collaborative vectors, D width of scores, N rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from milktrain import losses
from milktrain.config import TrainConfig
from milktrain.model_settings import CollaborativeSettings
from milktrain.models import _layers as layers
from milktrain.models._batch_norm import BatchNorm
from milktrain.recommender import Batch, Collaborative, Losses, Ranker, Task

Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1)]

#: The authors' regulariser is 1e-3 times half the squared weights.
USUAL = {"learning_rate": 1e-3, "batch_size": 1024, "reg": 5e-4, "dim": 200, "evaluate_every": 1, "patience": 10}
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 3e-3, "log": True},
    "closeness": {"low": 0.05, "high": 0.99},
    "negative_weight": {"low": 0.1, "high": 0.95},
    "reg": {"low": 1e-6, "high": 1e-2, "log": True},
}
#: Of running means, and added to variances: the defaults of what the authors' code is built on.
MOMENTUM, EPSILON = 0.01, 1e-3


class Settings(CollaborativeSettings):
    """What GAR alone knows."""

    backbone: Literal["bpr-mf", "lightgcn"] = Field(default="lightgcn", description="what the collaborative vectors are learned by")
    closeness: Weight = Field(default=0.5, description="alpha: weight of the distance between made and real vectors, against deceiving")
    negative_weight: Weight = Field(default=0.5, description="beta: weight of negatives in what real items are to score above, against made ones")
    hidden_width: Annotated[int, Field(ge=1, le=65_536)] = Field(default=200, description="of the hidden layer of each network")
    generator_dropout: Share = Field(default=0.1, description="share of the generator's hidden numbers set to 0 in its turn")
    discriminator_dropout: Share = Field(default=0.5, description="share of the discriminator's hidden numbers set to 0 in its turn")


class Network(nn.Module):
    """One hidden layer: (normalisation), linear, normalisation, tanh, dropout, linear; the first without a bias, which would have no effect.

    Args:
        n_in: width of what comes in.
        hidden: of the layer in between.
        n_out: of what comes out.
        share: of hidden numbers that dropout sets to 0.
        normalised: whether what comes in is normalised first.
        biased: whether the second layer has a bias.
        generator: draws the initial weights.
    """

    def __init__(
        self, n_in: int, hidden: int, n_out: int, *, share: float, normalised: bool, biased: bool, generator: torch.Generator
    ) -> None:  # fmt: skip
        super().__init__()
        self.share = share
        self.before = BatchNorm(n_in, affine=False, momentum=MOMENTUM, epsilon=EPSILON) if normalised else None
        self.first = _glorot(n_in, hidden, biased=False, generator=generator)
        self.between = BatchNorm(hidden, momentum=MOMENTUM, epsilon=EPSILON)
        self.second = _glorot(hidden, n_out, biased=biased, generator=generator)

    def forward(self, x: Tensor, *, generator: np.random.Generator | None = None) -> Tensor:
        """(N, n_in) to (N, n_out): at its turn where there is a generator to draw dropout from, else looking on."""
        learning = generator is not None
        if self.before is not None:
            x = self.before(x, learning=learning)
        x = torch.tanh(self.between(self.first(x), learning=learning))
        if generator is not None:
            x = layers.dropout(x, self.share, generator=generator)
        found: Tensor = self.second(x)
        return found

    def squared_weights(self) -> Tensor:
        """() of both linear layers, biases left out."""
        return self.first.weight.square().sum() + self.second.weight.square().sum()


class Discriminator(nn.Module):
    """A network for users, a network for items; a score is the inner product of what comes out.

    Args:
        of_users: (N, H) to (N, D).
        of_items: (N, H) to (N, D).
    """

    def __init__(self, of_users: Network, of_items: Network) -> None:
        super().__init__()
        self.of_users, self.of_items = of_users, of_items

    def forward(self, users: Tensor, items: Tensor, *, generator: np.random.Generator | None = None) -> Tensor:
        """(N,) scores of (N, H) users with (N, H) items."""
        found: Tensor = (self.of_users(users, generator=generator) * self.of_items(items, generator=generator)).sum(dim=1)
        return found


class Gar(nn.Module):
    """Both networks and their losses.

    Args:
        content: of all items, side by side.
        training_items: rows of the table of items.
        vectors: collaborative ones; kept in the state, never moved; those of items scaled.
        maker: content to (N, H), the generator.
        discriminator: scores.
        closeness: alpha.
        negative_weight: beta.
        reg: weight of the squared weights of the network whose turn it is.
    """

    users: Tensor
    items: Tensor

    def __init__(
        self, content: layers.Joined, training_items: layers.TrainingItems, vectors: Collaborative, maker: Network, discriminator: Discriminator,
        *, closeness: float, negative_weight: float, reg: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.training_items = content, training_items
        self.closeness, self.negative_weight, self.reg = closeness, negative_weight, reg
        self.register_buffer("users", vectors.users.clone())  # (U, H)
        of_training = vectors.items[training_items.ids.to(vectors.items.device)]
        self.register_buffer("items", of_training / root_mean_square(of_training))  # (W, H)
        self.maker, self.discriminator = maker, discriminator

    def in_turns(self, batch: Batch, *, generator: np.random.Generator) -> Iterator[Losses]:
        """The discriminator's loss, and when it has moved, the generator's; the log's `loss` is their sum, and has each by its name besides."""
        yield self.discriminator_loss(batch, generator=generator)
        yield self.generator_loss(batch, generator=generator)

    def discriminator_loss(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """-log sigmoid(real - (1 - b) made - b negative); made vectors come without a way back to the generator."""
        with torch.no_grad():
            made = self.maker(self.content.of(batch.positives))
        items = torch.cat([self._vectors(batch.positives), self._vectors(batch.negatives), made])  # (3B, H), normalised together
        users = self.users[batch.users].repeat(3, 1)
        real, negative, fake = self.discriminator(users, items, generator=generator).chunk(3)
        gap = real - (1 - self.negative_weight) * fake - self.negative_weight * negative
        told = losses.bpr(gap[:, None]).mean()
        networks = self.discriminator.of_users, self.discriminator.of_items
        norm = torch.stack([network.squared_weights() for network in networks]).sum()
        total = told + self.reg * norm
        parts = {"discriminator_loss": total, "discriminator": told, "real_over_made": (real - fake).mean()}
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    def generator_loss(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """(1 - a) -log sigmoid(made - real) + a |made - real|, the distance a mean over the width; scores by a discriminator that looks on."""
        made = self.maker(self.content.of(batch.positives), generator=generator)
        real, users = self._vectors(batch.positives), self.users[batch.users]
        with _still(self.discriminator):
            gap = self.discriminator(users, made) - self.discriminator(users, real)
        deceiving, distance = losses.bpr(gap[:, None]).mean(), (made - real).abs().mean()
        total = (1 - self.closeness) * deceiving + self.closeness * distance + self.reg * self.maker.squared_weights()
        parts = {"generator_loss": total, "generator": deceiving, "distance": distance}
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products of what the discriminator makes of users and items."""
        z = self.places(items)
        return lambda users: self.discriminator.of_users(self.users[users]) @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items to (C, D): training items by their own vectors, new ones by made vectors."""
        return layers.in_parts(self._placed, items)

    def _placed(self, items: Tensor) -> Tensor:
        is_new = (self.training_items.rows(items) < 0)[:, None]
        vectors = torch.where(is_new, self.maker(self.content.of(items)), self._vectors(items))
        found: Tensor = self.discriminator.of_items(vectors)
        return found

    def _vectors(self, items: Tensor) -> Tensor:
        return self.training_items.look_up(self.items, items)


def root_mean_square(rows: Tensor) -> Tensor:
    """() of all numbers; 1 where all are 0, as in a model whose state is yet to come."""
    found = rows.square().mean().sqrt()
    return torch.where(found > 0, found, torch.ones_like(found))


@contextmanager
def _still(network: nn.Module) -> Iterator[None]:
    """Within it a network's parameters are constants: what is computed leads back to what goes in, and not to them."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _glorot(n_in: int, n_out: int, *, biased: bool, generator: torch.Generator) -> nn.Linear:
    """Weights uniform with variance 2 / (n_in + n_out), a bias of 0."""
    layer = layers.linear(n_in, n_out, generator=generator, bias=biased)
    bound: float = (6 / (n_in + n_out)) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if biased:
            layer.bias.zero_()
    return layer


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Gar:
    """GAR for a task."""
    own = Settings.model_validate(config.of_model)
    assert task.collaborative is not None, "the settings name a backbone"
    content, width, hidden = layers.Joined(task.content), own.backbone_width, own.hidden_width
    maker = Network(content.width, hidden, width, share=own.generator_dropout, normalised=False, biased=True, generator=generator)
    of_users, of_items = (
        Network(width, hidden, config.dim, share=own.discriminator_dropout, normalised=True, biased=biased, generator=generator)
        for biased in (True, False)
    )
    return Gar(
        content, layers.TrainingItems(task.content.is_train, task.train), task.collaborative, maker, Discriminator(of_users, of_items),
        closeness=own.closeness, negative_weight=own.negative_weight, reg=config.reg,
    )  # fmt: skip
