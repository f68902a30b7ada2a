"""A table of new items into a store of its own, which lives as long as it takes to embed them.

The ways are those of a pull: the same columns are recognised, texts are cleaned alike, paths lead nowhere but below the file's folder,
and a line that is no item is kept with its number and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull import column_media, columns, items, pairs, table_rows, tables
from milkprep.pull.media_folder import FOUND_SCHEMA, MediaFolder
from milkprep.pull.tables import Table
from schemas import queries
from schemas.contracts import Modality
from schemas.errors import BadValue, SourceError
from schemas.new_items import Refused
from schemas.reporting import Reporter
from schemas.store import Store

EXAMPLE = '{"item": "a1", "title": "Red scarf", "image": "pictures/a1.jpg"}'
#: What a file of new items is, for whoever has none.
WHAT_IT_IS = (
    "a file with a line for each new item (.jsonl, .csv, .tsv or .parquet), its key in a column `item`, and whatever there is of `title`, "
    f"`description`, `image`, `audio`, `video`: {EXAMPLE}."
)
ADVICE = f"Name it `item`: a line is e.g. {EXAMPLE}."


@dataclass(frozen=True, slots=True)
class Read:
    """What a table holds.

    Args:
        table: the table.
        items: `item_idx`, `item_key`, `title`, and the `line` it stands on; in the order of ids.
        refused: lines that are no items, in their order.
        unused: names of columns that nothing was made of.
    """

    table: Table
    items: pl.DataFrame
    refused: Sequence[Refused]
    unused: Sequence[str]


def read_into(store: Store, path: Path, *, reporter: Reporter) -> Read:
    """Read a table of items into an empty store: items, and assets that are still to be read.

    Args:
        store: open for writing.
        path: `.jsonl`, `.csv`, `.tsv` or Parquet; media that it names lie below its folder.
        reporter: told how far reading is.

    Raises:
        BadValue: if there is no such file, or its name says no known format.
        SourceError: if it is empty, damaged, or has no column of items; or none of its lines is an item.
    """
    if not path.is_file():
        what = f"{path} is a folder." if path.is_dir() else f"There is no file {path}."
        raise BadValue(f"{what} --items takes {WHAT_IT_IS}")
    table = tables.opened(path, label=path.name)
    roles = columns.assigned(path, table.columns, roles=columns.ITEM_ROLES, said={}, required=("item",), advice=ADVICE)
    items.create_tables(store)
    pairs.create_tables(store)
    column_media.create_tables(store)
    table_rows.stage_items(store, table, roles, reporter=reporter, called=table.label)
    items.drop_repeats(store, source=table.label)
    items.keep(store, keep_all=True, source=table.label)
    named = column_media.read(table, roles, root=path.parent, reporter=reporter)
    column_media.stage(store, from_columns=named, from_folders=MediaFolder(pl.DataFrame(schema=FOUND_SCHEMA), []))
    sql = queries.load("milkprep.sql", "newcomers.sql")
    with store.transaction():
        items.write(store)
        items.write_assets(store, modalities=[Modality.TEXT])
        column_media.write_assets(store)
    refused = [Refused(*row) for row in store.query(sql["refused"]).iter_rows()]
    found = store.query(sql["items"])
    if not found.height:
        first = f" The first: line {refused[0].line}, {refused[0].reason}." if refused else ""
        raise SourceError(f"None of the {len(refused)} lines of {path} is an item.{first} {ADVICE}")
    return Read(table, found, refused, [name for name in table.columns if name not in roles.values()])
