"""Items that arrived after everything was prepared: what one side extracts of them, and the other side scores.

They are in no store. Their vectors are of the feature sets that a run was trained on, named by fingerprint, so that nobody mixes spaces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.contracts import FeatureSet, Modality

if TYPE_CHECKING:  # neither is needed to name the types, and both take long to import
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from schemas.reporting import Reporter

    #: A file of items, the feature sets to embed them for, and who is told how far it is; `milkprep.newcomers.embed` is one.
    Embed = Callable[[Path, Sequence[FeatureSet], Reporter], "NewItems"]


@dataclass(frozen=True, slots=True)
class NewVectors:
    """Vectors of new items in one modality.

    Args:
        fingerprint: of the feature set that they belong to.
        matrix: (N, width) float32; NaN where an item has none.
        reasons: N, why an item has none in words; None where it has one.
    """

    fingerprint: str
    matrix: "NDArray[np.float32]"
    reasons: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A line of a file that is no item."""

    line: int
    reason: str
    text_start: str


@dataclass(frozen=True, slots=True)
class NewItems:
    """N items, in the order of their keys.

    Args:
        keys: the source's own, each once.
        titles: where known.
        vectors: by modality.
        refused: lines that are no items.
        notes: what else a reader should know, a sentence each.
    """

    keys: Sequence[str]
    titles: Sequence[str | None]
    vectors: Mapping[Modality, NewVectors]
    refused: Sequence[Refused] = ()
    notes: Sequence[str] = ()
