"""Rows of somebody's tables into the temporary tables of a pull: interactions to `raw_pairs`, items to `staged_items`.

Promises: of each table, rows read = rows staged + rows of `staged_rejects`; a value that cannot be understood costs its row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from milkprep.pull import tables, text_cleaning, timestamps
from milkprep.pull.columns import LISTS
from milkprep.pull.delimited import LINE
from milkprep.pull.staging import REJECT_SCHEMA, TEXT_START_CHARACTERS, Rejects, item_rows, refuse_hopeless
from milkprep.pull.tables import Table
from schemas.contracts import RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

#: What holds items, in the reasons of what they lack: the same words whatever the format, as reasons are part of the catalogue.
ITEMS_TABLE = "the items table"
TEXT_ROLES, CATEGORIES = ("item", "title", "description", "brand"), "categories"
LARGEST_RATING = 3.4e38  # of float32
SHOWN_CHARACTERS = 40
#: How other programs write that a number or a time is not known; Parquet and JSON have a null for it.
UNKNOWN = r"(?i)^(?:na|n/a|nan|nat|null|none)$"
NO_TIME = "timestamp '{}' is no time: seconds or milliseconds since 1970, or a date like 2024-12-31"


def stage_pairs(store: Store, table: Table, columns: Mapping[str, str], *, reporter: Reporter) -> tuple[int, Counter[str]]:
    """Read a table of interactions into `raw_pairs`.

    Args:
        store: open for writing, with the temporary tables made.
        table: the interactions.
        columns: of the roles `user` and `item`, and if there are any `rating` and `timestamp`.
        reporter: told the bytes that were read.

    Returns:
        Rows read, and how many times there were of each unit.

    Raises:
        SourceError: if the file is damaged or holds no row, or next to none of its first million lines is one.
    """
    rejects, units, n_rows, done = Rejects(store, table.label), Counter[str](), 0, 0
    with reporter.progress(f"reading {table.label}", total=table.path.stat().st_size, unit="bytes") as progress:
        for batch in tables.read(table, columns=list(dict.fromkeys(columns.values()))):
            frame = _pairs(batch.frame, columns, all_read=set(table.columns) <= set(columns.values()))
            refused = frame.filter(pl.col("reason").is_not_null())
            if refused.height:
                _reject(store, refused, source=table.label)
            taken = frame.filter(pl.col("reason").is_null())
            store.append("raw_pairs", taken.select("line", "user_key", "item_key", "rating", "seconds", "digest"))
            units.update(dict(taken.drop_nulls("unit").group_by("unit").len().iter_rows()))
            for line in batch.refused:
                rejects.add(line.line, line.reason, line.detail, line.text)
            n_rows += batch.frame.height + len(batch.refused)
            refuse_hopeless(table.path, n_rows, rejects)
            progress.advance(batch.bytes_read - done)
            progress.note(f"{n_rows:,} rows")
            done = batch.bytes_read
    rejects.flush()
    refuse_empty(table, n_rows)
    return n_rows, units


def stage_items(store: Store, table: Table, columns: Mapping[str, str], *, reporter: Reporter, called: str = ITEMS_TABLE) -> int:
    """Read a table of items into `staged_items`; its media columns are not looked at.

    Args:
        store: open for writing, with the temporary tables made.
        table: the items.
        columns: of the role `item`, and if there are any `title`, `description`, `brand` and `categories`.
        reporter: told the bytes that were read.
        called: the table, in the reason why an item has no title.

    Returns:
        Rows read.

    Raises:
        SourceError: if the file is damaged or holds no row, or next to none of its first million lines is one.
    """
    rejects, n_rows, done = Rejects(store, table.label), 0, 0
    used = {role: name for role, name in columns.items() if role in (*TEXT_ROLES, CATEGORIES)}
    lists = [name for role, name in used.items() if role in LISTS]
    with reporter.progress(f"reading {table.label}", total=table.path.stat().st_size, unit="bytes") as progress:
        for batch in tables.read(table, columns=list(dict.fromkeys(used.values())), lists=lists):
            _stage_items(store, batch.frame, used, all_read=set(table.columns) <= set(used.values()), source=table.label, called=called)
            for line in batch.refused:
                rejects.add(line.line, line.reason, line.detail, line.text)
            n_rows += batch.frame.height + len(batch.refused)
            refuse_hopeless(table.path, n_rows, rejects)
            progress.advance(batch.bytes_read - done)
            done = batch.bytes_read
    rejects.flush()
    refuse_empty(table, n_rows)
    return n_rows


def _stage_items(store: Store, raw: pl.DataFrame, used: Mapping[str, str], *, all_read: bool, source: str, called: str) -> None:
    texts = [pl.col(used[role]).alias(role) if role in used else pl.lit("").alias(role) for role in TEXT_ROLES]
    categories = pl.col(used[CATEGORIES]) if CATEGORIES in used else pl.lit([], dtype=pl.List(pl.String))
    frame = raw.select(pl.col(LINE).alias("line"), *texts, categories.alias(CATEGORIES)).with_columns(pl.col("item").str.strip_chars())
    keyless, taken = frame.filter(pl.col("item") == ""), frame.filter(pl.col("item") != "")
    if keyless.height:
        start = pl.concat_str(TEXT_ROLES, separator=" ").str.strip_chars()
        _reject(store, keyless.with_columns(reason=pl.lit(RejectReason.MISSING_KEY.value), detail=pl.lit("no item"), text_start=start), source=source)
    whole = taken.select(*TEXT_ROLES, pl.col(CATEGORIES).list.join("\n")).hash_rows().reinterpret(signed=True)
    digests = whole if all_read else taken["line"]  # rows that differ in what was not read are no copies
    staged = item_rows([_item(*row, called=called) for row in taken.select(*TEXT_ROLES, CATEGORIES).iter_rows()])
    store.append("staged_items", staged.with_columns(taken["line"], digests.alias("digest")))


def _pairs(raw: pl.DataFrame, columns: Mapping[str, str], *, all_read: bool) -> pl.DataFrame:
    """Keys, rating, seconds and unit of each row, and where it is refused `reason`, `detail` and `text_start`."""
    roles = ("user", "item", "rating", "timestamp")
    texts = raw.select(
        pl.col(LINE).alias("line"),
        *(pl.col(columns[role]).str.strip_chars().alias(role) if role in columns else pl.lit("").alias(role) for role in roles),
    )
    digest = texts.drop("line").hash_rows().reinterpret(signed=True) if all_read else texts["line"]  # as of items
    texts = texts.with_columns(pl.col("rating", "timestamp").str.replace(UNKNOWN, ""))
    number = pl.col("rating").cast(pl.Float64, strict=False)
    frame = texts.with_columns(number.alias("number"), digest.alias("digest"), *timestamps.parsed(texts["timestamp"]))
    bad_rating = (pl.col("rating") != "") & ~(pl.col("number").abs() <= LARGEST_RATING).fill_null(value=False)
    bad_time = (pl.col("timestamp") != "") & pl.col("seconds").is_null()
    no_user, no_item = pl.col("user") == "", pl.col("item") == ""
    missing, wrong = pl.lit(RejectReason.MISSING_KEY.value), pl.lit(RejectReason.WRONG_TYPE.value)
    detail = (
        pl.when(no_user & no_item).then(pl.lit("no user and no item")).when(no_user).then(pl.lit("no user")).when(no_item).then(pl.lit("no item"))
    )
    detail = detail.when(bad_rating).then(pl.format("rating '{}' is no number", pl.col("rating").str.slice(0, SHOWN_CHARACTERS)))
    detail = detail.when(bad_time).then(pl.format(NO_TIME, pl.col("timestamp").str.slice(0, SHOWN_CHARACTERS)))
    return frame.with_columns(
        reason=pl.when(no_user | no_item).then(missing).when(bad_rating | bad_time).then(wrong),
        detail=detail,
        text_start=pl.concat_str(roles, separator=" ").str.strip_chars(),
        rating=pl.col("number").cast(pl.Float32, strict=False),
        user_key=pl.col("user"),
        item_key=pl.col("item"),
    )


def _item(key: str, title: str, description: str, brand: str, categories: Sequence[str], *, called: str) -> tuple[object, ...]:
    clean, reason = text_cleaning.clean_title(title)
    told = text_cleaning.clean_description([description])
    names = [name for raw in categories if (name := text_cleaning.clean_name(raw))]
    no_title = f"no title in {called}" if reason == "" else reason
    return (key, clean, told, text_cleaning.clean_name(brand), names, [], no_title, None if told else f"no description in {called}", None)


def _reject(store: Store, refused: pl.DataFrame, *, source: str) -> None:
    shown = pl.col("text_start").str.slice(0, TEXT_START_CHARACTERS)
    store.append("staged_rejects", refused.with_columns(shown, source=pl.lit(source)).select(list(REJECT_SCHEMA)))


def refuse_empty(table: Table, n_rows: int) -> None:
    """Refuse a table without a row.

    Raises:
        SourceError: naming it.
    """
    if not n_rows:
        raise SourceError(f"{table.path} names its columns but holds no row. Check that it was written whole.")
