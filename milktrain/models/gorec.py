"""GoRec: a variational autoencoder of collaborative vectors under the condition of content; a new item is encoded with the mean of its cluster.

Source: Bai et al. 2023, "GoRec: a generative cold-start recommendation framework", and the authors' code. The encoder takes content and the
vector e of an item to a normal distribution, the decoder takes content and a draw from it back to e, and a linear map of content gives the prior.
Objective: mean squared error of e + uniformity of the posterior means + divergence of the posterior from the prior, on training items
alone. Items are clustered by content; an item without a vector takes the mean vector of the training items of the nearest cluster for e, and
is decoded from the posterior mean. A score is the user's vector times what is decoded; users' and items' vectors are never moved.
Departures: the divergence is that of two normal distributions, where the authors' code hands draws of both to a function that wants logarithms
of probabilities; clusters are made of training items, where the authors' come ready in a file and count new items, whose vectors nobody
learned, in their means; a training item is encoded with its own vector, where the authors' code gives it its cluster's too; the number of
clusters is not published. A batch of one item has no uniformity, and takes running means.
Shapes: B items, U users, W training items, K clusters, F width of content, H width of collaborative vectors, D width of hidden layers and draws.
"""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from milktrain.config import TrainConfig
from milktrain.model_settings import CollaborativeSettings
from milktrain.models import _clusters as clusters
from milktrain.models import _layers as layers
from milktrain.models._batch_norm import BatchNorm
from milktrain.recommender import Batch, Batches, Collaborative, Content, Losses, Ranker, Task

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

IDLE = frozenset({"negatives", "reg"})
STEP = "training items"
USUAL = {"learning_rate": 1e-3, "batch_size": 256}
SPACE = {
    "uniformity_weight": {"low": 1e-4, "high": 10.0, "log": True},
    "divergence_weight": {"low": 1e-4, "high": 10.0, "log": True},
    "n_clusters": {"choices": [20, 50, 100, 200]},
    "backbone": {"choices": ["bpr-mf", "lightgcn"]},
}
#: Candidates decoded at a time.
ITEMS_PER_CHUNK = 4096


class Settings(CollaborativeSettings):
    """What GoRec alone knows."""

    backbone: Literal["bpr-mf", "lightgcn"] = Field(default="lightgcn", description="what the collaborative vectors are learned by")
    backbone_width: Annotated[int, Field(ge=1, le=65_536)] = Field(default=64, description="width of the collaborative vectors")
    n_clusters: Annotated[int, Field(ge=1, le=65_536)] = Field(default=50, description="clusters of content; as many as training items at most")
    uniformity_weight: NotNegative = Field(default=5.0, description="how strongly posterior means are spread over directions")
    divergence_weight: NotNegative = Field(default=10.0, description="how strongly posteriors are drawn to the priors that content gives")
    content_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.3, description="share of content that the decoder does not see in a step")


class Squeezed(nn.Module):
    """Two inputs side by side through a linear layer, normalisation and tanh.

    Args:
        n_in: width of both together.
        n_out: of what comes out.
        generator: draws the initial weights.
    """

    def __init__(self, n_in: int, n_out: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = layers.linear(n_in, n_out, generator=generator, bias=False)
        self.normalised = BatchNorm(n_out)

    def forward(self, content: Tensor, other: Tensor) -> Tensor:
        """(B, F) and another (B, n_in - F) to (B, n_out)."""
        x = self.linear(torch.cat([content, other], dim=1))
        return torch.tanh(self.normalised(x, learning=self.training))


class GoRec(nn.Module):
    """The autoencoder and its objective.

    Args:
        content: of all items.
        training_items: rows of the table of items.
        vectors: collaborative ones; kept in the state, never moved.
        dim: D.
        n_clusters: K, or W where that is less.
        uniformity_weight: of `uniformity` of posterior means.
        divergence_weight: of `divergence` of posteriors from priors.
        content_dropout: share of content set to 0 before decoding.
        generator: draws clusters and the initial weights.
    """

    users: Tensor
    items: Tensor
    centres: Tensor
    cluster_means: Tensor

    def __init__(
        self, content: Content, training_items: layers.TrainingItems, vectors: Collaborative, *, dim: int, n_clusters: int,
        uniformity_weight: float, divergence_weight: float, content_dropout: float, generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.training_items = layers.Joined(content), training_items
        self.uniformity_weight, self.divergence_weight, self.content_dropout = uniformity_weight, divergence_weight, content_dropout
        of_training = self.content.of(self.training_items.ids).cpu()  # (W, F)
        of_items = vectors.items[self.training_items.ids.cpu()]
        if bool(of_items.any()):
            centres = clusters.centroids(of_training, count=n_clusters, generator=generator)
        else:  # a finished run is opened: its state has the centres
            centres = torch.zeros(min(n_clusters, len(of_training)), of_training.shape[1])
        self.register_buffer("users", vectors.users.clone())  # (U, H)
        self.register_buffer("items", of_items)  # (W, H)
        self.register_buffer("centres", centres)  # (K, F)
        self.register_buffer("cluster_means", clusters.means(of_items, of_training, centres))  # (K, H)
        width, n_out = self.content.width, of_items.shape[1]
        self.encode = Squeezed(width + n_out, dim, generator=generator)
        self.posterior = layers.linear(dim, 2 * dim, generator=generator)  # mean, and logarithm of the variance
        self.prior = layers.linear(width, 2 * dim, generator=generator)
        self.decode = Squeezed(width + dim, dim, generator=generator)
        self.out = nn.Sequential(layers.linear(dim, dim, generator=generator), layers.linear(dim, n_out, generator=generator))

    def batches(self, *, batch_size: int, generator: torch.Generator) -> Batches:
        """Every training item once, as the positives; there are no users or negatives."""
        ids = self.training_items.ids.cpu()
        parts = torch.split(ids[torch.randperm(len(ids), generator=generator)], batch_size)
        none = ids.new_empty(0)
        return Batches(len(parts), (Batch(none, part, none) for part in parts))

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """The objective on a batch of training items."""
        x, e = self.content.of(batch.positives), self.vectors(batch.positives)
        mean, log_variance = self.posterior(self.encode(x, e)).chunk(2, dim=1)  # (B, D) each
        of_prior = self.prior(x).chunk(2, dim=1)
        noise = torch.from_numpy(generator.standard_normal(mean.shape, dtype=np.float32)).to(mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        decoded = self.out(self.decode(layers.dropout(x, self.content_dropout, generator=generator), z))
        error, spread = F.mse_loss(decoded, e), uniformity(mean)
        apart = divergence(mean, log_variance, *of_prior)
        total = error + self.uniformity_weight * spread + self.divergence_weight * apart
        return Losses(total, {"reconstruction": error.detach(), "uniformity": spread.detach(), "divergence": apart.detach()})

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products with the decoded vectors."""
        z = self.places(items)
        return lambda users: self.users[users] @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items decoded from their posterior means, (C, H)."""
        return torch.cat([self._decoded(part) for part in torch.split(items, ITEMS_PER_CHUNK)])

    def vectors(self, items: Tensor) -> Tensor:
        """(C, H) what is encoded: a training item's own vector, the mean of the nearest cluster for a new item."""
        of_clusters = self.cluster_means[clusters.nearest(self.content.of(items), self.centres)]
        is_new = (self.training_items.rows(items) < 0)[:, None]
        return torch.where(is_new, of_clusters, self.training_items.look_up(self.items, items))

    def _decoded(self, items: Tensor) -> Tensor:
        x = self.content.of(items)
        mean, _ = self.posterior(self.encode(x, self.vectors(items))).chunk(2, dim=1)
        found: Tensor = self.out(self.decode(x, mean))
        return found


def uniformity(rows: Tensor) -> Tensor:
    """How little rows are spread over directions.

    Args:
        rows: (B, D).

    Returns:
        () logarithm of the mean over pairs of exp(-2 |x - y|^2), rows scaled to length 1: at most 0, which is where all point one way; 0
        for a single row.

    Source:
        Wang & Isola 2020.
    """
    if len(rows) < 2:
        return rows.sum() * 0
    directions = F.normalize(rows, dim=1)
    return (-2 * torch.pdist(directions).square()).exp().mean().log()


def divergence(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of one normal distribution from another, a mean over all numbers of (B, D).

    Example:
        >>> divergence(torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1))
        tensor(0.5000)
    """
    ratio = (log_variance - prior_log_variance).exp()
    distance = (mean - prior_mean).square() * (-prior_log_variance).exp()
    return 0.5 * (ratio + distance - 1 - log_variance + prior_log_variance).mean()


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> GoRec:
    """GoRec for a task."""
    own = Settings.model_validate(config.of_model)
    assert task.collaborative is not None, "the settings name a backbone"
    training_items = layers.TrainingItems(task.content.is_train, task.train)
    return GoRec(
        task.content, training_items, task.collaborative, dim=config.dim, n_clusters=own.n_clusters, uniformity_weight=own.uniformity_weight,
        divergence_weight=own.divergence_weight, content_dropout=own.content_dropout, generator=generator,
    )  # fmt: skip
