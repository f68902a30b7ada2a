"""What a pull of a folder would take, told without writing anything: files, columns, counts, media that match."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull import column_media, media_folder, table_rows, tables
from milkprep.pull.delimited import LINE
from milkprep.pull.tables import Table
from milkprep.sources._own_tables import Tables
from schemas.contracts import AssetStatus

#: Rows that are looked at, of each table; what is said of more is said of these.
ROWS_LOOKED_AT = 100_000
COLUMN_SCHEMA = {"file": pl.String, "column": pl.String, "taken_for": pl.String}
COUNT_SCHEMA = {"what": pl.String, "count": pl.Int64, "in_words": pl.String}


@dataclass(frozen=True, slots=True)
class Survey:
    """What would be taken.

    Args:
        columns: `file`, `column` and the role it is `taken_for`; empty for columns that are not used.
        counts: `what`, `count` and what it is of, `in_words`.
    """

    columns: pl.DataFrame
    counts: pl.DataFrame


def columns_of(found: Tables) -> pl.DataFrame:
    """What each column is taken for, see `Survey.columns`."""
    rows = [
        (table.label, name, ", ".join(role for role, column in roles.items() if column == name))
        for table, roles in ((found.items, found.item_columns), (found.interactions, found.pair_columns)) if table
        for name in table.columns
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=COLUMN_SCHEMA, orient="row")


def survey(folder: Path, found: Tables) -> Survey:
    """Look at the first rows of the tables and at the names of media.

    Args:
        folder: the catalogue.
        found: its tables.

    Raises:
        SourceError: if a table holds no row, or is damaged in the lines that are looked at.
    """
    rows: list[tuple[str, int, str]] = []
    key_sets = []
    for table, roles in ((found.items, found.item_columns), (found.interactions, found.pair_columns)):
        if table:
            keys, n_rows, n_refused, whole = _keys(table, roles["item"])
            table_rows.refuse_empty(table, n_rows)
            key_sets.append(keys)
            seen = "" if whole else f" among the first {n_rows:,}"
            rows.append((table.label, n_rows - n_refused, f"rows{seen}"))
            rows.append((table.label, n_refused, f"lines that are no rows{seen}"))
            rows.append((table.label, len(keys), f"different items{seen}"))
    rows += _in_folders(folder, key_sets[0])
    if found.items:
        rows += _in_columns(folder, found.items, found)
    return Survey(columns_of(found), pl.DataFrame(rows, schema=COUNT_SCHEMA, orient="row"))


def _keys(table: Table, column: str) -> tuple[frozenset[str], int, int, bool]:
    """Item keys, rows and refusals among the first rows of a table, and whether these are all."""
    keys: set[str] = set()
    n_rows = n_refused = 0
    for batch in tables.read(table, columns=[column]):
        if n_rows >= ROWS_LOOKED_AT:
            return frozenset(keys), n_rows, n_refused, False
        keys.update(batch.frame[column].str.strip_chars().unique())
        n_rows += batch.frame.height + len(batch.refused)
        n_refused += len(batch.refused)
    return frozenset(keys - {""}), n_rows, n_refused, True


def _in_folders(folder: Path, keys: frozenset[str]) -> list[tuple[str, int, str]]:
    rows = []
    for kind, place in media_folder.places_in(folder).items():
        names = [entry.name.rpartition(".")[0] for entry in media_folder.files_in(place, kind=kind)]
        rows.append((f"{kind}/", len(names), f"files ending in {', '.join(media_folder.SUFFIXES[kind])}"))
        rows.append((f"{kind}/", sum(name in keys for name in names), "of them named like an item that was seen"))
    return rows


def _in_columns(folder: Path, table: Table, found: Tables) -> list[tuple[str, int, str]]:
    used = [name for role, name in found.item_columns.items() if role in column_media.KINDS]
    counted: dict[tuple[str, str], int] = {}
    for batch in tables.read(table, columns=used, lists=used) if used else ():
        if batch.frame.height and batch.frame[LINE][0] > ROWS_LOOKED_AT:
            break
        for name in used:
            for value in batch.frame[name].explode().drop_nulls():
                _, status, reason = column_media.located(value, root=folder)
                words = {AssetStatus.PENDING: "files that are there", AssetStatus.NOT_FETCHED: "addresses"}.get(status, f"not taken: {reason}")
                counted[name, words] = counted.get((name, words), 0) + 1
    return [(f"column {name}", n, words) for (name, words), n in counted.items()]
