"""What stands in for a missing modality, and how features are scaled.

Statistics come from training items that have the modality and from nothing else: a new item's features never reach them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from schemas.contracts import Modality
from schemas.errors import FeatureMissing

#: Rows looked at a time. Everything happens in place: wide features of many items are in memory once.
CHUNK_ROWS = 65_536


def fill_with_training_mean(features: Tensor, available: Tensor, *, is_train: Tensor, modality: Modality) -> Tensor:
    """Replace every missing row, in place, by the mean row of the training items that have the modality.

    Args:
        features: (V, d) float32; rows that are not available are never read, and written to.
        available: (V,) bool, after the setting's loss.
        is_train: (V,) bool.
        modality: named in errors.

    Returns:
        (V, d) the same tensor.

    Raises:
        FeatureMissing: if no training item has the modality.

    Source:
        section on missing features of the paper's protocol; eq. 18.
    """
    observed = available & is_train
    if not bool(observed.any()):
        raise FeatureMissing(f"No training item has {modality}, so there is no mean to stand in for it. Train with --modalities without {modality}.")
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for rows in torch.split(observed.nonzero().squeeze(1), CHUNK_ROWS):
        total += features[rows].sum(dim=0, dtype=torch.float64)
    features[~available] = (total / int(observed.sum())).to(features.dtype)
    return features


def normalise_rows(features: Tensor) -> Tensor:
    """Divide each row by its Euclidean length, in place; after imputation, as the authors' code does.

    Returns:
        (V, d) the same tensor; a row of zeros stays one.
    """
    for rows in torch.split(features, CHUNK_ROWS):
        F.normalize(rows, dim=1, out=rows)
    return features
