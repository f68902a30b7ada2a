"""The mean of the training items nearest in what an item has stands in for what it lacks.

Near is the sum of the cosines over the modalities the item has, among training items that have those and the wanted one too. An item
for which there is none gets the mean of the modality.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from milktrain import preprocessing
from milktrain.config import TrainConfig
from milktrain.imputation._items import Items

#: Items filled, and training items compared with, at a time: 2048 x 16384 similarities are 128 MB.
CHUNK_ITEMS, CHUNK_TRAIN = 2048, 16_384


def impute(items: Items, *, config: TrainConfig) -> None:
    """Write the mean of the `config.neighbours` nearest into every missing row.

    Raises:
        FeatureMissing: if no training item has a modality.
    """
    for m, matrix in enumerate(items.features):
        lacking = ~items.available[:, m]
        mean = preprocessing.mean_of(matrix, items.observed(m)).to(matrix.dtype)
        for pattern in torch.unique(items.available[lacking], dim=0):  # at most 2^(M - 1) ways to lack it
            alike = lacking & (items.available == pattern).all(dim=1)
            others = pattern.nonzero().squeeze(1).tolist()
            train = (items.observed(m) & items.available[:, others].all(dim=1)).nonzero().squeeze(1)
            if not others or not len(train):
                matrix[alike] = mean
                continue
            for rows in torch.split(alike.nonzero().squeeze(1), CHUNK_ITEMS):
                near = _nearest([items.features[o] for o in others], rows, train, k=min(config.neighbours, len(train)))
                matrix[rows] = _mean_of_rows(matrix, near)


def _nearest(features: list[Tensor], rows: Tensor, train: Tensor, *, k: int) -> Tensor:
    """(R, k) ids out of (T,) `train`, for each of (R,) `rows`; the running best over chunks."""
    mine = [F.normalize(matrix[rows], dim=1) for matrix in features]
    values = torch.full((len(rows), 0), -torch.inf)
    ids = torch.zeros(len(rows), 0, dtype=torch.int64)
    for part in torch.split(train, CHUNK_TRAIN):
        similarity = torch.stack([x @ F.normalize(matrix[part], dim=1).T for x, matrix in zip(mine, features, strict=True)]).sum(dim=0)
        values = torch.cat([values, similarity], dim=1)
        ids = torch.cat([ids, part.expand(len(rows), -1)], dim=1)
        values, best = values.topk(min(k, values.shape[1]), dim=1)
        ids = ids.gather(1, best)
    return ids


def _mean_of_rows(matrix: Tensor, ids: Tensor) -> Tensor:
    total = torch.zeros(len(ids), matrix.shape[1])
    for column in ids.T:  # one neighbour of each at a time, so that wide rows are not gathered k times over
        total += matrix[column]
    return total / ids.shape[1]
