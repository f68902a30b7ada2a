"""A vector per modality that the model learns stands in, starting from the mean of the observed training items.

Only the start is here; what training adds to it is a parameter of the model (`Milk.tokens`). A modality that no item of a batch
lacks teaches nothing: where all training items are complete (FTFT, FTMT) the token stays the mean.
"""

from milktrain.config import TrainConfig
from milktrain.imputation import mean
from milktrain.imputation._items import Items


def impute(items: Items, *, config: TrainConfig) -> None:
    """Write the token's start into every missing row.

    Raises:
        FeatureMissing: if no training item has a modality.
    """
    mean.impute(items, config=config)
