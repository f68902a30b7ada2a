"""How features are scaled before a model sees them: named choices, fitted on observed training items and on nothing else.

Two moments: columns are standardised or rotated before missing rows are filled, from rows that training items really have, so that
the mean that may fill them is zero; rows are scaled to length 1 after, as the authors' code does. Everything happens in place, a
chunk of rows at a time: wide features of many items are in memory once.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from milktrain.config import Preprocessing

#: Rows looked at a time.
CHUNK_ROWS = 65_536
#: A column that varies less than this, for its size, is constant: dividing by its deviation would blow up rounding.
CONSTANT = 1e-6
#: Up to this width principal axes come from the whole covariance; above, from a random sketch of it.
EXACT_WIDTH = 2048
OVERSAMPLE, PASSES = 16, 6


def columns(features: Tensor, observed: Tensor, *, how: Preprocessing, width: int, seed: int = 0) -> Tensor:
    """The part before imputation.

    Args:
        features: (V, d) float32, overwritten; rows that are missing may hold anything, and hold anything afterwards.
        observed: (V,) bool, training items that have the modality: all that is looked at to fit.
        how: name of the choice.
        width: axes that `pca` keeps; fewer where features are narrower or there are fewer observed rows.
        seed: of the sketch that wide features are rotated by.

    Returns:
        (V, d), or (V, w) of `pca`, in the memory of the input.
    """
    if how.startswith("standardise"):
        return standardise(features, observed)
    return rotate(features, observed, width=width, seed=seed) if how.startswith("pca") else features


def rows(features: Tensor, *, how: Preprocessing) -> Tensor:
    """The part after imputation: rows of length 1 where the choice says so.

    Returns:
        (V, d) the same tensor.
    """
    return normalise_rows(features) if how.endswith("row_l2") else features


def mean_of(features: Tensor, observed: Tensor) -> Tensor:
    """(d,) float64 mean of the rows of (V, d) that (V,) `observed` names."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for part in torch.split(observed.nonzero().squeeze(1), CHUNK_ROWS):
        total += features[part].sum(dim=0, dtype=torch.float64)
    return total / int(observed.sum())


def standardise(features: Tensor, observed: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of every column over the observed rows, in place; a column that is constant there becomes 0 there.

    Args:
        features: (V, d) float32.
        observed: (V,) bool, at least one.

    Returns:
        (V, d) the same tensor.
    """
    mean = mean_of(features, observed)
    squares = torch.zeros_like(mean)
    for part in torch.split(observed.nonzero().squeeze(1), CHUNK_ROWS):
        squares += (features[part] - mean).square().sum(dim=0)
    deviation = (squares / int(observed.sum())).sqrt()
    deviation[deviation <= CONSTANT * mean.abs()] = 1
    deviation[deviation == 0] = 1
    for part in torch.split(features, CHUNK_ROWS):
        part.sub_(mean.to(part.dtype)).div_(deviation.to(part.dtype))
    return features


def rotate(features: Tensor, observed: Tensor, *, width: int, seed: int = 0) -> Tensor:
    """Coordinates along the principal axes of the observed rows, largest variance first.

    Args:
        features: (V, d) float32, contiguous; its memory takes the result.
        observed: (V,) bool, n of them.
        width: axes kept; at most min(n, d) are.
        seed: of the sketch, where d is above `EXACT_WIDTH`.

    Returns:
        (V, w) in the memory of `features`.
    """
    mean = mean_of(features, observed)
    kept = min(width, features.shape[1], int(observed.sum()))
    axes = _axes(features, observed, mean, kept=kept, seed=seed).to(features.dtype)
    flat, shift, done = features.view(-1), mean.to(features.dtype), 0
    for part in torch.split(features, CHUNK_ROWS):
        turned = (part - shift) @ axes  # is never wider than what it came from, so rows still to be read are not written over
        flat[done : done + turned.numel()] = turned.view(-1)
        done += turned.numel()
    return flat[:done].view(len(features), kept)


def normalise_rows(features: Tensor) -> Tensor:
    """Divide each row by its Euclidean length, in place; after imputation, as the authors' code does.

    Returns:
        (V, d) the same tensor; a row of zeros stays one.
    """
    for part in torch.split(features, CHUNK_ROWS):
        F.normalize(part, dim=1, out=part)
    return features


def _axes(features: Tensor, observed: Tensor, mean: Tensor, *, kept: int, seed: int) -> Tensor:
    """(d, w) orthonormal axes in float64, each with its largest entry positive, so that they do not depend on a solver's sign."""
    d = features.shape[1]
    if d <= EXACT_WIDTH:
        axes = torch.linalg.eigh(_times_covariance(features, observed, mean, torch.eye(d, dtype=torch.float64)))[1]
    else:
        random = torch.Generator().manual_seed(seed)
        sketch = torch.randn(d, min(d, kept + OVERSAMPLE), generator=random, dtype=torch.float64)
        for _ in range(PASSES):  # subspace iteration; Halko, Martinsson & Tropp 2011
            sketch = torch.linalg.qr(_times_covariance(features, observed, mean, sketch))[0]
        axes = sketch @ torch.linalg.eigh(sketch.T @ _times_covariance(features, observed, mean, sketch))[1]
    axes = axes.flip(1)[:, :kept]  # eigh sorts ascending
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    signed: Tensor = axes * largest.sign()
    return signed


def _times_covariance(features: Tensor, observed: Tensor, mean: Tensor, right: Tensor) -> Tensor:
    product = torch.zeros_like(right)
    for part in torch.split(observed.nonzero().squeeze(1), CHUNK_ROWS // 8):
        centred = features[part] - mean  # float64
        product += centred.T @ (centred @ right)
    return product / int(observed.sum())
