"""Nothing stands in: an item is averaged over the modalities it has, in training and in ranking.

Missing rows become zeros only so that they are finite. In an environment theta the model weighs modality m of item j by
theta_m a_jm / sum over m' of theta_m' a_jm'; where that sum vanishes, as when a small alpha gives all weight to what the item lacks,
by 1 over the number of modalities it has. An item that has none is the zero vector.
"""

from milktrain.config import TrainConfig
from milktrain.imputation import zero
from milktrain.imputation._items import Items


def impute(items: Items, *, config: TrainConfig) -> None:
    """Write zeros into every missing row; the weights are the model's."""
    zero.impute(items, config=config)
