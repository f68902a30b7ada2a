"""Clusters of content, found among training items, and of any item the nearest.

What is found is fixed in size, whatever items come later: it can be part of a state.
Shapes: W training items, N items, K clusters, D width.
"""

import warnings

import torch
from torch import Tensor

#: Distances computed at a time.
CELLS = 2**22


def centroids(content: Tensor, *, count: int, generator: torch.Generator) -> Tensor:
    """Centres of k-means by Lloyd's algorithm.

    Args:
        content: (W, D) of training items.
        count: how many; W where there are fewer items.
        generator: draws the seed of the first centres.

    Returns:
        (min(count, W), D) float32. Where fewer rows than that differ, the centres without an item are copies of one that has some.

    Source:
        Lloyd 1982; first centres by Arthur & Vassilvitskii 2007.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    seed = int(torch.randint(2**31, (), generator=generator))
    with warnings.catch_warnings():  # fewer different rows than clusters: what to do then is said above
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        # One thread: several add up their parts in the order in which they finish.
        with threadpool_limits(limits=1):
            found = KMeans(min(count, len(content)), n_init=1, random_state=seed).fit(content.cpu().numpy()).cluster_centers_
    centres = torch.from_numpy(found).to(content)
    has_some = torch.bincount(nearest(content, centres), minlength=len(centres)) > 0
    return torch.where(has_some[:, None], centres, centres[has_some][0])


def nearest(content: Tensor, centres: Tensor) -> Tensor:
    """(N,) int64, the nearest centre to each row of (N, D) by Euclidean distance, the first of several."""
    parts = torch.split(content, max(1, CELLS // len(centres)))
    # A centre's squared length less twice the product: the row's own length is the same for all centres.
    lengths = centres.square().sum(dim=1)
    return torch.cat([(lengths - 2 * part @ centres.T).argmin(dim=1) for part in parts])


def means(rows: Tensor, content: Tensor, centres: Tensor) -> Tensor:
    """Mean over the items nearest to each centre.

    Args:
        rows: (W, D) what is averaged.
        content: (W, F) of the same items.
        centres: (K, F), each nearest to some item or equal to one that is.

    Returns:
        (K, D); the same for equal centres.
    """
    _, same = torch.unique(centres, dim=0, return_inverse=True)
    of_items = same[nearest(content, centres)]
    sums = rows.new_zeros(len(centres), rows.shape[1]).index_add_(0, of_items, rows)
    counts = torch.bincount(of_items, minlength=len(centres)).clamp(min=1)
    return (sums / counts[:, None])[same]
