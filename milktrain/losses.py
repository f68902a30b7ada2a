"""The three parts of MILK's objective, as pure functions of scores and embeddings.

Shapes: B triples of a batch, E environments, M modalities, N distinct items, D width.
"""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F


def bpr(gap: Tensor) -> Tensor:
    """Bayesian personalised ranking loss of each environment.

    Args:
        gap: (B, E) score of the positive minus score of the negative.

    Returns:
        (E,) mean over the batch of -log sigmoid(gap).

    Source:
        Rendle et al. 2009; eq. 15.

    Example:
        >>> bpr(torch.zeros(4, 2))
        tensor([0.6931, 0.6931])
    """
    return F.softplus(-gap).mean(dim=0)


def alignment(embeddings: Tensor, available: Tensor, *, squared_norm: bool = False) -> Tensor:
    """Squared distance between the modalities of an item, where it has both.

    Every pair of modalities contributes the mean over the items that have both; pairs that no item has contribute nothing.

    Args:
        embeddings: (N, M, D) one row an item.
        available: (N, M) bool, the matrix A: imputed modalities are False and stay out.
        squared_norm: take the squared length of the difference, as eq. 6 reads, rather than its mean over the width, as the
            authors' code does.

    Returns:
        () sum over the pairs m < m'.

    Source:
        eq. 6, with the mean over items for its sum, so that the weight does not depend on the batch size.

    Example:
        >>> c = torch.tensor([[[0.0, 0.0], [1.0, 3.0]]])
        >>> alignment(c, torch.tensor([[True, True]])), alignment(c, torch.tensor([[True, False]]))
        (tensor(5.), tensor(0.))
    """
    total = embeddings.new_zeros(())
    for a, b in combinations(range(embeddings.shape[1]), 2):
        both = (available[:, a] & available[:, b]).to(embeddings.dtype)  # (N,)
        distance = (embeddings[:, a] - embeddings[:, b]).square().mean(dim=-1)  # (N,)
        distance = distance * embeddings.shape[2] if squared_norm else distance
        total = total + (distance * both).sum() / both.sum().clamp(min=1)
    return total


def variance(losses: Tensor, *, unbiased: bool) -> Tensor:
    """Variance of the environments' losses, the invariance penalty.

    Args:
        losses: (E,).
        unbiased: divide by E - 1 as the authors' code does, or by E as eq. 14 reads.

    Returns:
        () the variance; that of one environment is 0.

    Example:
        >>> variance(torch.tensor([1.0, 3.0]), unbiased=True), variance(torch.tensor([1.0, 3.0]), unbiased=False)
        (tensor(2.), tensor(1.))
    """
    if len(losses) == 1:
        return losses.new_zeros(())
    return torch.var(losses, correction=1 if unbiased else 0)
