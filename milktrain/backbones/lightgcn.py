"""LightGCN: BPR-MF whose vectors are averaged over propagations along the interactions.

Source: He et al. 2020: a layer is the sum over neighbours divided by the root of both degrees; the result is the mean of all layers, the
first included. Two layers, because more bring little and cost a pass over all interactions each, at every step.
Shapes: n interactions, U users, V items, D width.
"""

import warnings

import torch
from torch import Tensor

from milktrain.backbones.bpr_mf import BprMf

LAYERS = 2


class LightGcn(BprMf):
    """BPR-MF with propagation.

    Args:
        train: (n, 2) int64 user, item.
        n_users: U.
        n_items: V.
        width: D.
        reg: weight of the regularisation, which is of the first layer.
        generator: draws the initial vectors.
    """

    def __init__(self, train: Tensor, *, n_users: int, n_items: int, width: int, reg: float, generator: torch.Generator) -> None:
        super().__init__(n_users=n_users, n_items=n_items, width=width, reg=reg, generator=generator)
        self._to_users = normalised(train, n_rows=n_users, n_columns=n_items)
        self._to_items = normalised(train.flip(1), n_rows=n_items, n_columns=n_users)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(U, D) and (V, D), means over the layers."""
        users, items = self.users.weight, self.items.weight
        return propagated(users, items, self._to_users, self._to_items)


def propagated(users: Tensor, items: Tensor, to_users: Tensor, to_items: Tensor, *, layers: int = LAYERS) -> tuple[Tensor, Tensor]:
    """Mean over the layers of propagation.

    Args:
        users: (U, D).
        items: (V, D).
        to_users: (U, V) sparse, see `normalised`.
        to_items: (V, U) sparse, its transpose.
        layers: propagations besides the first, which is none.

    Returns:
        (U, D) and (V, D).
    """
    of_users, of_items = [users], [items]
    for _ in range(layers):
        of_users, of_items = [*of_users, torch.mm(to_users, of_items[-1])], [*of_items, torch.mm(to_items, of_users[-1])]
    return torch.stack(of_users).mean(dim=0), torch.stack(of_items).mean(dim=0)


def normalised(pairs: Tensor, *, n_rows: int, n_columns: int) -> Tensor:
    """The adjacency of a bipartite graph, each edge divided by the root of the degrees of its ends.

    Args:
        pairs: (n, 2) int64 row, column; each at most once.
        n_rows: rows there are.
        n_columns: columns there are.

    Returns:
        (n_rows, n_columns) sparse, compressed by row.

    Example:
        >>> normalised(torch.tensor([[0, 0], [0, 1], [1, 1]]), n_rows=2, n_columns=2).to_dense()
        tensor([[0.7071, 0.5000],
                [0.0000, 0.7071]])
    """
    row, column = pairs.unbind(1)
    by_row, by_column = torch.bincount(row, minlength=n_rows), torch.bincount(column, minlength=n_columns)
    weight = (by_row[row] * by_column[column]).float().rsqrt()
    # torch calls the whole of its compressed layouts a beta, once a process; whether it checks them it wants to be told, or it warns.
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):  # type: ignore[no-untyped-call] # torch does not say
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_coo_tensor(pairs.T, weight, (n_rows, n_columns)).coalesce().to_sparse_csr()


def build(train: Tensor, *, n_users: int, n_items: int, width: int, reg: float, generator: torch.Generator) -> LightGcn:
    """LightGCN for training interactions."""
    return LightGcn(train, n_users=n_users, n_items=n_items, width=width, reg=reg, generator=generator)
