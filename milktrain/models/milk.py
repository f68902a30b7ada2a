"""MILK: cross-modality alignment and invariant learning over cyclic-mixup environments (SIGIR 2024).

Every modality has one linear map into the user space. Scores are linear in the environment's weights, so one score per
modality serves all environments, and only the items of the batch are projected.
Shapes: B triples, N distinct items of the batch, E environments, M modalities, D width.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from milktrain import environments
from milktrain.config import EnvironmentStrategy, Imputation, Switch, TrainConfig
from milktrain.models import _layers as layers
from milktrain.models import _present
from milktrain.models._objective import Terms, objective
from milktrain.recommender import Batch, Content, Losses, Ranker, Task

#: Candidates embedded at a time: 4096-wide features of as many items take 64 MB a modality.
ITEMS_PER_CHUNK = 4096


class Milk(nn.Module):
    """The model and its objective.

    Args:
        content: features of all items; kept by reference, not part of the state.
        n_users: number of users.
        dim: width D of the shared space.
        alpha: concentration of the Dirichlet draw.
        beta: weight of the variance over environments.
        lam: weight of the alignment.
        reg: weight of the regularisation.
        reduction: how the environments' losses become one: `sum` as the authors' code, `mean` as eq. 14.
        unbiased: whether the variance divides by E - 1.
        alignment: `mean_square`: over the width, as the authors' code; `squared_norm`: as eq. 6.
        regularisation: `batch`: mean over the batch of |u|^2 + |z_pos|^2 + |z_neg|^2 in the uniform environment, as the authors'
            code; `parameters`: the squared length of all parameters, as eq. 16.
        strategy: how the environments of a step are drawn.
        without: `alignment`: no eq. 6. `invariance`: the uniform environment alone, and no variance. `both`: BPR alone.
        imputation: `token`: a vector per modality is learned for what is missing. `average_present`: weights over what an item has.
            Others were at work before: the features are all the model sees of them.
        generator: draws the initial weights.
    """

    #: Whether the gradient of the users' table can be sparse, see `optimizers`.
    SPARSE = True
    kept: Tensor | None

    def __init__(
        self, content: Content, *, n_users: int, dim: int, alpha: float, beta: float, lam: float, reg: float,
        reduction: Literal["sum", "mean"], unbiased: bool, alignment: Literal["mean_square", "squared_norm"],
        regularisation: Literal["batch", "parameters"], generator: torch.Generator, strategy: EnvironmentStrategy = "cyclic",
        without: Switch = "nothing", imputation: Imputation = "mean",
    ) -> None:  # fmt: skip
        super().__init__()
        self.content = content
        self.alpha, self.beta, self.lam, self.reg = alpha, beta, lam, reg
        self.reduction, self.unbiased, self.alignment, self.regularisation = reduction, unbiased, alignment, regularisation
        self.strategy, self.aligned, self.invariant = strategy, without not in ("alignment", "both"), without not in ("invariance", "both")
        self.only_present = imputation == "average_present"
        self.users = nn.Embedding(n_users, dim, _weight=torch.empty(n_users, dim).normal_(0, 0.1, generator=generator))
        self.extractors = nn.ModuleList(layers.linear(matrix.shape[1], dim, generator=generator) for matrix in content.features)
        # What training adds to the mean that fills a missing row; no parameter where it is not asked for.
        tokens = [nn.Parameter(torch.zeros(matrix.shape[1])) for matrix in content.features] if imputation == "token" else []
        self.tokens = nn.ParameterList(tokens)
        # Drawn after the weights, so that those do not depend on the strategy; part of the state, so that training can go on.
        self.register_buffer("kept", self._draw_once(generator) if strategy == "fixed" else None)

    def embed(self, items: Tensor) -> Tensor:
        """Each item in each modality, eq. 5.

        Args:
            items: (N,) int64.

        Returns:
            (N, M, D).
        """
        return torch.stack(self._parts(items), dim=1)

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        """The objective on one batch under freshly drawn environments, eq. 16."""
        n = len(self.extractors)
        if self.invariant:
            theta = environments.of_step(self.strategy, n, alpha=self.alpha, generator=generator, kept=self.kept)
        else:
            theta = environments.uniform(n)
        return self.losses_in(batch, theta.to(self.users.weight.device))

    def losses_in(self, batch: Batch, theta: Tensor) -> Losses:
        """The objective on one batch under given environments.

        Args:
            batch: B triples.
            theta: (E, M) rows sum to 1.

        Returns:
            Total, and the parts `bpr` (E,), `variance`, `alignment`, `regularisation`.
        """
        items, place, counts = _distinct(torch.cat([batch.positives, batch.negatives]), n=len(self.content.available))
        positive, negative = place.chunk(2)
        available = self.content.available.index_select(0, items)  # (N, M)
        # Positives are training items; an imputed modality is a constant that alignment must not pull others towards.
        is_positive = torch.zeros(len(items), dtype=torch.bool, device=items.device).index_fill_(0, positive, True)  # (N,)
        terms = Terms(
            batch.users, positive, negative, counts.to(theta.dtype), available & is_positive[:, None], ~available, theta,
            averaged=self.reduction == "mean", unbiased=self.unbiased, squared_norm=self.alignment == "squared_norm", beta=self.beta,
            lam=self.lam if self.aligned else 0.0, reg=self.reg if self.regularisation == "batch" else 0.0, sparse=self.users.sparse,
        )  # fmt: skip
        if self.only_present:
            total, parts = _present.objective(self.users(batch.users), self._parts(items), available, terms)
        else:
            x = [matrix.index_select(0, items) for matrix in self.content.features]
            maps = list(self.extractors.parameters())  # weight and bias of each in turn
            total, parts = objective(self.users.weight, x, maps, self._shifts(), terms)
        if self.regularisation == "parameters":
            norm = torch.stack([parameter.square().sum() for parameter in self.parameters()]).sum()
            total, parts = total + self.reg * norm, parts | {"regularisation": norm.detach()}
        return Losses(total, parts)

    def ranker(self, items: Tensor) -> Ranker:
        """Scores in the uniform environment, eq. 18: missing modalities count with their stand-in."""
        z = self.places(items)  # (C, D)
        return lambda users: torch.mm(self.users(users), z.T)

    def places(self, items: Tensor) -> Tensor:
        """Where (C,) items lie in the users' space, in the uniform environment, eq. 18; (C, D)."""
        parts = torch.split(items, ITEMS_PER_CHUNK)
        return torch.cat([self._uniform(self.embed(part), self.content.available[part]) for part in parts])

    def _uniform(self, c: Tensor, available: Tensor) -> Tensor:
        return _present.mean(c, available) if self.only_present else c.mean(dim=1)

    def _draw_once(self, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**62, (), generator=generator))
        return environments.draw_weights(len(self.extractors), alpha=self.alpha, generator=np.random.default_rng(seed))

    def _parts(self, items: Tensor) -> list[Tensor]:
        parts = [extract(matrix.index_select(0, items)) for extract, matrix in zip(self.extractors, self.content.features, strict=True)]
        shifts = self._shifts()
        if shifts is None:
            return parts
        missing = (~self.content.available[items]).to(parts[0].dtype)  # (N, M)
        return [part + torch.outer(here, shift) for part, here, shift in zip(parts, missing.unbind(1), shifts, strict=True)]

    def _shifts(self) -> Tensor | None:
        """(M, D), what tokens add to embeddings: x = mean + token where x is missing, so W x + b gains W token."""
        if not len(self.tokens):
            return None
        return torch.stack([extract.weight @ token for extract, token in zip(self.extractors, self.tokens, strict=True)])


def build(task: Task, config: TrainConfig, *, generator: torch.Generator) -> Milk:
    """MILK for a task; `generator` draws the initial weights."""
    return Milk(
        task.content, n_users=task.n_users, dim=config.dim, alpha=config.alpha, beta=config.beta, lam=config.lam, reg=config.reg,
        reduction=config.reduction, unbiased=config.unbiased, alignment=config.alignment, regularisation=config.regularisation, generator=generator,
        strategy=config.environments, without=config.without, imputation=config.imputation,
    )  # fmt: skip


def _distinct(ids: Tensor, *, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ids that occur, in order; the place of each id among them; and how often each occurs. Marking takes a tenth of sorting's time.

    Args:
        ids: (K,) int64 in [0, n).
        n: how many ids there could be.

    Example:
        >>> _distinct(torch.tensor([7, 2, 7]), n=9)
        (tensor([2, 7]), tensor([1, 0, 1]), tensor([1, 2]))
    """
    found = torch.zeros(n, dtype=torch.bool, device=ids.device).index_fill_(0, ids, True).nonzero().squeeze(1)
    place = ids.new_empty(n)  # written where read, and nowhere else
    place[found] = torch.arange(len(found), device=ids.device)
    place = place.index_select(0, ids)
    return found, place, torch.bincount(place, minlength=len(found))
