"""MICRO: each modality links an item to those like it; what the links give is fused by attention, and held together by contrast.

Per modality m an item is linked to those most like it: A^m = s A^m_raw + (1 - s) A^m_learned, where the second compares content after a
linear map and is made anew at each epoch. z^m = A^m E with item vectors E; h = sum_m a^m z^m with attention a. An item is where LightGCN
over the training interactions puts it, plus h / |h|; BPR, and in each modality contrast of z^m with h.
Source: Zhang et al. 2023, "Latent structure mining with contrastive modality fusion for multimedia recommendation" (TKDE).

New items: no vector of their own, no interaction, so h / |h| is all they have, and what their neighbours are is all that they are. They are
linked to training items; nothing is linked to them and no graph in training holds them: it would show training the content of
validation and test items, and an item's vector would depend on which others are new.
Departures:
- A training item counts itself among its k neighbours, as published; a new one has k others, having no vector to give to itself.
- An item that lacks a modality is linked by what stands in for it, and nothing is linked to it in that modality: stand-ins are
  alike, so that all items without one would be each other's nearest, chosen by their numbers.
- Contents are given and do not learn. In the published code raw features are parameters and move away from what items show, which new items' cannot.
- Contrast is among the batch's positives instead of all items: a batch's cost does not grow with the catalogue.
- A cosine below zero weighs nothing instead of less than nothing: degrees have roots.
- Initial vectors have the variance of Xavier's, and are normally distributed.
- The learning rate is 5e-3 instead of 5e-4: with that, validation of a split of the short-video data stood at chance after 28 epochs; with this, at
  three times chance after 10.
The map learns from the first step of an epoch alone, as in the published code: in the others the graph is a constant, and the map stays
where it is, whereas the moments of the published optimizer may go on to move it.
Shapes: B triples, R different items in them, U users, V items, W training items, M modalities, D width, K edges.
"""

import weakref
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from milktrain import losses
from milktrain.backbones import lightgcn
from milktrain.config import NotNegative, Positive, TrainConfig
from milktrain.model_settings import ModelSettings
from milktrain.models import _item_graph as item_graph
from milktrain.models import _layers as layers
from milktrain.models._item_graph import Edges, Graph, Rows
from milktrain.recommender import Batch, Content, Losses, Ranker, Task

#: Learning rates shrink to this share in so many epochs.
DECAY, DECAY_EPOCHS = 0.96, 50

USUAL = {"learning_rate": 5e-3, "batch_size": 1024, "reg": 1e-5}
SPACE = {
    "learning_rate": {"low": 5e-4, "high": 2e-2, "log": True},
    "reg": {"low": 1e-6, "high": 1e-2, "log": True},
    "contrast": {"low": 1e-3, "high": 1.0, "log": True},
    "raw_share": {"choices": [0.5, 0.7, 0.9, 1.0]},
}


Neighbours = Annotated[int, Field(ge=2, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Propagations = Annotated[int, Field(ge=0, le=16)]


class Settings(ModelSettings):
    """What only MICRO knows."""

    graph_neighbours: Neighbours = Field(default=10, description="items that each is linked to in a modality, itself counted")
    raw_share: Share = Field(default=0.9, description="of the graph by content as it is; the rest is of mapped content")
    contrast: NotNegative = Field(default=0.03, description="weight of the contrast of each modality with what they fuse to")
    temperature: Positive = Field(default=0.5, description="of the contrast; small: near ones count more")
    propagations: Propagations = Field(default=2, description="steps along the interactions between users and items")


class Micro(nn.Module):
    """The model and its objective.

    Args:
        content: of all items.
        train: (n, 2) int64 user, item.
        n_users: U.
        dim: D.
        graph_neighbours: K.
        raw_share: s.
        contrast: weight of the contrast.
        temperature: of the contrast.
        propagations: layers of LightGCN.
        reg: weight of half the mean over the batch of |u|^2 + |i|^2 + |j|^2, as they are scored.
        generator: draws the initial weights.
    """

    to_users: Tensor
    to_items: Tensor

    def __init__(
        self, content: Content, train: Tensor, *, n_users: int, dim: int, graph_neighbours: int, raw_share: float, contrast: float,
        temperature: float, propagations: int, reg: float, generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self._content, self._training = content, layers.TrainingItems(content.is_train, train)
        self._k, self._raw_share, self._propagations = graph_neighbours, raw_share, propagations
        self._contrast, self._temperature, self._reg = contrast, temperature, reg
        self.users = layers.xavier(n_users, dim, generator=generator)
        self.items = layers.xavier(self._training.count, dim, generator=generator)
        self._maps = [layers.linear(matrix.shape[1], dim, generator=generator) for matrix in content.features]
        self.maps = nn.ModuleList(self._maps)
        self.attention = nn.Sequential(
            layers.linear(dim, dim, generator=generator), nn.Tanh(), layers.linear(dim, 1, bias=False, generator=generator)
        )
        pairs, n_known = torch.stack([train[:, 0], self._training.rows(train[:, 1])], dim=1), self._training.count
        # Interactions say what these are, so that no state needs to.
        self.register_buffer("to_users", lightgcn.normalised(pairs, n_rows=n_users, n_columns=n_known), persistent=False)
        self.register_buffer("to_items", lightgcn.normalised(pairs.flip(1), n_rows=n_known, n_columns=n_users), persistent=False)
        # A graph is as large as the catalogue and in no state. The map that the learned one was made by is: of that it is made again when needed.
        self._kept = [_Kept(each) for each in self._maps]
        self.graphed_by = nn.ModuleList(self._kept)
        self._raw: dict[int, Graph] = {}
        self._learned: dict[int, tuple[_Kept, Graph]] = {}
        self._last_walk: weakref.ref[_Walk] | None = None

    def begin_epoch(self) -> None:
        """Make the learned graphs anew, of the maps as they are."""
        for kept, each in zip(self._kept, self._maps, strict=True):
            kept.take(each)

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:  # noqa: ARG002 - nothing is drawn in a step
        """BPR on one batch, and contrast among its positives."""
        with torch.autocast(batch.users.device.type, enabled=False):  # sums along edges are of one kind of number, and cosines are compared
            return self._losses(batch)

    def _losses(self, batch: Batch) -> Losses:
        items, where = torch.unique(torch.cat([batch.positives, batch.negatives]), return_inverse=True)  # (R,)
        seen = self._seen(items)  # (R, M, D)
        fused = self.fuse(seen)
        users, ids = self._walked()
        placed = self._training.look_up(ids, items) + F.normalize(fused, dim=1)
        u, i, j = layers.rows_of(users, batch.users), *layers.rows_of(placed, where).chunk(2)  # (B, D)
        bpr = losses.bpr((u * (i - j)).sum(dim=1, keepdim=True)).mean()
        chosen = torch.unique(where[: len(batch.positives)])
        contrast = torch.stack([infonce(z, fused[chosen], temperature=self._temperature) for z in seen[chosen].unbind(1)]).sum()
        norm = layers.mean_square_length(u, i, j) / 2
        total = bpr + self._contrast * contrast + self._reg * norm
        return Losses(total, {"bpr": bpr.detach(), "contrast": contrast.detach(), "regularisation": norm.detach()})

    def learning_rate_factor(self, epoch: int) -> float:
        """A slow exponential decay."""
        return float(DECAY ** ((epoch - 1) / DECAY_EPOCHS))

    @torch.no_grad()
    def ranker(self, items: Tensor) -> Ranker:
        """Inner products with users after propagation; nothing is learned by them, or two of them could not share it."""
        walked = self._shared_walk()
        z = self._places(items, walked.items)
        return lambda some: walked.users[some] @ z.T

    def places(self, items: Tensor) -> Tensor:
        """(C,) items where users are after propagation, (C, D)."""
        return self._places(items, self._walked()[1])

    def fuse(self, seen: Tensor) -> Tensor:
        """(R, M, D), what each modality's graph gives, to (R, D), by attention."""
        found: Tensor = (self.attention(seen).softmax(dim=1) * seen).sum(dim=1)
        return found

    def _places(self, items: Tensor, ids: Tensor) -> Tensor:
        return self._training.look_up(ids, items) + F.normalize(self.fuse(self._seen(items)), dim=1)

    def _walked(self) -> tuple[Tensor, Tensor]:
        """(U, D) and (W, D) after LightGCN."""
        return lightgcn.propagated(self.users.weight, self.items.weight, self.to_users, self.to_items, layers=self._propagations)

    def _shared_walk(self) -> "_Walk":
        """One propagation for all rankers of the same weights, for as long as any of them is there: each would have all users to itself."""
        there = self._last_walk() if self._last_walk else None
        if there is None or not there.is_of(self.users.weight, self.items.weight):
            there = _Walk(self.users.weight.clone(), self.items.weight.clone(), *self._walked())
            self._last_walk = weakref.ref(there)
        return there

    def _seen(self, items: Tensor) -> Tensor:
        """(R, M, D): the sum of each item's neighbours in each modality."""
        rows = self._training.rows(items)
        known = rows >= 0
        found = self.items.weight.new_zeros(len(items), len(self._maps), self.items.weight.shape[1])
        found[known] = torch.stack([self._around_known(m, rows[known]) for m in range(len(self._maps))], dim=1)
        if not bool(known.all()):
            found[~known] = torch.stack([self._around_new(m, items[~known]) for m in range(len(self._maps))], dim=1)
        return found

    def _around_known(self, m: int, rows: Tensor) -> Tensor:
        """(R, D) around training items by their rows."""
        edges = self._raw_graph(m).edges.of(rows)
        if self._raw_share < 1:
            edges = item_graph.mixed(edges, self._learned_edges(m).of(rows), share=self._raw_share)
        return edges.sum_of(self.items.weight)

    def _around_new(self, m: int, items: Tensor) -> Tensor:
        """(R, D) around new items by their ids."""
        features = self._content.features[m]
        new, known = Rows(features, items), self._known(m)
        edges = item_graph.to_new(new, known, self._raw_graph(m), k=self._k)
        if self._raw_share < 1:
            new, known = (Rows.all_of(self._kept[m](features[each.ids])) for each in (new, known))
            edges = item_graph.mixed(edges, item_graph.to_new(new, known, self._learned_graph(m), k=self._k), share=self._raw_share)
        return edges.sum_of(self.items.weight)

    def _learned_edges(self, m: int) -> Edges:
        edges = self._learned_graph(m).edges
        if self.training and self._kept[m].same(self._maps[m]):  # the first step of an epoch, from which the map learns
            return item_graph.weighed(self._maps[m](self._content.features[m][self._training.ids]), edges.far)
        return edges

    def _learned_graph(self, m: int) -> Graph:
        by = self._kept[m]
        if m not in self._learned or not self._learned[m][0].same(by):
            mapped = by(self._content.features[m][self._training.ids])
            self._learned[m] = _Kept(by), self._between(m, Rows.all_of(mapped))
        return self._learned[m][1]

    def _raw_graph(self, m: int) -> Graph:
        if m not in self._raw:
            self._raw[m] = self._between(m, self._known(m))
        return self._raw[m]

    def _between(self, m: int, known: Rows) -> Graph:
        sources = self._content.available[self._training.ids, m].nonzero().squeeze(1)
        with torch.inference_mode(False), torch.no_grad():  # a graph that ranking asks for first serves training too
            return item_graph.between(known, sources=sources, k=self._k)

    def _known(self, m: int) -> Rows:
        return Rows(self._content.features[m], self._training.ids)


class _Walk:
    """What propagation made of vectors, and of which.

    Args:
        of_users: (U, D) before.
        of_items: (W, D) before.
        users: (U, D) after.
        items: (W, D) after.
    """

    def __init__(self, of_users: Tensor, of_items: Tensor, users: Tensor, items: Tensor) -> None:
        self._of_users, self._of_items, self.users, self.items = of_users, of_items, users, items

    def is_of(self, users: Tensor, items: Tensor) -> bool:
        """Whether it is of these vectors."""
        return torch.equal(self._of_users, users) and torch.equal(self._of_items, items)


class _Kept(nn.Module):
    """A linear map as it was; a state has it, and nothing learns it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, original: "nn.Linear | _Kept") -> None:
        super().__init__()
        self.register_buffer("weight", original.weight.detach().clone())
        self.register_buffer("bias", original.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """What the map made of rows."""
        return F.linear(x, self.weight, self.bias)

    def take(self, original: nn.Linear) -> None:
        """Be the map as it is now."""
        self.weight.copy_(original.weight.detach())
        self.bias.copy_(original.bias.detach())

    def same(self, other: "nn.Linear | _Kept") -> bool:
        """Whether it is still the same map."""
        return torch.equal(self.weight, other.weight) and torch.equal(self.bias, other.bias)


def infonce(one: Tensor, other: Tensor, *, temperature: float) -> Tensor:
    """How badly two views of the same items are told from views of other items, of both kinds.

    Args:
        one: (R, D).
        other: (R, D), row by row of the same items.
        temperature: divides cosines.

    Returns:
        () mean over the rows of -log(e^(x_i.y_i) / (sum_j e^(x_i.y_j) + sum_{j != i} e^(x_i.x_j))).
    """
    x, y = F.normalize(one, dim=1), F.normalize(other, dim=1)
    across = x @ y.T / temperature
    within = (x @ x.T / temperature).fill_diagonal_(-torch.inf)
    return (torch.logaddexp(across.logsumexp(dim=1), within.logsumexp(dim=1)) - across.diagonal()).mean()


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Micro:
    """MICRO for a task."""
    own = Settings.model_validate(config.of_model)
    return Micro(
        task.content, task.train, n_users=task.n_users, dim=config.dim, graph_neighbours=own.graph_neighbours, raw_share=own.raw_share,
        contrast=own.contrast, temperature=own.temperature, propagations=own.propagations, reg=config.reg, generator=generator,
    )  # fmt: skip
