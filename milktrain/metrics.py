"""Ranking metrics for new-item recommendation.

All functions are pure, take one row per user and average nothing: the caller decides how to aggregate. Gain is binary.
Shapes: U users, K list length. `hits[u, r]` is True when rank r (0-based) of user u is relevant.
"""

import torch
from torch import Tensor

from schemas.errors import ShapeError


def recall_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Share of a user's relevant candidates that stand in the first k.

    Args:
        hits: (U, K) bool.
        n_relevant: (U,) int64, relevant candidates per user, >= 1.
        k: cut-off, 1 <= k <= K.

    Returns:
        (U,) float32 in [0, 1].

    Raises:
        ShapeError: if k is out of range or the inputs disagree on U.

    Example:
        >>> recall_at_k(torch.tensor([[False, True, True]]), n_relevant=torch.tensor([4]), k=3)
        tensor([0.5000])
    """
    return _found(hits, n_relevant, k) / n_relevant


def capped_hit_rate_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Hits in the first k over the most that could be there: the `HR` of the authors' code.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32, hits / min(k, n_relevant).

    Example:
        >>> capped_hit_rate_at_k(torch.tensor([[False, True]]), n_relevant=torch.tensor([4]), k=2)
        tensor([0.5000])
    """
    return _found(hits, n_relevant, k) / n_relevant.clamp(max=k)


def ndcg_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Normalised discounted cumulative gain of ranked lists with binary relevance.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32 in [0, 1].

    Source:
        Jarvelin & Kekalainen 2002, gain 1, log base 2.

    Example:
        >>> ndcg_at_k(torch.tensor([[False, True, False]]), n_relevant=torch.tensor([1]), k=3)
        tensor([0.6309])
    """
    _check(hits, n_relevant, k)
    discounts = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float32, device=hits.device))  # (k,)
    gained = (hits[:, :k] * discounts).sum(dim=1)
    ideal = discounts.cumsum(0)[n_relevant.clamp(max=k) - 1]
    return gained / ideal


#: Every metric by the name it has in results; call as METRICS[name](hits, n_relevant=..., k=...).
METRICS = {"recall": recall_at_k, "ndcg": ndcg_at_k, "hr": capped_hit_rate_at_k}


def _found(hits: Tensor, n_relevant: Tensor, k: int) -> Tensor:
    _check(hits, n_relevant, k)
    return hits[:, :k].sum(dim=1, dtype=torch.float32)


def _check(hits: Tensor, n_relevant: Tensor, k: int) -> None:
    if not 1 <= k <= hits.shape[1]:
        raise ShapeError(f"The cut-off is {k}, but the ranked lists are {hits.shape[1]} long. Rank at least k candidates.")
    if n_relevant.shape != hits.shape[:1]:
        raise ShapeError(f"{hits.shape[0]} ranked lists came with {tuple(n_relevant.shape)} counts of relevant items; one a user is needed.")
