"""A linear map from each modality an item has stands in for the one it lacks; ridge regression in closed form.

The map from o to m is fitted on training items that have both. An item that has several gets the mean of what they predict, an
item that has none the mean of m. Source: the learned map between modalities of Table 3, here without gradient descent.
"""

import torch

from milktrain import preprocessing, ridge
from milktrain.config import TrainConfig
from milktrain.imputation._items import Items


def impute(items: Items, *, config: TrainConfig) -> None:
    """Write predictions into every missing row.

    Raises:
        FeatureMissing: if no training item has a modality.
    """
    for m, matrix in enumerate(items.features):
        lacking = ~items.available[:, m]
        mean = preprocessing.mean_of(matrix, items.observed(m)).to(matrix.dtype)
        matrix[lacking] = 0
        predictions = torch.zeros(len(matrix), dtype=torch.int64)
        for o, other in enumerate(items.features):
            both = items.observed(m) & items.observed(o)
            wanted = lacking & items.available[:, o]
            if o == m or not bool(both.any()) or not bool(wanted.any()):
                continue
            found = ridge.fit(
                other.__getitem__, matrix.__getitem__, both.nonzero().squeeze(1), before=preprocessing.mean_of(other, both),
                after=preprocessing.mean_of(matrix, both), strength=config.ridge,
            )  # fmt: skip
            for rows in torch.split(wanted.nonzero().squeeze(1), ridge.CHUNK_ROWS):
                matrix[rows] += found(other[rows])
            predictions += wanted
        matrix[lacking & (predictions == 0)] = mean
        several = predictions > 1
        matrix[several] /= predictions[several, None]
