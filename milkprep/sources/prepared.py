"""Datasets that other projects prepared: pairs with dense ids, one file of vectors a modality, and what they have besides.

Layouts of folders: MMRec and DGMRec (`.inter`), MILK and GoRec (lists with a split), LATTICE and MICRO (JSON); RecBole's, whose keys
are texts, is read by `_layout_recbole`. Ids are the dataset's own: item_idx = itemID, so that every file made for it still fits.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from milkprep.pull import catalogue, input_files, pairs
from milkprep.pull import items as staged_items
from milkprep.pull.input_files import PullRequest
from milkprep.pull.pull_report import PullReport
from milkprep.pull.staging import RawFile
from milkprep.sources import _id_map, _imported_split, _inter, _item_table, _layout_recbole, _layouts, _pair_files, _vectors
from milkprep.sources._inter import InterFile
from milkprep.sources._item_table import ItemColumns
from milkprep.sources._layouts import DatasetFiles, SplitFiles
from milkprep.sources._pair_files import PairFiles
from milkprep.sources._vectors import VectorFile
from schemas import queries
from schemas.contracts import Modality
from schemas.errors import BadValue, ShapeError, SourceError
from schemas.reporting import Reporter
from schemas.store import Store

RECBOLE = "recbole"


@dataclass(frozen=True, slots=True)
class ItemsTable:
    """A table of items and the columns of it that were named: its id, and the item's own key."""

    path: Path
    item_id: str | None = None
    item_key: str | None = None


def pull(
    store_path: Path,
    *,
    interactions: Path,
    features: Mapping[Modality, Path],
    items: Path | None = None,
    item_id_column: str | None = None,
    item_key_column: str | None = None,
    missing: Mapping[Modality, Path] | None = None,
    item_keys: Path | None = None,
    user_keys: Path | None = None,
    reporter: Reporter,
    core: int = 0,
    replace: bool = False,
) -> PullReport:
    """Read a prepared dataset, its files named one by one, into a store.

    Every item of the vectors or of `items` is kept, with or without interactions. User ids may have gaps; their order is kept.

    Args:
        store_path: the DuckDB file; made when absent.
        interactions: tab separated with the header `userID itemID [rating timestamp x_label]`; timestamps in seconds.
        features: one `.npy` of shape (items, width) a modality, row = itemID; each becomes the modality's feature set.
        items: table of items (JSON lines, CSV or TSV): id, key, title, description, brand, categories, picture address.
        item_id_column: column of `items` that is itemID; guessed when None.
        item_key_column: column of `items` that is the item's own key; guessed when None, and the id where there is none.
        missing: text files of item ids, one a line, whose rows in the features of that modality only fill their places.
        item_keys: table of `itemID` and the source's own key, where there is no `items`.
        user_keys: table of `userID` and the source's own key.
        reporter: told how far reading is.
        core: drop interactions of users and items with fewer, until none is left; 0 keeps all. Items stay.
        replace: take the place of another pull that the store holds.

    Returns:
        What was taken and dropped; unchanged when the store already holds this pull.

    Raises:
        BadValue: if a file or column that was named is not there.
        SourceError: if a file is in another format, empty or damaged. Nothing is stored then.
        ShapeError: if interactions, vectors and items disagree about the number of items.
        DataError: if the store holds another pull, or no interaction is left.
    """
    named = DatasetFiles("mmrec", (interactions,), features, missing=missing or {}, item_keys=item_keys, user_keys=user_keys)
    table = ItemsTable(items, item_id_column, item_key_column) if items else None
    return _pull_files(store_path, named, table=table, core=core, replace=replace, reporter=reporter)


def pull_folder(
    store_path: Path,
    folder: Path,
    *,
    layout: str | None = None,
    variant: str | None = None,
    split_name: str = "imported",
    embeds: Modality = Modality.TEXT,
    reporter: Reporter,
    core: int = 0,
    replace: bool = False,
) -> PullReport:
    """Read a prepared dataset, a folder of files by the names another project gives them, into a store.

    Args:
        store_path: the DuckDB file; made when absent.
        folder: where the files lie.
        layout: `mmrec`, `milk`, `lattice`, `recbole`; recognised when None.
        variant: of a milk folder: `test`, `train` or `all`, the features whose losses become those of the split.
        split_name: how the split of a milk folder is called.
        embeds: what the vectors of a recbole folder describe.
        reporter: told how far reading is.
        core: as in `pull`.
        replace: as in `pull`.

    Raises:
        BadValue: if the folder is not there, or a name is unknown.
        SourceError, ShapeError, DataError: as `pull`; also if the folder holds no known layout, or the split leaks.
    """
    input_files.require_folder(folder, flag="the argument")
    if layout == RECBOLE or (layout is None and _layout_recbole.holds(folder)):
        if not _layout_recbole.holds(folder):
            raise SourceError(f"{folder} holds no .inter file with user_id:token and item_id:token. Name another layout, or leave --layout out.")
        return _layout_recbole.pull(store_path, folder, modality=embeds, core=core, replace=replace, reporter=reporter)
    found = _layouts.find(folder, layout=layout, variant=variant, split_name=split_name)
    notes = (found.told, *found.notes, *_layouts.not_read(folder, found.paths, notes=found.notes, store=store_path))
    return _pull_files(store_path, found, table=None, core=core, replace=replace, reporter=reporter, notes=notes)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one dataset, looked into but not read."""

    labels: Mapping[Path, str]
    pairs: InterFile | PairFiles
    vectors: list[VectorFile]
    table: RawFile | None
    columns: ItemColumns | None
    item_keys: Path | None
    user_keys: Path | None
    split: SplitFiles | None
    notes: tuple[str, ...] = field(default=())


def _pull_files(
    store_path: Path, named: DatasetFiles, *, table: ItemsTable | None, core: int, replace: bool, reporter: Reporter, notes: tuple[str, ...] = ()
) -> PullReport:
    paths = _checked(named, table, core)
    files = _opened(paths, named, table, notes)
    parameters = {
        "core": core,
        "features": [m.value for m in Modality if m in named.features],
        "items": asdict(files.columns) if files.columns else None,
        # The names of files, as rejects, assets and feature sets bear them; their folders make no other pull.
        "names": [path.name for path in paths],
    }
    if named.layout != "mmrec":
        parameters["layout"] = named.layout
    if named.split:
        parameters["split"] = [named.split.name, named.split.setting.value]
    request = PullRequest("prepared", parameters, input_files.describe(paths, reporter=reporter))
    sha256 = {path: file.sha256 for path, file in zip(paths, request.inputs, strict=True)}
    read = partial(_pull, request=request, files=files, sha256=sha256, core=core, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


def _checked(named: DatasetFiles, table: ItemsTable | None, core: int) -> list[Path]:
    """All files, in the order of their roles."""
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")
    roles = [("--interactions", path) for path in named.interactions]
    roles += [("--features", named.features[m]) for m in Modality if m in named.features]
    roles += [("--items", table.path)] if table else []
    roles += [("--missing", named.missing[m]) for m in Modality if m in named.missing]
    roles += [(flag, path) for flag, path in (("--item-keys", named.item_keys), ("--user-keys", named.user_keys)) if path]
    if named.split:
        roles += [("--variant", path) for path in [named.split.new_items, *named.split.lossy.values()] if path]
    for flag, path in roles:
        input_files.require_file(path, flag=flag)
    for modality in named.missing:
        if modality not in named.features:
            raise BadValue(f"--missing names {modality}, but there are no features of it. Give --features {modality}=FILE.npy too.")
    if table and named.item_keys:
        raise BadValue("--items has keys of its own: leave --item-keys out, or say its column with --item-key.")
    return [path for _, path in roles]


def _opened(paths: list[Path], named: DatasetFiles, table: ItemsTable | None, notes: tuple[str, ...]) -> _Files:
    labels = dict(zip(paths, input_files.labels(paths), strict=True))
    raw = [RawFile(path, labels[path]) for path in named.interactions]
    if named.layout == "mmrec":
        found: InterFile | PairFiles = InterFile(raw[0], _inter.shape_of(raw[0]))
    else:
        found = PairFiles(raw, _pair_files.json_lists if named.layout == "lattice" else _pair_files.text_lists)
    files = {m: named.features[m] for m in Modality if m in named.features}
    vectors = [_vectors.open_file(path, modality=m, label=labels[path], missing=named.missing.get(m)) for m, path in files.items()]
    _vectors.check_agreement(vectors)
    columns = None
    if table:
        columns = _item_table.columns_of(table.path, item_id=table.item_id, item_key=table.item_key)
        notes += tuple(_guessed(table, columns))
    raw_table = RawFile(table.path, labels[table.path]) if table else None
    return _Files(labels, found, vectors, raw_table, columns, named.item_keys, named.user_keys, named.split, notes)


def _guessed(table: ItemsTable, columns: ItemColumns) -> list[str]:
    """A note where columns were guessed."""
    guesses = [f"itemID is {columns.item_id!r}"] if table.item_id is None else []
    if table.item_key is None:
        guesses.append(f"the item's own key is {columns.item_key!r}" if columns.item_key else "items have no key but their id")
    return [f"{table.path.name}: {', '.join(guesses)} (guessed; --item-id and --item-key say otherwise)."] if guesses else []


def _pull(store: Store, *, request: PullRequest, files: _Files, sha256: Mapping[Path, str], core: int, reporter: Reporter) -> PullReport:
    sql = _sql()
    staged_items.create_tables(store)
    pairs.create_tables(store)
    store.run(sql["create"])
    n_lines = files.pairs.stage(store, reporter=reporter)
    if files.table and files.columns:
        n_lines[files.table.label] = _item_table.stage(store, files.table, files.columns)
    n_lines |= {file.label: len(file.rows) for file in files.vectors}
    if files.item_keys:
        store.append("item_keys", _id_map.read(files.item_keys, id_column="itemID", number="item_number", key="item_key"))
    if files.user_keys:
        store.append("user_keys", _id_map.read(files.user_keys, id_column="userID", number="user_number", key="user_key"))
    n_items = _checked_number_of_items(store, files)
    _name(store, files, n_items)
    pairs.keep_core(store, core=core, source=files.pairs.source, reporter=reporter)
    files.pairs.place(store)
    store.run(sql["keep_all_items"])
    write_items = partial(_write_items, store, files, sha256, reporter)
    then = (
        partial(_imported_split.write, store, files.split, files.pairs, files.vectors) if files.split and isinstance(files.pairs, PairFiles) else None
    )
    return catalogue.write(store, request, n_lines=n_lines, extra={}, write_items=write_items, notes=files.notes, then=then)


def _name(store: Store, files: _Files, n_items: int) -> None:
    """Keys of users and items."""
    sql = _sql()
    if files.user_keys and (without := store.query(sql["user_without_key"]).item()) is not None:
        raise ShapeError(f"{files.user_keys} has no key for userID {without}, which an interaction names. Check that the two belong together.")
    store.run(sql["name_users"])
    if files.table:
        store.run(sql["name_items_by_key"])
    elif files.item_keys:
        store.run(sql["name_items_by_map"])
    else:
        store.run(sql["name_items_by_id"], n_items=n_items)


def _checked_number_of_items(store: Store, files: _Files) -> int:
    """How many items there are; all files that say so must say the same, and cover the interactions."""
    sql = _sql()
    path, largest = files.pairs.shown, int(store.query(sql["largest_item"]).item())
    counted = {file.label: len(file.rows) for file in files.vectors[:1]}
    if files.item_keys:
        counted[files.item_keys.name] = _checked_map(store, files.item_keys)
    if files.table:
        counted[files.table.label] = _item_table.check_unique(store, files.table)
    if len(set(counted.values())) > 1:
        told = " and ".join(f"{label} has {n}" for label, n in counted.items())
        raise ShapeError(f"The files disagree about the number of items: {told}. Every item needs a row in each.")
    if not counted:
        unused = store.query(sql["first_unused_id"]).item()
        if unused is not None:
            raise SourceError(f"{path} names itemID {largest} but never {unused}. Number items from 0 without gaps, or list them all with --items.")
        return largest + 1
    label, n_items = next(iter(counted.items()))
    if largest >= n_items:
        raise ShapeError(
            f"{path} names itemID {largest}, so {largest + 1} items are needed, but {label} has only {n_items}. Check that the two belong together."
        )
    if files.table:
        missing = store.query(sql["first_undescribed"], n_items=n_items).item()
        if missing is not None:
            raise ShapeError(f"{files.table.path} has {n_items} items but none with itemID {missing}. Ids must run from 0 without gaps.")
    return n_items


def _checked_map(store: Store, path: Path) -> int:
    """Number of items a table of keys names, from 0 without gaps."""
    n_items, largest = store.query(_sql()["mapped_items"]).row(0)
    if n_items != largest + 1:
        raise ShapeError(f"{path} has {n_items} items, but ids up to {largest}. Ids must run from 0 without gaps.")
    return int(n_items)


def _write_items(store: Store, files: _Files, sha256: Mapping[Path, str], reporter: Reporter) -> None:
    staged_items.write(store)
    with_vectors = [file.modality for file in files.vectors]
    if files.table:
        staged_items.write_assets(store, modalities=[m for m in Modality if m not in with_vectors])
    for file in files.vectors:
        _vectors.write(store, file, sha256=sha256[file.path], reporter=reporter)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "prepared.sql")
