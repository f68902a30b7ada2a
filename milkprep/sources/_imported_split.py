"""A split of items that comes with a dataset: which items are new, which of them are validation, and what each lost.

Promises: an item is in one part; a folder whose lists leak an item into a part that may not have it is refused, never mended. What
an item lost is what differs between the complete features and those of the experiment, so the store keeps the true vectors and the
split the loss. Items without interactions are outside, as in every split.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep import splits
from milkprep.sources._layouts import SplitFiles
from milkprep.sources._pair_files import PairFiles
from milkprep.sources._vectors import VectorFile
from schemas import queries
from schemas.contracts import Modality, Part
from schemas.errors import ShapeError, SourceError
from schemas.store import Store

CHUNK_ROWS = 10_000
SHOWN = 5
CONVERT = "Where you trust it: `a = np.load({0!r}, allow_pickle=True); np.save({0!r}, np.asarray(a, dtype='int64'))`."


def write(store: Store, split: SplitFiles, pairs: PairFiles, vectors: Sequence[VectorFile]) -> list[str]:
    """Store the split. Call inside the transaction of the pull, at its end.

    Args:
        store: open for writing, with the catalogue, its pull and its vectors written; item_idx = the files' ids.
        split: its files.
        pairs: the lists of training, validation and test, in this order.
        vectors: the complete features.

    Returns:
        Notes for the report.

    Raises:
        SourceError: if an item is in a part that may not have it, if a file of ids cannot be read, or if the features of the
            experiment differ from the complete ones where its setting takes nothing away, or leave an item nothing.
        ShapeError: if they have another shape.
    """
    counted = _counts(pairs.parts(store), {file.label: part for file, part in zip(pairs.files, Part, strict=True)})
    given = None if split.new_items is None else item_ids(split.new_items)
    n_items = int(store.query(queries.load("milkprep.sql", "catalogue.sql")["count_tables"])["n_items"].item())
    if given is not None and given[-1] >= n_items:
        raise SourceError(f"{split.new_items} names item {given[-1]}, but there are only {n_items}, from 0. Check that the files belong together.")
    if given is None and not _in_held_out_only(counted).any():
        return ["No item is in validation or test alone: the lists split interactions, not items, so no split was imported."]
    items, n_outside = _parts(counted, given, split.new_items)
    availability = store.query(queries.load("milkprep.sql", "prepared.sql")["natural_availability"])
    availability = _with_losses(availability, items, split, {file.modality: file.path for file in vectors})
    names = {modality.value: path.name for modality, path in split.lossy.items()}
    parameters: dict[str, object] = {"imported": True, "new_items": split.new_items.name if split.new_items else None, "lossy": names}
    splits.write_inside(store, split.name, setting=split.setting, parameters=parameters, items=items, availability=availability)
    n = {part: items.filter(pl.col("part") == part.value).height for part in Part}
    lost = int(availability["lost"].sum())
    told = (
        f"Split {split.name} ({split.setting}): {n[Part.TRAIN]} training, {n[Part.VAL]} validation, {n[Part.TEST]} test items; {lost} vectors lost."
    )
    return [told, *([f"{n_outside} new items have no interaction and are outside the split."] if n_outside else [])]


def item_ids(path: Path) -> NDArray[np.int64]:
    """Ids of a `.npy` file, ascending.

    Raises:
        SourceError: if it is no plain array of whole numbers from 0, each once.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read as an array of whole numbers; pickles are not, as they can run code. {_convert(path)}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise SourceError(f"{path} holds no list of whole numbers. {_convert(path)}")
    if not len(found) or found.min() < 0 or len(np.unique(found)) != len(found):
        raise SourceError(f"{path} must hold item ids from 0, each once, at least one. Check where it is from.")
    return np.sort(found).astype(np.int64)


def _convert(path: Path) -> str:
    return CONVERT.format(path.name)


def _counts(pairs: pl.DataFrame, sources: Mapping[str, Part]) -> pl.DataFrame:
    """`item_idx` and the pairs of each item in each part, by item."""
    of = {part: [label for label, its in sources.items() if its is part] for part in Part}
    counts = [pl.col("n").filter(pl.col("source").is_in(labels)).sum().alias(part.value) for part, labels in of.items()]
    return pairs.group_by(pl.col("item_number").cast(pl.Int32).alias("item_idx")).agg(counts).sort("item_idx")


def _in_held_out_only(counted: pl.DataFrame) -> pl.Series:
    return counted["train"] == 0


def _parts(counted: pl.DataFrame, given: NDArray[np.int64] | None, listed: Path | None) -> tuple[pl.DataFrame, int]:
    """`item_idx` and `part` of each item with interactions, and how many new items have none."""
    new = _in_held_out_only(counted) if given is None else counted["item_idx"].is_in(given.tolist())
    told = f"is listed in {listed.name}" if listed else "is new"
    train, val, test = (pl.col(part.value) > 0 for part in (Part.TRAIN, Part.VAL, Part.TEST))
    marked = counted.with_columns(new.alias("new"))
    _refuse(marked.filter(pl.col("new") & train), f"{told}, so new, but has interactions in training")
    _refuse(marked.filter(~pl.col("new") & (val | test)), "is not new, but has interactions in validation or test")
    _refuse(marked.filter(val & test), "is new and has interactions both in validation and in test")
    part = pl.when(val).then(pl.lit(Part.VAL.value)).when(test).then(pl.lit(Part.TEST.value)).otherwise(pl.lit(Part.TRAIN.value))
    items = marked.select("item_idx", part.alias("part"))
    for needed in Part:
        if needed.value not in items["part"]:
            raise SourceError(f"No item is in {needed} of the split, so there is no split to import. Check the lists and the ids of new items.")
    return items, 0 if given is None else len(given) - int(new.sum())


def _refuse(leaking: pl.DataFrame, what: str) -> None:
    if leaking.height:
        shown = ", ".join(map(str, leaking["item_idx"].head(SHOWN)))
        raise SourceError(
            f"Item {leaking['item_idx'][0]} {what}: {leaking.height} items leak so ({shown}{', ...' if leaking.height > SHOWN else ''}). "
            "Every item belongs to one part; mend the lists or the ids of new items. Nothing was stored."
        )


def _with_losses(availability: pl.DataFrame, items: pl.DataFrame, split: SplitFiles, features: Mapping[Modality, Path]) -> pl.DataFrame:
    """The availability with the column `lost`, checked against the setting."""
    gone = [
        pl.DataFrame(
            {"item_idx": _differing(features[modality], lossy), "modality": modality.value}, schema={"item_idx": pl.Int32, "modality": pl.String}
        )
        for modality, lossy in split.lossy.items()
    ]
    none = pl.DataFrame(schema={"item_idx": pl.Int32, "modality": pl.String})
    differs = pl.concat([none, *gone]).with_columns(differs=pl.lit(value=True))
    marked = availability.join(differs, on=["item_idx", "modality"], how="left", maintain_order="left").with_columns(
        lost=pl.col("differs").fill_null(value=False) & pl.col("present")
    )
    keeping = [part.value for part in Part if not (split.setting.training_loses if part is Part.TRAIN else split.setting.test_loses)]
    wrong = marked.filter("lost").join(items.filter(pl.col("part").is_in(keeping)), on="item_idx")
    if wrong.height:
        raise SourceError(
            f"The {wrong['modality'][0]} features of item {wrong['item_idx'][0]} ({wrong['part'][0]}) differ from the complete ones, as do "
            f"{wrong.height} in all, although setting {split.setting} takes nothing from that part. Check that the files belong together."
        )
    left = marked.group_by("item_idx").agg(had=pl.col("present").any(), left=(pl.col("present") & ~pl.col("lost")).any())
    bare = left.filter(pl.col("had") & ~pl.col("left")).sort("item_idx")
    if bare.height:
        raise SourceError(
            f"Setting {split.setting} leaves item {bare['item_idx'][0]} and {bare.height - 1} more no modality at all; an item keeps one. "
            "Check that the features belong together. Nothing was stored."
        )
    return marked.select("item_idx", "modality", "present", "lost")


def _differing(complete: Path, lossy: Path) -> NDArray[np.int32]:
    """Rows of the features that are others in the experiment's: zero, imputed, or whatever stands for a lost one."""
    whole, left = _mapped(complete), _mapped(lossy)
    if whole.shape != left.shape:
        raise ShapeError(f"{lossy} has the shape {left.shape}, but {complete} has {whole.shape}. The two must describe the same items.")
    found = []
    for start in range(0, len(whole), CHUNK_ROWS):
        with np.errstate(over="ignore"):
            pair = [np.asarray(each[start : start + CHUNK_ROWS], dtype=np.float32) for each in (whole, left)]  # (chunk, width)
        found.append(start + np.flatnonzero((pair[0] != pair[1]).any(axis=1)))
    return np.concatenate(found).astype(np.int32)


def _mapped(path: Path) -> NDArray[np.floating]:
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read as a plain .npy of numbers. Make it again from a float array with numpy.save.") from error
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating):
        raise SourceError(f"{path} holds {rows.dtype} values of shape {rows.shape}, but must hold floats of shape (items, width).")
    return rows
