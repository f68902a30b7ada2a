"""A catalogue of one table of interactions, perhaps one of items, and media: what `folder` and `microlens` have in common."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from milkprep.pull import catalogue, column_media, items, pairs, table_rows
from milkprep.pull import tables as own_tables
from milkprep.pull.column_media import ColumnMedia
from milkprep.pull.input_files import PullRequest
from milkprep.pull.media_folder import MediaFolder
from milkprep.pull.pull_report import PullReport
from milkprep.pull.tables import Table
from milkprep.pull.timestamps import DATES
from schemas.contracts import Modality
from schemas.reporting import Reporter
from schemas.store import Store

SEPARATOR_NAMES = {";": "semicolons", "\t": "tabs", ",": "commas"}


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables looked into, but not read, and which of their columns means what, by role."""

    interactions: Table
    pair_columns: Mapping[str, str]
    items: Table | None = None
    item_columns: Mapping[str, str] = field(default_factory=dict)


def read_into(
    store: Store, *, request: PullRequest, tables: Tables, named: ColumnMedia, media: MediaFolder, core: int, keep_all: bool, reporter: Reporter
) -> PullReport:
    """Read everything into the catalogue.

    Args:
        store: open for writing.
        request: what is being pulled.
        tables: the tables.
        named: media that columns name.
        media: media in folders.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        keep_all: keep items of the table without an interaction.
        reporter: told how far reading is.

    Raises:
        SourceError: if a table is damaged or empty.
        DataError: if no interaction is left.
    """
    items.create_tables(store)
    pairs.create_tables(store)
    column_media.create_tables(store)
    source = tables.interactions.label
    n_pairs, units = table_rows.stage_pairs(store, tables.interactions, tables.pair_columns, reporter=reporter)
    n_lines = {source: n_pairs}
    pairs.number_keys(store)
    pairs.drop_repeats(store, source=source)
    pairs.keep_core(store, core=core, source=source, reporter=reporter)
    about = tables.items.label if tables.items else source
    if tables.items:
        n_lines = {about: table_rows.stage_items(store, tables.items, tables.item_columns, reporter=reporter)} | n_lines
        items.drop_repeats(store, source=about)
    extra = {(about, rule): n for rule, n in items.keep(store, keep_all=keep_all, source=about).items()}
    column_media.stage(store, from_columns=named, from_folders=media)
    extra |= {("media", rule): n for rule, n in column_media.counts(store).items()}
    notes = [note for table, note in _notes(tables, units) if table]
    return catalogue.write(store, request, n_lines=n_lines, extra=extra, write_items=partial(_write_items, store), notes=notes)


def _write_items(store: Store) -> None:
    items.write(store)
    items.write_assets(store, modalities=[Modality.TEXT])
    column_media.write_assets(store)


def _notes(tables: Tables, units: Counter[str]) -> list[tuple[Table | None, str]]:
    """A sentence a table: which column was taken for what, and in which unit its times are."""
    return [
        (tables.items, _taken(tables.items, tables.item_columns) if tables.items else ""),
        (tables.interactions, _taken(tables.interactions, tables.pair_columns) + _times(units)),
    ]


def _taken(table: Table, columns: Mapping[str, str]) -> str:
    unused = [name for name in table.columns if name not in columns.values()]
    said = ", ".join(f"{role} is {name!r}" for role, name in columns.items())
    separator = table.layout.separator if table.layout else ""
    cut = "" if separator == own_tables.SEPARATORS.get(table.form, "") else f" (values separated by {SEPARATOR_NAMES[separator]})"
    return f"{table.label}{cut}: {said}" + (f"; not used: {', '.join(map(repr, unused[:20]))}." if unused else ".")


def _times(units: Counter[str]) -> str:
    if not units:
        return ""
    said = " and ".join(
        f"{n} as {unit}" + ("" if unit == DATES else " since 1970") for unit, n in sorted(units.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    return f" Times were read by their size: {said}." if set(units) != {DATES} else f" Times were read: {said}."
