"""Items that arrived after everything was prepared, embedded as the vectors of a finished run were. See README.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.contracts import FeatureSet
from schemas.reporting import Reporter

if TYPE_CHECKING:
    from schemas.new_items import NewItems


def embed(path: Path, sets: Sequence[FeatureSet], reporter: Reporter) -> "NewItems":
    """New items with their vectors; see `embedding.embed`."""
    from milkprep.newcomers import embedding

    return embedding.embed(path, sets, reporter)
