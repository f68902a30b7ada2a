"""Items that arrived after everything was prepared, embedded as the vectors of a finished run were. See README.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.contracts import FeatureSet
from schemas.reporting import Reporter, Silent

if TYPE_CHECKING:
    from schemas.new_items import NewItems


def embed(path: str | Path, sets: Sequence[FeatureSet], reporter: Reporter | None = None) -> "NewItems":
    """New items with their vectors.

    Args:
        path: a table of items; see `embedding.embed`.
        sets: the feature sets of a run: `Trained.feature_sets`.
        reporter: told how far it is; None: nobody.
    """
    from milkprep.newcomers import embedding

    return embedding.embed(Path(path), sets, reporter or Silent())
