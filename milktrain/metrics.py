"""Ranking metrics for new-item recommendation.

All functions are pure. Those of METRICS take one row per user and average nothing: the caller decides how to aggregate. Those
of OF_LISTS look at the lists of all users together. Gain is binary.
Shapes: U users, K list length. `hits[u, r]` is True when rank r (0-based) of user u is relevant.
"""

from collections.abc import Mapping, Sequence

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


def hit_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Whether anything relevant stands in the first k.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32, 0 or 1.

    Example:
        >>> hit_at_k(torch.tensor([[False, True]]), n_relevant=torch.tensor([4]), k=2)
        tensor([1.])
    """
    return (_found(hits, n_relevant, k) > 0).float()


def precision_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Share of the first k that is relevant.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32 in [0, 1]; below 1 even for a perfect list where fewer than k are relevant.

    Example:
        >>> precision_at_k(torch.tensor([[False, True]]), n_relevant=torch.tensor([4]), k=2)
        tensor([0.5000])
    """
    return _found(hits, n_relevant, k) / k


def average_precision_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """Precision at the rank of each hit, summed and divided by the most hits there could be; its mean over users is MAP.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32 in [0, 1]: (sum over hits at rank r <= k of precision at r) / min(k, n_relevant).

    Example:
        >>> average_precision_at_k(torch.tensor([[False, True, True]]), n_relevant=torch.tensor([2]), k=3)
        tensor([0.5833])
    """
    _check(hits, n_relevant, k)
    first = hits[:, :k].float()
    precision = first.cumsum(dim=1) / torch.arange(1, k + 1, device=hits.device)  # (U, k)
    return (precision * first).sum(dim=1) / n_relevant.clamp(max=k)


def reciprocal_rank_at_k(hits: Tensor, *, n_relevant: Tensor, k: int) -> Tensor:
    """One over the rank of the first hit, 0 where there is none in the first k; its mean over users is MRR.

    Args and errors as `recall_at_k`.

    Returns:
        (U,) float32 in [0, 1].

    Example:
        >>> reciprocal_rank_at_k(torch.tensor([[False, True, True]]), n_relevant=torch.tensor([2]), k=3)
        tensor([0.5000])
    """
    _check(hits, n_relevant, k)
    return (hits[:, :k] / torch.arange(1, k + 1, device=hits.device)).amax(dim=1)


#: Every metric by the name it has in results; call as METRICS[name](hits, n_relevant=..., k=...).
METRICS = {
    "recall": recall_at_k,
    "ndcg": ndcg_at_k,
    "hr": capped_hit_rate_at_k,
    "hit": hit_at_k,
    "precision": precision_at_k,
    "map": average_precision_at_k,
    "mrr": reciprocal_rank_at_k,
}


def coverage_at_k(top: Tensor, *, n_candidates: int, k: int) -> float:
    """Share of the candidates that stand in the first k of anybody.

    Args:
        top: (U, K) int64 item ids, -1 for nobody.
        n_candidates: how many could.
        k: cut-off.

    Example:
        >>> coverage_at_k(torch.tensor([[3, 5], [3, 7]]), n_candidates=4, k=2)
        0.75
    """
    return int((_exposure(top, k) > 0).sum()) / n_candidates


def gini_at_k(top: Tensor, *, n_candidates: int, k: int) -> float:
    """How unevenly the first k of all users are spread over the candidates.

    Args as `coverage_at_k`.

    Returns:
        0 where every candidate stands in as many lists, near 1 where one stands in all: sum over candidates, ascending by the
        number x of lists they stand in, of (2 i - n - 1) x_i, over n times the sum of x; i from 1 to n.

    Source:
        Gini 1912, as computed from ordered values.

    Example:
        >>> gini_at_k(torch.tensor([[3], [3]]), n_candidates=4, k=1)
        0.75
    """
    seen = _exposure(top, k)
    counts = torch.cat([seen.new_zeros(n_candidates - int((seen > 0).sum())), seen[seen > 0].sort().values]).double()
    rank = torch.arange(1, n_candidates + 1, dtype=torch.float64)
    total = float(counts.sum()) * n_candidates
    return float(((2 * rank - n_candidates - 1) * counts).sum()) / total if total else 0.0


#: What is measured of all lists together; call as OF_LISTS[name](top, n_candidates=..., k=...).
OF_LISTS = {"coverage": coverage_at_k, "gini": gini_at_k}


def _exposure(top: Tensor, k: int) -> Tensor:
    return torch.bincount(top[:, :k].flatten() + 1)[1:]  # without the places of nobody, -1


def _found(hits: Tensor, n_relevant: Tensor, k: int) -> Tensor:
    _check(hits, n_relevant, k)
    return hits[:, :k].sum(dim=1, dtype=torch.float32)


def _check(hits: Tensor, n_relevant: Tensor, k: int) -> None:
    if not 1 <= k <= hits.shape[1]:
        raise ShapeError(f"The cut-off is {k}, but the ranked lists are {hits.shape[1]} long. Rank at least k candidates.")
    if n_relevant.shape != hits.shape[:1]:
        raise ShapeError(f"{hits.shape[0]} ranked lists came with {tuple(n_relevant.shape)} counts of relevant items; one a user is needed.")


def chosen(means: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The named metrics at every cut-off, a cut-off after the other, in the order of the names.

    Example:
        >>> chosen({"ndcg@10": 0.2, "ndcg@5": 0.1, "recall@10": 0.4, "recall@5": 0.3}, ["recall", "ndcg"])
        {'recall@5': 0.3, 'ndcg@5': 0.1, 'recall@10': 0.4, 'ndcg@10': 0.2}
    """
    cutoffs = sorted({int(name.partition("@")[2]) for name in means})
    return {f"{name}@{k}": means[f"{name}@{k}"] for k in cutoffs for name in names if f"{name}@{k}" in means}
