"""A linear map from each modality an item has stands in for the one it lacks; ridge regression in closed form.

The map from o to m is fitted on training items that have both. An item that has several gets the mean of what they predict, an
item that has none the mean of m. Source: the learned map between modalities of Table 3, here without gradient descent.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain import preprocessing
from milktrain.config import TrainConfig
from milktrain.imputation._items import Items

#: Rows in float64 at a time.
CHUNK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class _Map:
    """Predicts `after + (x - before) @ weight`; shapes (d_o,), (d_m,), (d_o, d_m), float32."""

    before: Tensor
    after: Tensor
    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return self.after + (x - self.before) @ self.weight


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
            found = _fit(other, matrix, both, ridge=config.ridge)
            for rows in torch.split(wanted.nonzero().squeeze(1), CHUNK_ROWS):
                matrix[rows] += found(other[rows])
            predictions += wanted
        matrix[lacking & (predictions == 0)] = mean
        several = predictions > 1
        matrix[several] /= predictions[several, None]


def _fit(x: Tensor, y: Tensor, both: Tensor, *, ridge: float) -> _Map:
    before, after = preprocessing.mean_of(x, both), preprocessing.mean_of(y, both)
    gram = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    cross = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)
    for rows in torch.split(both.nonzero().squeeze(1), CHUNK_ROWS):
        centred = x[rows] - before
        gram += centred.T @ centred
        cross += centred.T @ (y[rows] - after)
    # Relative to the mean variance of a column, so that one strength serves features of any scale; 0 variance predicts the mean.
    strength = float(ridge * gram.diagonal().mean())
    gram.diagonal().add_(strength if strength > 0 else 1.0)
    weight = torch.linalg.solve(gram, cross)
    return _Map(before.to(x.dtype), after.to(x.dtype), weight.to(x.dtype))
