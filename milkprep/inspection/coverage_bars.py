"""Coverage as tables for a terminal of 80 columns, with bars made of characters."""

import textwrap

import polars as pl

from milkprep.inspection.coverage import Coverage, SplitCoverage, printable

#: Columns of a bar, and of one beside many figures or words.
WIDTH, NARROW = 20, 10
#: The last column of a bar, in eighths.
EIGHTHS = " ▏▎▍▌▋▊▉"
FULL, LOST, LACKS = "█", "▒", "·"
#: The same where the terminal knows ASCII only.
PLAIN = str.maketrans({FULL: "#", LOST: "-", LACKS: "."} | dict.fromkeys(EIGHTHS[1:4], ".") | dict.fromkeys(EIGHTHS[4:], "#"))
#: Reasons of a modality that are told one by one.
MOST_REASONS = 8
#: Characters of a reason; programs get all of it.
LONGEST_REASON = 110


def bar(share: float, *, width: int = WIDTH) -> str:
    """A share as a bar, to an eighth of a column.

    Args:
        share: in [0, 1].
        width: columns of a whole.

    Example:
        >>> bar(0.5, width=4), bar(0.3, width=4), bar(0.0, width=4)
        ('██··', '█▎··', '····')
    """
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(eighths, 1)  # what is there is seen
    partial = EIGHTHS[eighths % 8] if eighths % 8 else ""
    return (FULL * (eighths // 8) + partial).ljust(width, LACKS)


def stacked_bar(n_left: int, n_lost: int, n_items: int, *, width: int = WIDTH) -> str:
    """What is left, what was lost and what never was, as one bar.

    Example:
        >>> stacked_bar(2, 1, 4, width=8), stacked_bar(0, 0, 0, width=4)
        ('████▒▒··', '····')
    """
    left, both = (round(n / max(n_items, 1) * width) for n in (n_left, n_left + n_lost))
    return (FULL * left + LOST * (both - left)).ljust(width, LACKS)


def tables(coverage: Coverage, *, plain: bool = False) -> list[tuple[str, pl.DataFrame]]:
    """Title and rows of each table, in the order they are read.

    Args:
        coverage: the counts.
        plain: bars of ASCII.
    """
    made = pl.when(pl.col("weights") == "random").then(pl.format("{} (random weights)", "encoder")).otherwise("encoder")
    modalities = _with_bars(coverage.modalities, "has_share").select("modality", "has", "lacks", "%", "", made.alias("vectors by"))
    combinations = _with_bars(coverage.combinations, "share").select("combination", "items", "%", "")
    found = [(f"{coverage.n_items} items by modality", modalities), ("by combination of modalities", combinations)]
    if coverage.reasons.height:
        reasons = _with_bars(_shortened(coverage.reasons), "share", width=NARROW).select("modality", "items", "%", "", "reason")
        found.append(("why items lack a modality", reasons))
    if coverage.split:
        found.append(
            (f"split {coverage.split.name} ({coverage.split.setting}): {FULL} left, {LOST} lost, {LACKS} never there", _parts(coverage.split))
        )
    return [
        (title.translate(PLAIN), frame.with_columns(pl.col("").map_elements(_plain, pl.String))) if plain else (title, frame)
        for title, frame in found
    ]


def _plain(text: str) -> str:
    return text.translate(PLAIN)


def _with_bars(frame: pl.DataFrame, share: str, *, width: int = WIDTH) -> pl.DataFrame:
    bars = [bar(value, width=width) for value in frame[share]]
    return frame.with_columns((pl.col(share) * 100).round(1).alias("%"), pl.Series("", bars, dtype=pl.String))


def _parts(split: SplitCoverage) -> pl.DataFrame:
    bars = [stacked_bar(left, lost, items, width=NARROW) for left, lost, items in split.parts.select("left", "lost", "items").iter_rows()]
    return split.parts.with_columns(
        (pl.col("left") / pl.col("items") * 100).round(1).alias("left %"), pl.Series("", bars, dtype=pl.String)
    )  # fmt: skip


def _shortened(reasons: pl.DataFrame) -> pl.DataFrame:
    """The most frequent reasons of each modality, cut where they are long, and one row for the others."""
    pieces = []
    for mine in reasons.partition_by("modality", maintain_order=True):
        told = [textwrap.shorten(printable(reason), LONGEST_REASON, placeholder=" …") for reason in mine["reason"][:MOST_REASONS]]
        pieces.append(mine.head(MOST_REASONS).with_columns(pl.Series("reason", told, dtype=pl.String)))
        rest = mine.slice(MOST_REASONS)
        if rest.height:
            pieces.append(rest.select(pl.first("modality"), pl.lit(f"{rest.height} other reasons").alias("reason"), pl.sum("items"), pl.sum("share")))
    return pl.concat(pieces)
