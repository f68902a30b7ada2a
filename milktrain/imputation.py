"""What stands in for a missing modality, and how features are scaled.

Statistics come from training items that have the modality and from nothing else: a new item's features never reach them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from schemas.contracts import Modality
from schemas.errors import FeatureMissing

#: Rows copied at a time, so that wide features need no second whole matrix.
CHUNK_ROWS = 65_536


def mean_of_training_items(features: Tensor, available: Tensor, *, is_train: Tensor, modality: Modality) -> Tensor:
    """Features with every missing row replaced by the mean row of the training items that have the modality.

    Args:
        features: (V, d) float32; rows that are not available are never read.
        available: (V,) bool, after the setting's loss.
        is_train: (V,) bool.
        modality: named in errors.

    Returns:
        (V, d) float32, a new tensor.

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
    filled = features.clone()
    filled[~available] = (total / int(observed.sum())).to(features.dtype)
    return filled


def normalise_rows(features: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Each row divided by its Euclidean length; after imputation, as the authors' code does."""
    return tuple(F.normalize(matrix, dim=1) for matrix in features)
