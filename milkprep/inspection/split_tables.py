"""The statistics of a split as tables for people: what its parts hold, and which share of their items lacks each modality."""

import polars as pl

from schemas.contracts import Modality

#: How the columns of a modality end in `SplitReport.statistics`, and what they are called here.
BY_NATURE, BY_ALL = ("no {} %", "never there %"), ("{} lost or none %", "lost or never there %")


def tables(statistics: pl.DataFrame, *, name: str) -> list[tuple[str, pl.DataFrame]]:
    """Titles and frames, narrow enough for a terminal.

    Args:
        statistics: one row a part, as `milkprep.splits` gives them; modalities without vectors have no columns.
        name: of the split.
    """
    there = [modality for modality in Modality if BY_NATURE[0].format(modality) in statistics.columns]
    shares = [name.format(modality) for modality in there for name, _ in (BY_NATURE, BY_ALL)]
    counts = (f"split {name}", statistics.drop(shares))
    rows = [
        {"part": row["part"], "modality": str(modality)} | {title: row[column.format(modality)] for column, title in (BY_NATURE, BY_ALL)}
        for row in statistics.iter_rows(named=True)
        for modality in there
    ]
    return [counts, ("items without a modality", pl.DataFrame(rows))] if rows else [counts]
