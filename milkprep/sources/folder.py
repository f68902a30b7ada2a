"""Anybody's own catalogue: a folder with `interactions.*`, perhaps `items.*`, and media beside them or named in columns.

Tables are CSV, TSV, JSON lines (each also gzipped) or Parquet. Which column means what is guessed from its name, shown, and said
with `columns` where the guess is wrong. Tables are streamed; only what media an item has is held.
"""

from functools import partial
from pathlib import Path

from milkprep.pull import catalogue, column_media, columns, input_files, media_folder, tables
from milkprep.pull.input_files import PullRequest
from milkprep.pull.pull_report import PullReport
from milkprep.sources import _own_tables
from milkprep.sources._own_tables import Tables
from schemas.errors import BadValue
from schemas.reporting import Reporter

INTERACTIONS, ITEMS = "interactions", "items"


def look(folder: Path, *, said: tuple[str, ...] = ()) -> Tables:
    """The tables of a folder and what their columns are taken for; nothing below the first lines is read.

    Args:
        folder: holds `interactions.*`, perhaps `items.*`.
        said: what the user said of columns, as `ROLE=COLUMN`.

    Raises:
        BadValue: if there is no such folder or no interactions in it, or a role or column that was named is not there.
        SourceError: if a table cannot be read, or has no column for its users or items.
    """
    _check_folder(folder)
    interactions, table = tables.find(folder, INTERACTIONS), tables.find(folder, ITEMS)
    if interactions is None:
        raise BadValue(_without_interactions(folder, table))
    known = columns.named(said)
    pairs = tables.opened(interactions, label=interactions.name)
    items = tables.opened(table, label=table.name) if table else None
    roles = {items.path: (columns.ITEM_ROLES, items.columns)} if items else {}
    roles |= {interactions: (columns.INTERACTION_ROLES, pairs.columns)}
    columns.check_named(known, roles)
    item_columns = columns.assigned(items.path, items.columns, roles=columns.ITEM_ROLES, said=known, required=("item",)) if items else {}
    pair_columns = columns.assigned(interactions, pairs.columns, roles=columns.INTERACTION_ROLES, said=known, required=("user", "item"))
    return Tables(pairs, pair_columns, items, item_columns)


def pull(
    store_path: Path,
    *,
    folder: Path,
    said: tuple[str, ...] = (),
    core: int = 0,
    keep_all_items: bool = True,
    replace: bool = False,
    reporter: Reporter,
) -> PullReport:
    """Read a folder into a store.

    Without a table of items, the items are those of the interactions.

    Args:
        store_path: the DuckDB file; made when absent.
        folder: see `look`; media lie in its `images/`, `audio/` and `video/`, named by the key of their item, or are named in
            columns. With media, the same folder at another place is another pull, as the store holds where each file lies.
        said: what the user said of columns, as `ROLE=COLUMN`.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        keep_all_items: keep items nobody interacted with: the new ones of one's own catalogue.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Returns:
        What was taken and dropped, and in its notes what columns were taken for.

    Raises:
        BadValue: as `look` does, and if a number is out of range.
        SourceError: if a table is empty, damaged or of another kind. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")
    found = look(folder, said=said)
    named = column_media.read(found.items, found.item_columns, root=folder, reporter=reporter)
    places = media_folder.places_in(folder)
    media = media_folder.listed(places, within=folder, reporter=reporter)
    paths = [table.path for table in (found.items, found.interactions) if table]
    parameters = {
        "core": core, "keep_all_items": keep_all_items, "names": [path.name for path in paths],
        "columns": {"items": dict(found.item_columns), "interactions": dict(found.pair_columns)},
        "media": str(folder.absolute()) if places or named.digest else None,
    }  # fmt: skip
    listing = [*media.listing, *([["columns", None, named.digest]] if named.digest else [])]
    request = PullRequest("folder", parameters, input_files.describe(paths, reporter=reporter), listing)
    read = partial(
        _own_tables.read_into, request=request, tables=found, named=named, media=media, core=core, keep_all=keep_all_items, reporter=reporter
    )
    return catalogue.pulled(store_path, request, replace=replace, read=read)


def _without_interactions(folder: Path, items: Path | None) -> str:
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name.lower().endswith(tables.SUFFIXES) and not (items and name == items.name)]
    endings, there = ", ".join(f".{suffix}" for suffix in tables.SUFFIXES[1:]), ", ".join(names[:10]) or "nothing"
    what_next = (
        f"Where {' or '.join(others[:5])} says who took what, rename it so."
        if others
        else "Put a table there that says who took what: a column of users and one of items."
    )
    return f"{folder} holds no interactions.csv (or {endings}), only {there}. {what_next}"


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        what = (
            "an archive. Unpack it first, and name the folder"
            if folder.suffix in (".zip", ".tar", ".gz", ".7z")
            else "a file. Name the folder it lies in"
        )
        raise BadValue(f"{folder} is {what}.")
    if not folder.is_dir():
        raise BadValue(f"There is no folder {folder}.")
