"""A split from a file that somebody else made: which part each item is in, and which modalities it lost.

Promises: an item is in one part, loses only what it has and keeps one; a file that says otherwise is refused with every kind of
mistake counted, never mended. What the file names and the store lacks, and the reverse, is counted and said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull import tables
from milkprep.pull.delimited import LINE
from milkprep.pull.tables import Table
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue, SourceError

KEY, PART, LOST = "item_key", "part", "lost_{}"
#: How people call parts, in lower case.
PARTS = {
    "train": Part.TRAIN,
    "training": Part.TRAIN,
    "val": Part.VAL,
    "valid": Part.VAL,
    "validation": Part.VAL,
    "test": Part.TEST,
    "testing": Part.TEST,
}
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no")
SHOWN_CHARACTERS = 40
FORM = (
    "A split is a CSV, TSV, JSON lines or Parquet file with the columns item_key and part (train, val, test) and, if you like, lost_visual, "
    "lost_text, lost_audio (0 or 1)."
)


@dataclass(frozen=True, slots=True)
class GivenSplit:
    """A split as a file says it, of items that the store has.

    Args:
        setting: which sides lose modalities.
        items: `item_idx`, `part`, by item.
        availability: `item_idx`, `modality`, `present`, `lost`.
        notes: what the file and the store do not have in common.
    """

    setting: Setting
    items: pl.DataFrame
    availability: pl.DataFrame
    notes: tuple[str, ...]


def read(path: Path) -> pl.DataFrame:
    """The rows of a file, each with the mistake in it.

    Returns:
        `line`, `item_key`, `part`, `mistake` (empty where there is none), `shown`, and `lost_<modality>` where it has such a column.

    Raises:
        BadValue: if there is no such file, or its name says no known format.
        SourceError: if it is damaged, lacks a column that is needed, or holds no row.
    """
    if not path.is_file():
        raise BadValue(f"There is no file {path}. {FORM}")
    table = tables.opened(path, label=path.name)
    _check_columns(table)
    flags = [LOST.format(modality) for modality in Modality if LOST.format(modality) in table.columns]
    frames = []
    for batch in tables.read(table, columns=[KEY, PART, *flags]):
        frames.append(_understood(batch.frame, flags))
        if batch.refused:
            told = [
                (line.line, "", "", f"rows that cannot be read ({line.reason})", (line.text or b"")[:SHOWN_CHARACTERS].decode(errors="replace"))
                for line in batch.refused
            ]
            unread = pl.DataFrame(told, schema=["line", KEY, PART, "mistake", "shown"], orient="row")
            frames.append(unread.with_columns(pl.lit(value=False).alias(name) for name in flags).cast(frames[0].schema))
    rows = pl.concat(frames) if frames else pl.DataFrame()
    if not rows.height:
        raise SourceError(f"{path} names its columns but holds no row. Check that it was written whole.")
    return rows


def resolve(path: Path, rows: pl.DataFrame, *, touched: pl.DataFrame, present: pl.DataFrame, keys: pl.DataFrame) -> GivenSplit:
    """The split of a file in the terms of a store.

    Args:
        path: of the file, for messages.
        rows: as `read`.
        touched: `item_idx` of the N items with interactions, in order.
        present: (N, M) whether each of them has each modality with vectors, one column a modality.
        keys: `item_idx`, `item_key` of every item.

    Raises:
        SourceError: if rows are wrong, contradict each other or leave an item or a part nothing; every kind is counted.
    """
    good = rows.filter(pl.col("mistake") == "").drop("mistake", "shown")
    whole = good.unique(good.columns[1:], keep="first", maintain_order=True)
    per_key = whole.group_by(KEY).agg(n=pl.len(), n_parts=pl.col(PART).n_unique(), line=pl.col("line").max())
    known = whole.unique(KEY, keep="first", maintain_order=True).join(keys, on=KEY, how="inner")
    named = touched.select("item_idx").join(known, on="item_idx", how="inner", maintain_order="left")
    availability, n_never = _availability(named, touched, present)
    left = availability.group_by("item_idx").agg(had=pl.col("present").any(), keeps=(pl.col("present") & ~pl.col("lost")).any())
    bare = named.join(left.filter(pl.col("had") & ~pl.col("keeps")), on="item_idx")
    _refuse(path, {
        **{what: rows.filter(pl.col("mistake") == what).select("line", "shown") for what in rows["mistake"].unique().sort() if what},
        "items in two parts, which leaks": per_key.filter(pl.col("n_parts") > 1).select("line", shown=KEY),
        "items twice, with other losses": per_key.filter((pl.col("n") > 1) & (pl.col("n_parts") == 1)).select("line", shown=KEY),
        "items that would lose everything they have": bare.select("line", shown=KEY),
    })  # fmt: skip
    empty = [part.value for part in Part if part.value not in named[PART]]
    if empty:
        raise SourceError(f"{path} has no item with interactions for {', '.join(empty)}. Check that its keys are those of this catalogue.")
    notes = [
        (good.height - whole.height, f"rows of {path.name} repeat another."),
        (per_key.height - known.height, f"items of {path.name} are not in the store."),
        (known.height - named.height, f"items of {path.name} have no interaction and are outside the split."),
        (touched.height - named.height, f"items with interactions are not in {path.name}; they and their interactions are outside the split."),
        (n_never, "losses are of what the item never had, and change nothing."),
    ]
    items = named.select("item_idx", PART)
    losing = set(availability.filter("lost").join(items, on="item_idx")[PART])
    setting = Setting(f"{'m' if Part.TRAIN.value in losing else 'f'}t{'m' if losing - {Part.TRAIN.value} else 'f'}t")
    return GivenSplit(setting, items, availability, tuple(f"{n} {what}" for n, what in notes if n))


def _availability(named: pl.DataFrame, touched: pl.DataFrame, present: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """`item_idx`, `modality`, `present`, `lost` of the items of the split, and how many losses are of nothing."""
    there = touched.select("item_idx").hstack(present)
    cells, n_never = [], 0
    for modality in Modality:
        flag = LOST.format(modality)
        lost = named[flag] if flag in named.columns else pl.repeat(value=False, n=named.height, dtype=pl.Boolean, eager=True)
        if modality.value not in present.columns:
            n_never += int(lost.sum())
            continue
        has = named.select("item_idx").join(there, on="item_idx", how="left", maintain_order="left")[modality.value]
        n_never += int((lost & ~has).sum())
        cells.append(named.select("item_idx", modality=pl.lit(modality.value), present=has, lost=lost & has))
    return pl.concat(cells), n_never


def _refuse(path: Path, mistakes: Mapping[str, pl.DataFrame]) -> None:
    """Refuse a file with mistakes, each kind with its number and an example."""
    told = []
    for what, found in mistakes.items():
        if found.height:
            first = found.sort("line").row(0, named=True)
            told.append(f"{found.height} {what} (line {first['line']}: {first['shown'][:SHOWN_CHARACTERS]!r})")
    if told:
        raise SourceError(f"{path} holds {'; '.join(told)}. Mend it; nothing was stored. {FORM}")


def _check_columns(table: Table) -> None:
    lacking = [name for name in (KEY, PART) if name not in table.columns]
    if lacking:
        raise SourceError(f"{table.path} has no column {' and no column '.join(lacking)}; it has {', '.join(table.columns)[:200]}. {FORM}")
    known = [LOST.format(modality) for modality in Modality]
    strange = [name for name in table.columns if name.startswith(LOST.format("")) and name not in known]
    if strange:
        raise SourceError(f"{table.path} has a column {strange[0]!r}, but losses are known of {', '.join(Modality)}. {FORM}")


def _understood(raw: pl.DataFrame, flags: list[str]) -> pl.DataFrame:
    """Rows with parts and losses in the words of the store, and the first mistake in each."""
    texts = raw.with_columns(pl.col(KEY, PART, *flags).cast(pl.String).str.strip_chars())
    part, lost = pl.col(PART).str.to_lowercase(), {name: pl.col(name).str.to_lowercase() for name in flags}
    wrong = [pl.when(pl.col(KEY) == "").then(pl.lit("rows without item_key"))]
    wrong.append(pl.when(~part.is_in(list(PARTS))).then(pl.lit("rows whose part is none of train, val and test")))
    wrong += [pl.when(~value.is_in([*YES, *NO])).then(pl.lit(f"rows whose {name} is neither 0 nor 1")) for name, value in lost.items()]
    shown = pl.when(pl.col(KEY) == "").then(pl.lit("")).otherwise(pl.concat_str([KEY, PART, *flags], separator=","))
    return texts.select(
        pl.col(LINE).alias("line"), KEY, part.replace({word: its.value for word, its in PARTS.items()}).alias(PART),
        pl.coalesce(*wrong, pl.lit("")).alias("mistake"), shown.str.slice(0, SHOWN_CHARACTERS).alias("shown"),
        *(value.is_in(list(YES)).alias(name) for name, value in lost.items()),
    )  # fmt: skip
