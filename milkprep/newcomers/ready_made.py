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
    matrix = np.full((n, width), np.nan, dtype=np.float32)
    reasons: list[str | None] = [f"no {name}"] * n
    for batch in tables.read(found.table, columns=[name], lists=[name]) if name in found.table.columns else ():
        here = batch.frame.join(found.items.select("item_idx", pl.col("line").alias(LINE)), on=LINE)
        numbers = pl.col(name).list.eval(pl.element().cast(pl.Float32, strict=False))
        judged = _judged(here.with_columns(vector=numbers), name=name, width=width)
        for item, reason in judged.filter(pl.col("reason") != "").select("item_idx", "reason").iter_rows():
            reasons[item] = reason
        usable = judged.filter(pl.col("reason") == "")
        if usable.height:
            matrix[usable["item_idx"].to_numpy()] = usable["vector"].explode().to_numpy().reshape(-1, width)
        for item in usable["item_idx"]:
            reasons[item] = None
    return NewVectors(feature_set.fingerprint, matrix, reasons)


def _judged(rows: pl.DataFrame, *, name: str, width: int) -> pl.DataFrame:
    """Rows that hold anything, with the `reason` why their vector cannot be used; empty where it can."""
    vector = pl.col("vector")
    finite = vector.list.eval(pl.element().is_finite().fill_null(False)).list.all()
    reason = (
        pl.when(vector.list.len() != width).then(pl.format(f"its {name} has {{}} numbers, the run's have {width}", vector.list.len()))
        .when(~finite).then(pl.lit(f"its {name} holds what is no finite number"))
        .when(~vector.list.eval(pl.element() != 0).list.any()).then(pl.lit(f"its {name} is all zeros"))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    return rows.filter(vector.list.len() > 0).with_columns(reason.alias("reason"))
