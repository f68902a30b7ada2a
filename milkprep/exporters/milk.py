"""The layout that the published code of MILK reads, and most of it GoRec's: lists of items a user, and one `.npy` a modality.

train.txt val.txt test.txt      `uid iid iid ...`, single spaces, ascending; users without items in a part have no line in it
image_feat.npy ...              (N, d) float32 by item: every vector; the mean of training items where an item never had one
image_feat_missing_test.npy ... the same with what the setting takes away replaced by the mean: `_test` FTMT, `_train` MTFT, `_all` MTMT
cold_item_index.npy             int64, validation and test items
warm_missing_item_index.npy     int64, training items that lack or lose a modality; cold_missing_item_index.npy, the others that do

Beside them, what that code does not read but `pull prepared` does, so that the split comes back as it was:
image_feat_absent.txt ...       items that never had the modality, whose rows only fill their places
item_keys.tsv user_keys.tsv     ids and the source's own keys

Means are of training items that have the modality in that file, never of new ones. Facts about what is read: docs/export.md.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.export import arrays
from milkprep.export.arrays import Mask, Rows
from milkprep.export.content import SplitContent
from schemas.contracts import Modality, Part
from schemas.errors import FeatureMissing
from schemas.reporting import Reporter

FILES = {Modality.VISUAL: "image_feat", Modality.TEXT: "text_feat", Modality.AUDIO: "audio_feat"}
#: What the authors' `--exp_mode` calls a setting -> the variant that ends the names of its features.
VARIANTS = {"ff": None, "fm": "test", "mf": "train", "mm": "all"}
#: Without these two the authors' code does not start.
READ_ALWAYS = (Modality.VISUAL, Modality.TEXT)
#: The largest cut-off that its `--topk` has when nothing is said.
DEEPEST = 50
PAIRS_AT_ONCE = 1 << 20


def write(split: SplitContent, into: Path, *, reporter: Reporter) -> tuple[str, ...]:
    """Write the files of a split; see `milkprep.export.exporting.Format`.

    Raises:
        FeatureMissing: if no training item has a modality, so that nothing can stand in for it.
    """
    mode = "".join("m" if loses else "f" for loses in (split.setting.training_loses, split.setting.test_loses))
    variant = VARIANTS[mode]
    _refuse_without_mean(split)
    longest = {part: _write_lists(split.pairs(part), into / f"{part}.txt") for part in Part}[Part.TRAIN]
    _write_indices(split, into)
    for what in ("item", "user"):
        keys = (split.items if what == "item" else split.users).select(pl.col(what).alias(f"{what}ID"), f"{what}_key")
        keys.write_csv(into / f"{what}_keys.tsv", separator="\t")
    with reporter.progress("writing vectors", total=len(split.vectors), unit="modalities") as progress:
        for modality in split.vectors:
            _write_features(split, modality, into, variant=variant)
            progress.advance()
    chosen = f" --variant {variant}" if variant else ""
    back = f"`python cli.py pull prepared FOLDER{chosen} --split-name {split.name} --store my.duckdb` brings it back."
    return (*_notes(split, mode, longest=longest), back)


def _refuse_without_mean(split: SplitContent) -> None:
    for vectors in split.vectors.values():
        if not (vectors.available & split.in_part(Part.TRAIN)).any():
            modality = vectors.feature_set.modality
            raise FeatureMissing(f"No training item has {modality}, so there is no mean to stand in for it. Name others with --modalities.")


def _notes(split: SplitContent, mode: str, *, longest: int) -> Iterator[str]:
    yield f"The authors' code takes this as --exp_mode {mode}."
    absent = [modality for modality in READ_ALWAYS if modality not in split.vectors]
    if absent:
        yield (
            f"It reads {' and '.join(f'{FILES[modality]}.npy' for modality in READ_ALWAYS)} whatever the dataset, and there is no {absent[0]} here. "
            f"Vectors of another modality can stand in its place: --rename MODALITY={absent[0]}."
        )
    if Modality.AUDIO in split.vectors:
        yield "It reads audio_feat.npy only of a dataset called tiktok, and its model uses image and text only."
    n_new = int((~split.in_part(Part.TRAIN)).sum())
    if n_new < longest + DEEPEST:
        yield (
            f"Its evaluation asks for as many candidates as the largest --topk and the longest training list ({longest}) together, and there are "
            f"{n_new} new items: " + (f"give it none above {n_new - longest}." if n_new > longest else "it cannot judge this split.")
        )
    n_absent = sum(int((~vectors.present).sum()) for vectors in split.vectors.values())
    if n_absent:
        yield f"{n_absent} vectors were never there: their rows are the mean of the training items', and the files *_absent.txt name their items."


def _write_lists(pairs: pl.DataFrame, path: Path) -> int:
    """Write a list a user; returns the length of the longest."""
    users = pairs["user"].to_numpy()
    start = longest = 0
    with path.open("w", encoding="ascii", newline="\n") as stream:
        while start < len(users):
            last = users[min(start + PAIRS_AT_ONCE, len(users)) - 1]
            stop = int(np.searchsorted(users, last, side="right"))  # whole users only
            lists = pairs[start:stop].group_by("user", maintain_order=True).agg(pl.col("item").cast(pl.String).str.join(" "))
            stream.writelines(lists.select(pl.format("{} {}\n", "user", "item")).to_series().to_list())
            start, longest = stop, max(longest, int(np.bincount(users[start:stop] - users[start]).max()))
    return longest


def _write_indices(split: SplitContent, into: Path) -> None:
    new = ~split.in_part(Part.TRAIN)
    lacking = ~np.logical_and.reduce([vectors.available for vectors in split.vectors.values()])
    _write_ids(new, into / "cold_item_index.npy")
    _write_ids(lacking & ~new, into / "warm_missing_item_index.npy")
    _write_ids(lacking & new, into / "cold_missing_item_index.npy")


def _write_ids(chosen: Mask, path: Path) -> None:
    ids: NDArray[np.int64] = np.flatnonzero(chosen).astype("<i8")
    np.save(path, ids, allow_pickle=False)


def _write_features(split: SplitContent, modality: Modality, into: Path, *, variant: str | None) -> None:
    vectors, training, name = split.vectors[modality], split.in_part(Part.TRAIN), FILES[modality]
    complete = into / f"{name}.npy"
    arrays.reserve(complete, shape=(split.items.height, vectors.width))
    arrays.scatter(complete, split.batches(modality))
    if variant:
        lossy = into / f"{name}_missing_{variant}.npy"
        stand_in = arrays.mean_row(complete, vectors.available & training)
        arrays.reserve(lossy, shape=(split.items.height, vectors.width))
        for where, rows in arrays.chunks(complete):
            _lose(rows, lost=(vectors.present & ~vectors.available)[where], stand_in=stand_in)
            rows[~vectors.present[where]] = stand_in
            arrays.write_chunk(lossy, where, rows)
    if not vectors.present.all():
        stand_in = arrays.mean_row(complete, vectors.present & training)
        for where, rows in arrays.chunks(complete):
            rows[~vectors.present[where]] = stand_in
            arrays.write_chunk(complete, where, rows)
        absent = np.flatnonzero(~vectors.present)
        (into / f"{name}_absent.txt").write_text("".join(f"{item}\n" for item in absent), encoding="ascii", newline="\n")


def _lose(rows: Rows, *, lost: Mask, stand_in: Rows) -> None:
    """Put the mean in place of lost rows. Whoever compares with the complete ones must see it: a row that is the mean moves by one step."""
    same = lost & (rows == stand_in).all(axis=1)
    rows[lost] = stand_in
    first = stand_in[0]
    rows[same, 0] = np.nextafter(first, np.float32(0 if first else 1))
