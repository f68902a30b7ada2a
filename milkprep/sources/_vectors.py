"""Ready-made vectors of another project: one `.npy` file a modality, row = itemID.

Nothing is unpickled. Values become float32. A row that is all zeros stands for a missing vector in such files, and a row that is
not finite is broken: neither is stored, both are rejects, and the item's asset says why.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.pull.staging import REJECT_SCHEMA
from schemas import feature_sets
from schemas.contracts import AssetStatus, EncoderIdentity, FeatureSet, Modality, RejectReason
from schemas.errors import ShapeError, SourceError
from schemas.reporting import Reporter
from schemas.store import Store

CHUNK_ROWS = 10_000
#: How a file begins -> what it is; the last is every other file.
STARTS = {
    b"\x93NUMPY": "it is cut short, holds no value, or holds Python objects instead of numbers. Make it again from a float array with numpy.save.",
    b"\x80": "it is a Python pickle; pickles are not read, as they can run code. Load it where you trust it, and save its array with numpy.save.",
    b"PK": "it is an archive of several arrays (.npz), or another zip file. Save the one array that is meant with numpy.save.",
    b"\x89HDF": "it is an HDF5 file. Read its array with h5py and save that with numpy.save.",
    b"\x1f\x8b": "it is compressed with gzip. Unpack it first.",
    b"": "it does not begin as a .npy file does. Load it with the library that wrote it, and save its float array with numpy.save.",
}
LONGEST_START = max(map(len, STARTS))
STATUS = {RejectReason.ALL_ZERO: AssetStatus.ABSENT, RejectReason.NOT_FINITE: AssetStatus.DECODE_ERROR}
IN_WORDS = {RejectReason.ALL_ZERO: "is all zeros", RejectReason.NOT_FINITE: "holds values that are not finite"}
ASSET_SCHEMA = {
    "item_idx": pl.Int32, "modality": pl.String, "position": pl.Int32, "location": pl.String, "content_sha256": pl.String,
    "status": pl.String, "reason": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VectorFile:
    """An open file of vectors.

    Args:
        modality: what they describe.
        label: the name it goes by in the store.
        path: where it lies.
        rows: (n_items, width) of any float type, read from disk as needed.
    """

    modality: Modality
    label: str
    path: Path
    rows: NDArray[np.floating]


#: DuckDB's own limit on FLOAT[n].
WIDEST = 99_999


def open_file(path: Path, *, modality: Modality, label: str) -> VectorFile:
    """Open a file without reading its values.

    Raises:
        SourceError: if it is no plain `.npy` of a float matrix.
    """
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read as .npy: {_what_it_is(path)}") from error
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating) or 0 in rows.shape:
        raise SourceError(f"{path} holds {rows.dtype} values of shape {rows.shape}, but must hold floats of shape (items, width). Check --features.")
    if rows.shape[1] > WIDEST:
        raise SourceError(f"{path} is {rows.shape[1]} wide; a store holds vectors up to {WIDEST}. Reduce them first, e.g. by PCA.")
    return VectorFile(modality, label, path, rows)


def _what_it_is(path: Path) -> str:
    """What a file is that numpy refused, and what to do."""
    try:
        with path.open("rb") as stream:
            start = stream.read(LONGEST_START)
    except OSError as error:
        return f"{error.strerror or error}. Check the file and its permissions."
    return next(told for known, told in STARTS.items() if start.startswith(known)) if start else "it is empty. Make or copy it again."


def check_agreement(files: list[VectorFile]) -> None:
    """Refuse files of different lengths.

    Raises:
        ShapeError: naming each file and its number of rows.
    """
    counts = {file.label: len(file.rows) for file in files}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{label} has {n} rows" for label, n in counts.items())
        raise ShapeError(f"The vectors disagree about the number of items: {told}. Each file needs one row an item.")


def write(store: Store, file: VectorFile, *, sha256: str, reporter: Reporter) -> None:
    """Store a file as the current feature set of its modality, with assets and rejects. Call inside a transaction.

    Args:
        store: open for writing, with `staged_rejects` made.
        file: the vectors; row = item_idx.
        sha256: digest of the file.
        reporter: told the rows written.

    Raises:
        SourceError: if no row can be used.
    """
    started = time.monotonic()
    identity = EncoderIdentity("imported", weights=file.label, weights_sha256=sha256, width=file.rows.shape[1], pooling="none")
    made = feature_sets.register_inside(store, file.modality, identity)
    seen: set[str] = set()
    n_failed = 0
    with reporter.progress(f"importing {file.label}", total=len(file.rows), unit="rows") as progress:
        for start in range(0, len(file.rows), CHUNK_ROWS):
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and then a reject
                rows = np.ascontiguousarray(file.rows[start : start + CHUNK_ROWS], dtype="<f4")  # (chunk, width)
            n_failed += _write_chunk(store, file, made, rows, start=start, seen=seen)
            progress.advance(len(rows))
    if n_failed == len(file.rows):
        raise SourceError(
            f"No row of {file.path} is a vector: each is all zeros or not finite. Nothing was stored; leave {file.modality} out or mend the file."
        )
    feature_sets.finish_inside(store, made, n_failed=n_failed, seconds=time.monotonic() - started)


def _write_chunk(store: Store, file: VectorFile, made: FeatureSet, rows: NDArray[np.float32], *, start: int, seen: set[str]) -> int:
    failed = _failures(rows)
    digests = [None if at in failed else hashlib.sha256(row.tobytes()).hexdigest() for at, row in enumerate(rows)]
    _write_new(store, made, rows, digests, seen)
    assets = [
        (
            start + at,
            file.modality.value,
            0,
            file.label,
            digest,
            STATUS[failed[at]] if at in failed else AssetStatus.OK,
            _asset_reason(file, failed.get(at)),
        )
        for at, digest in enumerate(digests)
    ]
    frame = pl.DataFrame(assets, schema=ASSET_SCHEMA, orient="row")
    feature_sets.append_rows(store, made, frame.filter(pl.col("status") == AssetStatus.OK).select("item_idx", "position", "content_sha256"))
    store.append("assets", frame)
    rejects = [(file.label, start + at + 1, why.value, f"the row of itemID {start + at} {IN_WORDS[why]}", None) for at, why in failed.items()]
    store.append("staged_rejects", pl.DataFrame(rejects, schema=REJECT_SCHEMA, orient="row"))
    return len(failed)


def _write_new(store: Store, made: FeatureSet, rows: NDArray[np.float32], digests: list[str | None], seen: set[str]) -> None:
    new: dict[str, int] = {}
    for at, digest in enumerate(digests):
        if digest and digest not in seen:
            seen.add(digest)
            new[digest] = at
    if new:
        vectors = pl.Series("vector", rows[list(new.values())], dtype=pl.Array(pl.Float32, rows.shape[1]))
        feature_sets.append_vectors(store, made, pl.DataFrame({"content_sha256": list(new), "vector": vectors}))


def _failures(rows: NDArray[np.float32]) -> dict[int, RejectReason]:
    broken = np.asarray(~np.isfinite(rows).all(axis=1))  # (chunk,)
    zero = np.asarray(~rows.any(axis=1))  # (chunk,)
    return {int(at): RejectReason.NOT_FINITE if broken[at] else RejectReason.ALL_ZERO for at in np.flatnonzero(broken | zero)}


def _asset_reason(file: VectorFile, why: RejectReason | None) -> str | None:
    return f"its row in {file.label} {IN_WORDS[why]}" if why else None
