"""What a policy is given. Shapes: V items, M modalities."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from schemas.contracts import Modality
from schemas.errors import FeatureMissing


@dataclass(frozen=True, slots=True)
class Items:
    """Features with holes, and who may be looked at to fill them.

    A policy writes the rows of `features` that are not available, in place, and no other; it never reads them. What it fits, it
    fits on rows of `observed`. Items appended to the end therefore change nothing of what the others are filled with.

    Shapes:
        features: M matrices (V, d_m) float32; rows that are not available may hold anything.
        available: (V, M) bool, after the setting's loss.
        is_train: (V,) bool.
        modalities: M, named in errors.
    """

    features: Sequence[Tensor]
    available: Tensor
    is_train: Tensor
    modalities: Sequence[Modality]

    def observed(self, m: int) -> Tensor:
        """(V,) bool, training items that have the m-th modality.

        Raises:
            FeatureMissing: if there is none.
        """
        flags = self.available[:, m] & self.is_train
        if not bool(flags.any()):
            name = self.modalities[m]
            raise FeatureMissing(f"No training item has {name}, so nothing can stand in for it. Train with --modalities without {name}.")
        return flags
