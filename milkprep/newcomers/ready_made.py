"""Vectors of new items that come ready-made, for runs whose own vectors did: a column `visual_vector`, `text_vector` or `audio_vector`.

Nobody can tell whether they are of the same encoder as the run's; width and numbers are looked at, and what does not fit has a reason.
"""

import numpy as np
import polars as pl

from milkprep.newcomers.reading import Read
from milkprep.pull import tables
from milkprep.pull.delimited import LINE
from schemas.contracts import FeatureSet, Modality
from schemas.new_items import NewVectors


def column_of(modality: Modality) -> str:
    """The column that holds them."""
    return f"{modality.value}_vector"


def read(found: Read, feature_set: FeatureSet) -> NewVectors:
    """The vectors of one modality.

    Args:
        found: the table, and which of its lines are items.
        feature_set: what they stand beside.

    Raises:
        SourceError: if the table is damaged.
    """
    name, width, n = column_of(feature_set.modality), feature_set.identity.width, found.items.height
    matrix, reasons = np.full((n, width), np.nan, dtype=np.float32), [f"no {name}"] * n
    place = dict(zip(found.items["line"], found.items["item_idx"], strict=True))
    kept: list[str | None] = list(reasons)
    for batch in tables.read(found.table, columns=[name], lists=[name]) if name in found.table.columns else ():
        numbers = batch.frame[name].list.eval(pl.element().cast(pl.Float32, strict=False))
        for line, values in zip(batch.frame[LINE], numbers, strict=True):
            if line in place and len(values):
                kept[place[line]] = _refusal(values, width=width, name=name)
                if kept[place[line]] is None:
                    matrix[place[line]] = values.to_numpy()
    return NewVectors(feature_set.fingerprint, matrix, kept)


def _refusal(values: pl.Series, *, width: int, name: str) -> str | None:
    if len(values) != width:
        return f"its {name} has {len(values)} numbers, the run's have {width}"
    if values.null_count() or not values.is_finite().all():
        return f"its {name} holds what is no finite number"
    return f"its {name} is all zeros" if not (values != 0).any() else None
