"""MILK's objective on a batch, from parameters to value and gradient in one pass.

The value is that of `milktrain.losses`; the gradient is worked out by hand rather than recorded operation by operation, because at
these sizes a step is bound by passes over memory and by the number of operations. `tests/milktrain/test_objective.py` holds it to
torch's own in double precision.
Shapes: B triples, N distinct items of the batch, E environments, M modalities, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from milktrain import losses


@dataclass(frozen=True, slots=True)
class Terms:
    """What the objective is made of, besides embeddings.

    Shapes:
        users: (B,) int64, rows of the users' table.
        positive, negative: (B,) int64, places among the N items.
        counts: (N,) float, how often an item stands in the batch, as positive or negative.
        aligned: (N, M) bool, which embeddings alignment may compare.
        missing: (N, M) bool, which embeddings are shifted by what is learned for a missing modality.
        theta: (E, M), rows sum to 1.

    Args:
        averaged: whether the environments' losses are averaged, or summed.
        unbiased: whether their variance divides by E - 1.
        squared_norm: whether alignment takes squared lengths, or their mean over the width.
        beta: weight of the variance.
        lam: weight of the alignment.
        reg: weight of the regularisation, which is the mean over the batch of |u|^2 + |z_pos|^2 + |z_neg|^2, z the mean over modalities.
        sparse: whether the gradient of the users' table is sparse.
    """

    users: Tensor
    positive: Tensor
    negative: Tensor
    counts: Tensor
    aligned: Tensor
    missing: Tensor
    theta: Tensor
    averaged: bool
    unbiased: bool
    squared_norm: bool
    beta: float
    lam: float
    reg: float
    sparse: bool


def objective(
    table: Tensor, x: list[Tensor], maps: Sequence[Tensor], shifts: Tensor | None, terms: Terms
) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """Value of the objective; its gradient reaches the table, the maps and the shifts.

    Args:
        table: (U, D) of the users.
        x: M of (N, d_m), features of the items.
        maps: (D, d_m) weight and (D,) bias of each modality in turn; half precision under autocast, and sums in full.
        shifts: (M, D), added where a modality is missing; None adds nothing.
        terms: the rest.

    Returns:
        () the total, and its parts without gradient: `bpr` (E,), `variance`, `alignment`, `regularisation`.

    Source:
        eq. 5, 6 and 13 to 16; the scores are linear in theta, so one score per modality serves all environments.
    """
    device = table.device.type
    if torch.is_autocast_enabled(device):
        x = [matrix.to(torch.get_autocast_dtype(device)) for matrix in x]
    with torch.autocast(device, enabled=False):
        total, bpr, spread, align, norm = _Objective.apply(terms, x, table, shifts, *maps)  # type: ignore[no-untyped-call] # torch does not annotate it
    return total, {"bpr": bpr, "variance": spread, "alignment": align, "regularisation": norm}


class _Objective(torch.autograd.Function):
    """Value and gradient in one pass: the gradient of a scalar can be had with its value, and waits for the factor it is asked with."""

    @staticmethod
    def forward(ctx: FunctionCtx, terms: Terms, x: list[Tensor], table: Tensor, shifts: Tensor | None, *maps: Tensor) -> tuple[Tensor, ...]:
        u = table.index_select(0, terms.users)  # (B, D)
        c = _project(x, maps, shifts, terms)  # M of (N, D)
        diff = [part.index_select(0, terms.positive).sub_(part.index_select(0, terms.negative)) for part in c]  # M of (B, D)
        gap = torch.stack([torch.linalg.vecdot(u, part) for part in diff], dim=1) @ terms.theta.T  # (B, E), eq. 13
        bpr = losses.bpr(gap)  # (E,), eq. 15
        spread = losses.variance(bpr, unbiased=terms.unbiased)  # eq. 14
        slope = torch.sigmoid(-gap).mul_(_share(bpr, terms) / -len(u)) @ terms.theta  # (B, M) of the total by the score in a modality
        du = u * (2 * terms.reg / len(u))  # (B, D)
        dc, norm = _regularisation(u, c, terms)
        align = _alignment(c, terms, into=dc)
        for into, part, by_score in zip(dc, diff, slope.unbind(1), strict=True):
            du.addcmul_(part, by_score[:, None])
            moved = u * by_score[:, None]  # (B, D)
            into.index_add_(0, terms.positive, moved).index_add_(0, terms.negative, moved.neg_())  # alpha=-1 would take four times as long
        task = bpr.mean() if terms.averaged else bpr.sum()
        # Tensors made here, of no graph: torch's own store is for inputs and outputs.
        ctx.gradients = (_of_table(table, du, terms), _of_shifts(shifts, dc, terms), *_of_maps(x, dc))  # type: ignore[attr-defined] # a place for anything
        ctx.mark_non_differentiable(bpr, spread, align, norm)
        return task + terms.beta * spread + terms.lam * align + terms.reg * norm, bpr, spread, align, norm  # eq. 16

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, factor: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients: tuple[Tensor | None, ...] = ctx.gradients  # type: ignore[attr-defined] # a place for anything
        ctx.gradients = None  # type: ignore[attr-defined] # a place for anything: what nobody else holds becomes the parameter's gradient without a copy
        if factor.device.type == "cpu" and factor.item() == 1:  # the usual case, which needs no pass
            return None, None, *gradients
        return None, None, *(None if gradient is None else gradient * factor for gradient in gradients)


def _project(x: list[Tensor], maps: tuple[Tensor, ...], shifts: Tensor | None, terms: Terms) -> list[Tensor]:
    c = [F.linear(matrix, w.to(matrix.dtype), b.to(matrix.dtype)).to(w.dtype) for matrix, w, b in zip(x, maps[::2], maps[1::2], strict=True)]
    if shifts is None:
        return c
    missing = terms.missing.to(shifts.dtype)
    return [part.addcmul_(missing[:, m, None], shifts[m]) for m, part in enumerate(c)]


def _of_table(table: Tensor, du: Tensor, terms: Terms) -> Tensor:
    if terms.sparse:
        with torch.sparse.check_sparse_tensor_invariants(True):  # type: ignore[no-untyped-call] # torch warns where nothing is said of it
            return torch.sparse_coo_tensor(terms.users[None], du, table.shape)
    return torch.zeros_like(table).index_add_(0, terms.users, du)


def _of_shifts(shifts: Tensor | None, dc: list[Tensor], terms: Terms) -> Tensor | None:
    if shifts is None:
        return None
    return torch.stack([here.to(part.dtype) @ part for here, part in zip(terms.missing.unbind(1), dc, strict=True)])


def _of_maps(x: list[Tensor], dc: list[Tensor]) -> list[Tensor]:
    return [gradient for matrix, part in zip(x, dc, strict=True) for gradient in ((part.to(matrix.dtype).T @ matrix).to(part.dtype), part.sum(dim=0))]


def _share(bpr: Tensor, terms: Terms) -> Tensor:
    """(E,) slope of the total by each environment's loss, directly and by the variance."""
    n = len(bpr)
    direct = torch.full_like(bpr, 1 / n if terms.averaged else 1.0)
    if n == 1:
        return direct
    return direct.add_(bpr - bpr.mean(), alpha=2 * terms.beta / (n - 1 if terms.unbiased else n))


def _regularisation(u: Tensor, c: list[Tensor], terms: Terms) -> tuple[list[Tensor], Tensor]:
    """Its slope by each modality's embeddings, M of (N, D), and its value.

    An item counts as often as it stands in the batch: one row an item instead of one a triple.
    """
    if not terms.reg:
        return [torch.zeros_like(part) for part in c], u.new_zeros(())
    z = torch.stack(c).mean(dim=0) if len(c) > 2 else (c[0] + c[-1]).div_(2)  # (N, D)
    norm = (torch.linalg.vecdot(u, u).sum() + torch.dot(torch.linalg.vecdot(z, z), terms.counts)) / len(u)
    slope = z.mul_((terms.counts * (2 * terms.reg / (len(u) * len(c))))[:, None])
    return [slope, *(slope.clone() for _ in c[1:])], norm


def _alignment(c: list[Tensor], terms: Terms, *, into: list[Tensor]) -> Tensor:
    """Value of eq. 6 as `losses.alignment` takes it; its slope is added to `into`, M of (N, D)."""
    total = c[0].new_zeros(())
    if not terms.lam:
        return total
    for a, b in combinations(range(len(c)), 2):
        both = (terms.aligned[:, a] & terms.aligned[:, b]).to(total.dtype)  # (N,)
        weight = both / (both.sum().clamp(min=1) * (1 if terms.squared_norm else c[a].shape[1]))
        gap = c[a] - c[b]  # (N, D)
        total = total + torch.dot(torch.linalg.vecdot(gap, gap), weight)
        gap.mul_((weight * (2 * terms.lam))[:, None])
        into[a].add_(gap)
        into[b].sub_(gap)
    return total
