"""Graphs between items by their content: each item and the training items most like it, in memory that grows with the items and not their square.

An edge weighs the cosine of two rows, divided by the root of both ends' degrees; a degree is the sum of the cosines of an item's own edges.
Only training items are at the far end of an edge. A cosine below zero weighs nothing.
Shapes: W training items, T of them that others may be linked to, N items, K edges an item, d width of a row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from milktrain.models import _layers as layers

#: Rows compared at a time: 2048 x 16384 cosines are 128 MB.
CHUNK, CHUNK_FAR = 2048, 16_384


@dataclass(frozen=True, slots=True)
class Rows:
    """Content of some items, which is not copied as a whole.

    Shapes:
        matrix: (any, d).
        ids: (N,) int64, which of its rows.
    """

    matrix: Tensor
    ids: Tensor

    @classmethod
    def all_of(cls, matrix: Tensor) -> "Rows":
        """Every row of a matrix."""
        return cls(matrix, torch.arange(len(matrix), device=matrix.device))

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, which: Tensor) -> "Rows":
        """Some of them."""
        return Rows(self.matrix, self.ids[which])

    def unit(self, first: int, count: int) -> Tensor:
        """(count, d) from the first on, of length 1, or 0 where there is nothing."""
        return F.normalize(self.matrix[self.ids[first : first + count]], dim=1)


@dataclass(frozen=True, slots=True)
class Edges:
    """What each of some items is linked to.

    Shapes:
        far: (N, K) int64, a training item by its row.
        weights: (N, K) float32.
    """

    far: Tensor
    weights: Tensor

    def of(self, rows: Tensor) -> "Edges":
        """Those of some of the items."""
        return Edges(self.far[rows], self.weights[rows])

    def sum_of(self, table: Tensor) -> Tensor:
        """(N, D) weighted sums of rows of a table (W, D); differentiable in the table and in the weights."""
        if not self.far.numel():
            return table.new_zeros(len(self.far), table.shape[1])
        found: Tensor = F.embedding_bag(self.far, table, per_sample_weights=self.weights, mode="sum")
        return found


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph between training items.

    Shapes:
        edges: of all W; the first of each leads to itself.
        degrees: (W,) float32.
        sources: (T,) int64 rows that others may be linked to.
    """

    edges: Edges
    degrees: Tensor
    sources: Tensor


def between(rows: Rows, *, sources: Tensor, k: int) -> Graph:
    """Link every training item to itself and to the k - 1 others most like it.

    Args:
        rows: content of the W training items.
        sources: (T,) int64 ascending, those that others may be linked to.
        k: edges an item; at most T, so that there are as many others for each.
    """
    itself = torch.arange(len(rows), device=rows.ids.device)
    others, cosines = nearest(rows, rows.of(sources), k=max(min(k, len(sources)) - 1, 0), but=_places(itself, sources))
    has_some = torch.linalg.vector_norm(rows.matrix, dim=1)[rows.ids] > 0
    far, cosines = torch.cat([itself[:, None], sources[others]], dim=1), torch.cat([has_some.to(cosines.dtype)[:, None], cosines.clamp(min=0)], dim=1)
    degrees = cosines.sum(dim=1)
    return Graph(Edges(far, _scaled(cosines, degrees, degrees[far])), degrees, sources)


def weighed(content: Tensor, far: Tensor) -> Edges:
    """The edges of a graph with their weights computed from the content at their ends, differentiable in it.

    Args:
        content: (W, d) of the training items.
        far: (W, K) int64.
    """
    unit = F.normalize(content, dim=1)
    cosines = torch.stack([(unit * layers.rows_of(unit, column)).sum(dim=1) for column in far.T], dim=1).clamp(min=0)
    degrees = cosines.sum(dim=1)
    return Edges(far, _scaled(cosines, degrees, layers.rows_of(degrees[:, None], far).squeeze(-1)))


def to_new(new: Rows, rows: Rows, graph: Graph, *, k: int) -> Edges:
    """Link items outside of the graph to the k training items most like each; the graph stays as it is.

    Args:
        new: content of N items.
        rows: content that the graph was made of.
        graph: see `between`.
        k: edges an item; fewer where there are fewer sources.
    """
    found, cosines = nearest(new, rows.of(graph.sources), k=min(k, len(graph.sources)))
    far, cosines = graph.sources[found], cosines.clamp(min=0)
    return Edges(far, _scaled(cosines, cosines.sum(dim=1), graph.degrees[far]))


def mixed(some: Edges, others: Edges, *, share: float) -> Edges:
    """Two kinds of edges of the same items as one, the first at a share of their weights and the second at the rest."""
    return Edges(torch.cat([some.far, others.far], dim=1), torch.cat([share * some.weights, (1 - share) * others.weights], dim=1))


def nearest(rows: Rows, far: Rows, *, k: int, but: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The most alike by cosine, looked for in chunks.

    Args:
        rows: N of them.
        far: T of them.
        k: how many, at most T.
        but: (N,) int64, of each the one of `far` that is not to be found, -1 for none.

    Returns:
        (N, k) int64 places in `far`, most alike first, and (N, k) the cosines.
    """
    places = torch.empty(len(rows), k, dtype=torch.int64, device=rows.ids.device)
    cosines = torch.empty(len(rows), k, dtype=rows.matrix.dtype, device=rows.ids.device)
    for first in range(0, len(rows) if k else 0, CHUNK):
        part = slice(first, first + CHUNK)
        places[part], cosines[part] = _nearest(rows.unit(first, CHUNK), far, k=k, but=None if but is None else but[part])
    return places, cosines


def _nearest(unit: Tensor, far: Rows, *, k: int, but: Tensor | None) -> tuple[Tensor, Tensor]:
    values = unit.new_empty(len(unit), 0)
    places = torch.empty(len(unit), 0, dtype=torch.int64, device=unit.device)
    for first in range(0, len(far), CHUNK_FAR):
        products = unit @ far.unit(first, CHUNK_FAR).T
        if but is not None:
            here = ((but >= first) & (but < first + products.shape[1])).nonzero().squeeze(1)
            products[here, but[here] - first] = -torch.inf
        best = products.topk(min(k, products.shape[1]), dim=1)
        values, places = torch.cat([values, best.values], dim=1), torch.cat([places, best.indices + first], dim=1)
        values, kept = values.topk(min(k, values.shape[1]), dim=1)
        places = places.gather(1, kept)
    return places, values


def _places(wanted: Tensor, ascending: Tensor) -> Tensor:
    """Where each number stands among ascending ones; -1 where it does not."""
    if not len(ascending):
        return torch.full_like(wanted, -1)
    at = torch.searchsorted(ascending, wanted).clamp(max=len(ascending) - 1)
    return torch.where(ascending[at] == wanted, at, -1)


def _scaled(cosines: Tensor, degrees: Tensor, of_far: Tensor) -> Tensor:
    """(N, K) edges by the degrees (N,) of their near ends and (N, K) of their far ones."""
    return _inverse_root(degrees)[:, None] * cosines * _inverse_root(of_far)


def _inverse_root(degrees: Tensor) -> Tensor:
    """1 / sqrt(d), and 0 where nothing is linked."""
    linked = degrees > 0
    return torch.where(linked, degrees, 1.0).rsqrt() * linked
