"""Datasets that other projects prepared, in the layout of MMRec: pairs with dense ids, one file of vectors a modality.

Ids are the dataset's own: item_idx = itemID, so that every file made for it still fits.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from milkprep.pull import catalogue, input_files, pairs
from milkprep.pull import items as staged_items
from milkprep.pull.input_files import PullRequest
from milkprep.pull.pull_report import PullReport
from milkprep.pull.staging import LineShape, RawFile, stage_lines
from milkprep.sources import _inter, _item_table, _vectors
from milkprep.sources._item_table import ItemColumns
from milkprep.sources._vectors import VectorFile
from schemas import queries
from schemas.contracts import Modality
from schemas.errors import BadValue, ShapeError, SourceError
from schemas.reporting import Reporter
from schemas.store import Store


def pull(
    store_path: Path,
    *,
    interactions: Path,
    features: dict[Modality, Path],
    items: Path | None = None,
    item_id_column: str | None = None,
    item_key_column: str | None = None,
    reporter: Reporter,
    core: int = 0,
    replace: bool = False,
) -> PullReport:
    """Read a prepared dataset into a store.

    Every item of the vectors or of `items` is kept, with or without interactions. User ids may have gaps; their order is kept.

    Args:
        store_path: the DuckDB file; made when absent.
        interactions: tab separated with the header `userID itemID [rating timestamp x_label]`; timestamps in seconds.
        features: one `.npy` of shape (items, width) a modality, row = itemID; each becomes the modality's feature set.
        items: table of items (JSON lines, CSV or TSV): id, key, title, description, brand, categories, picture address.
        item_id_column: column of `items` that is itemID; guessed when None.
        item_key_column: column of `items` that is the item's own key; guessed when None, and the id where there is none.
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
    _check(interactions, features, items, core)
    features = {modality: features[modality] for modality in Modality if modality in features}  # whatever order they were named in
    paths = [interactions, *features.values(), *([items] if items else [])]
    files = _opened(paths, list(features), items is not None, item_id_column, item_key_column)
    parameters = {
        "core": core,
        "features": [m.value for m in features],
        "items": asdict(files.columns) if files.columns else None,
        # The names of files, as rejects, assets and feature sets bear them; their folders make no other pull.
        "names": [path.name for path in paths],
    }
    request = PullRequest("prepared", parameters, input_files.describe(paths, reporter=reporter))
    read = partial(_pull, request=request, files=files, core=core, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one dataset, looked into but not read."""

    labels: list[str]
    interactions: RawFile
    shape: LineShape[_inter.Pair]
    vectors: list[VectorFile]
    table: RawFile | None
    columns: ItemColumns | None


def _check(interactions: Path, features: dict[Modality, Path], items: Path | None, core: int) -> None:
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")
    input_files.require_file(interactions, flag="--interactions")
    for path in features.values():
        input_files.require_file(path, flag="--features")
    if items:
        input_files.require_file(items, flag="--items")


def _opened(paths: list[Path], modalities: list[Modality], has_table: bool, item_id: str | None, item_key: str | None) -> _Files:
    labels = input_files.labels(paths)
    interactions = RawFile(paths[0], labels[0])
    last = 1 + len(modalities)
    vectors = [_vectors.open_file(path, modality=m, label=label) for path, m, label in zip(paths[1:last], modalities, labels[1:last], strict=True)]
    _vectors.check_agreement(vectors)
    table = RawFile(paths[-1], labels[-1]) if has_table else None
    columns = _item_table.columns_of(table.path, item_id=item_id, item_key=item_key) if table else None
    return _Files(labels, interactions, _inter.shape_of(interactions), vectors, table, columns)


def _pull(store: Store, *, request: PullRequest, files: _Files, core: int, reporter: Reporter) -> PullReport:
    sql, source = _sql(), files.interactions.label
    staged_items.create_tables(store)
    pairs.create_tables(store)
    store.run(sql["create"])
    n_lines = {source: stage_lines(store, files.interactions, files.shape, header_lines=1, reporter=reporter)}
    if files.table and files.columns:
        n_lines[files.table.label] = _item_table.stage(store, files.table, files.columns)
    n_lines |= {file.label: len(file.rows) for file in files.vectors}
    n_items = _checked_number_of_items(store, files)
    store.run(sql["name_users"])
    if files.table:
        store.run(sql["name_items_by_key"])
    else:
        store.run(sql["name_items_by_id"], n_items=n_items)
    pairs.drop_repeats(store, source=source)
    pairs.keep_core(store, core=core, source=source, reporter=reporter)
    store.run(sql["keep_all_items"])
    sha256 = {label: file.sha256 for label, file in zip(files.labels, request.inputs, strict=True)}
    write_items = partial(_write_items, store, files, sha256, reporter)
    return catalogue.write(store, request, n_lines=n_lines, extra={}, write_items=write_items)


def _checked_number_of_items(store: Store, files: _Files) -> int:
    """How many items there are; all files that say so must say the same, and cover the interactions."""
    sql = _sql()
    path, largest = files.interactions.path, int(store.query(sql["largest_item"]).item())
    counted = {file.label: len(file.rows) for file in files.vectors[:1]}
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


def _write_items(store: Store, files: _Files, sha256: dict[str, str], reporter: Reporter) -> None:
    staged_items.write(store)
    with_vectors = [file.modality for file in files.vectors]
    if files.table:
        staged_items.write_assets(store, modalities=[m for m in Modality if m not in with_vectors])
    for file in files.vectors:
        _vectors.write(store, file, sha256=sha256[file.label], reporter=reporter)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "prepared.sql")
