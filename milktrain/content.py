"""From features with holes to what a model may know of the items: columns scaled, holes filled, rows scaled; in place.

Whatever is fitted is fitted on training items that have the modality. New items, those of the split or others appended behind them,
are transformed and filled by it, and change nothing of it.
"""

from collections.abc import Sequence

from torch import Tensor

from milktrain import preprocessing
from milktrain.config import TrainConfig
from milktrain.imputation._items import Items
from milktrain.recommender import Content
from schemas import plugins
from schemas.contracts import Modality

POLICIES = "milktrain.imputation"


def prepare(features: Sequence[Tensor], available: Tensor, *, is_train: Tensor, modalities: Sequence[Modality], config: TrainConfig) -> Content:
    """Preprocess and impute, in the memory of the features.

    Args:
        features: M matrices (V, d_m) float32; rows that are not available may hold anything.
        available: (V, M) bool, after the setting's loss.
        is_train: (V,) bool.
        modalities: M, named in errors.
        config: `preprocessing`, `pca_width`, `imputation`, `neighbours`, `ridge`, `seed`.

    Raises:
        FeatureMissing: if no training item has a modality.
    """
    raw = Items(features, available, is_train, modalities)
    scaled = [
        preprocessing.columns(matrix, raw.observed(m), how=config.preprocessing, width=config.pca_width, seed=config.seed)
        for m, matrix in enumerate(features)
    ]
    plugins.load(POLICIES, config.imputation.replace("_", "-")).impute(Items(scaled, available, is_train, modalities), config=config)
    return Content(tuple(preprocessing.rows(matrix, how=config.preprocessing) for matrix in scaled), available, is_train)
