"""The mean of the training items that have the modality stands in; eq. 18 and the paper's protocol."""

from milktrain import preprocessing
from milktrain.config import TrainConfig
from milktrain.imputation._items import Items


def impute(items: Items, *, config: TrainConfig) -> None:  # noqa: ARG001 all policies are called alike
    """Write the mean row of the observed training items into every missing row.

    Raises:
        FeatureMissing: if no training item has a modality.
    """
    for m, matrix in enumerate(items.features):
        matrix[~items.available[:, m]] = preprocessing.mean_of(matrix, items.observed(m)).to(matrix.dtype)
