"""A table of items in somebody's own columns: JSON lines, CSV or TSV, with an id and, if they have them, key, texts and picture.

Unlike raw dumps this is a small, made table: whatever is wrong with a line of it is an error, not a reject.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl

from milkprep.pull import delimited, text_cleaning
from milkprep.pull.delimited import Layout
from milkprep.pull.lines import read_blocks
from milkprep.pull.staging import BLANK, RawFile, item_rows
from schemas import queries
from schemas.errors import BadValue, SourceError
from schemas.store import Store

ID_COLUMNS = ("itemID", "item_id", "mmrec_id", "id")
KEY_COLUMNS = ("asin", "item_key", "key")
CATEGORY_COLUMNS = ("categories", "category")
PICTURE_COLUMNS = ("imUrl", "imageURLHighRes", "imageURL", "image_url", "image")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
BATCH_ROWS = 20_000
LARGEST_ID = 10**9 - 1
RECORDS_LOOKED_AT = 100

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """Columns that hold an item's id and its own key; without a key column the id is the key."""

    item_id: str
    item_key: str | None


def columns_of(path: Path, *, item_id: str | None, item_key: str | None) -> ItemColumns:
    """The columns to read, as named or guessed from the first records; one that only some of them have counts.

    Args:
        path: the table.
        item_id: column named by the user.
        item_key: column named by the user.

    Raises:
        BadValue: if a named column is not there.
        SourceError: if none can be guessed, or one of the first lines cannot be read.
    """
    columns: dict[str, None] = {}  # the columns in the order they appear
    with closing(_records(path)) as records:
        for _, values in islice(records, RECORDS_LOOKED_AT):
            columns |= dict.fromkeys(values)
    if not columns:
        raise SourceError(f"{path} describes no item. Check the file.")
    for flag, name in (("--item-id", item_id), ("--item-key", item_key)):
        if name is not None and name not in columns:
            raise BadValue(f"{path} has no column {name!r} for {flag}. It has: {', '.join(columns)}.")
    found = item_id or next((name for name in ID_COLUMNS if name in columns), None)
    if found is None:
        raise SourceError(
            f"{path} has none of the columns {', '.join(ID_COLUMNS)}, only {', '.join(columns)}. Name the one that is itemID with --item-id."
        )
    return ItemColumns(found, item_key or next((name for name in KEY_COLUMNS if name in columns and name != found), None))


def stage(store: Store, table: RawFile, columns: ItemColumns) -> int:
    """Read the table into `staged_items` and `item_ids`.

    Returns:
        The number of items read. Blank lines are none.

    Raises:
        SourceError: if a line cannot be read, or has no id or key.
    """
    path, records, n_items = table.path, _records(table.path), 0
    while batch := list(islice(records, BATCH_ROWS)):
        ids, rows = [], []
        for line, values in batch:
            ids.append((line, _item_id(path, line, values, columns.item_id)))
            rows.append(_row(path, line, values, columns, table.label))
        numbers = pl.DataFrame(ids, schema={"line": pl.Int64, "item_number": pl.Int32}, orient="row")
        store.append("item_ids", numbers)
        store.append("staged_items", item_rows(rows).with_columns(line=numbers["line"], digest=pl.lit(0)))
        n_items += len(batch)
    return n_items


def check_unique(store: Store, table: RawFile) -> int:
    """Number of items staged, all with an id and a key of their own.

    Raises:
        SourceError: naming a value that two lines share.
    """
    sql = queries.load("milkprep.sql", "prepared.sql")
    for name, what in (("repeated_id", "id"), ("repeated_key", "key")):
        for value, first, last in store.query(sql[name]).iter_rows():
            raise SourceError(f"{table.path}, line {last}: the {what} {value} is that of line {first} already. Every item needs its own.")
    return int(store.query(sql["described"]).item())


def _row(path: Path, line: int, values: Values, columns: ItemColumns, label: str) -> tuple[object, ...]:
    def texts(*names: str) -> list[str]:
        name = next((name for name in names if name in values), names[0])
        return list(_texts(path, line, name, values.get(name)))

    key = " ".join(texts(columns.item_key or columns.item_id))
    if not key.strip():
        raise SourceError(f"{path}, line {line}: no {columns.item_key}. Every item needs its own key; --item-key names another column.")
    title, title_reason = text_cleaning.clean_title(" ".join(texts("title")))
    description = text_cleaning.clean_description(texts("description"))
    categories = [name for raw in texts(*CATEGORY_COLUMNS) if (name := text_cleaning.clean_name(raw))]
    pictures, picture_reason = text_cleaning.picture_addresses(texts(*PICTURE_COLUMNS), source=label)
    return (
        key, title, description, text_cleaning.clean_name(" ".join(texts("brand"))), categories, pictures,
        f"no title in {label}" if title_reason == "" else title_reason, None if description else f"no description in {label}", picture_reason,
    )  # fmt: skip


def _item_id(path: Path, line: int, values: Values, column: str) -> int:
    value = values.get(column)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST_ID)):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID:
        return value
    raise SourceError(f"{path}, line {line}: {column} is {str(value)[:40]!r}, but must be a whole number from 0, as in the interactions.")


def _texts(path: Path, line: int, name: str, value: object, *, depth: int = 2) -> Iterator[str]:
    """The texts of a value: a text, a number, a list of them, or a list of such lists."""
    if isinstance(value, list) and depth:
        for part in value:
            yield from _texts(path, line, name, part, depth=depth - 1)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif value is not None:
        raise SourceError(f"{path}, line {line}: {name} is neither a text nor a list of texts.")


def _records(path: Path) -> Generator[tuple[int, Values]]:
    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    return _csv_records(path, SEPARATORS[suffix]) if suffix in SEPARATORS else _json_records(path)


def _json_records(path: Path) -> Generator[tuple[int, Values]]:
    decoder = msgspec.json.Decoder(dict[str, object])
    for number, line in _text_lines(path):
        if not line.strip():
            continue
        try:
            yield number, decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise SourceError(f"{path}, line {number} is no JSON object: {error}. JSON lines, .csv and .tsv are read.") from error


def _csv_records(path: Path, separator: str) -> Generator[tuple[int, Values]]:
    names, n_lines = delimited.header_of(path, separator=separator)
    with closing(delimited.rows(path, Layout(separator, tuple(names), header_lines=n_lines), columns=names)) as batches:
        for batch in batches:
            for refused in batch.refused:
                if refused.detail != BLANK:
                    raise SourceError(f"{path}, line {refused.line}: {refused.detail}. Check its quotes, and save the file as UTF-8.")
            for line, *fields in batch.frame.iter_rows():
                yield line, dict(zip(names, fields, strict=True))


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    for block in read_blocks(path):
        for number, line in enumerate(block.lines, block.first_line):
            if number in block.too_long:
                raise SourceError(f"{path}, line {number} is too long for an item.")
            try:
                yield number, line.rstrip(b"\r").decode()
            except UnicodeDecodeError as error:
                raise SourceError(f"{path}, line {number} is not UTF-8. Save the file as UTF-8.") from error
