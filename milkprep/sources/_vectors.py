"""Ready-made vectors of another project: one `.npy` file a modality, row = itemID.

Nothing is unpickled. Values become float32. A row that is all zeros stands for a missing vector in such files, and a row that is
not finite is broken: neither is stored, both are rejects, and the item's asset says why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milkprep.pull import vectors
from milkprep.pull.lines import read_blocks
from milkprep.pull.vectors import WIDEST, Refused, VectorRows
from milkprep.sources._inter import ID_DIGITS
from schemas import queries
from schemas.contracts import Modality, RejectReason
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


@dataclass(frozen=True, slots=True)
class VectorFile:
    """An open file of vectors.

    Args:
        modality: what they describe.
        label: the name it goes by in the store.
        path: where it lies.
        rows: (n_items, width) of any float type, read from disk as needed.
        missing: a list of items whose rows are no vectors, and its name.
    """

    modality: Modality
    label: str
    path: Path
    rows: NDArray[np.floating]
    missing: tuple[frozenset[int], str] = (frozenset(), "")


def open_file(path: Path, *, modality: Modality, label: str, missing: Path | None = None) -> VectorFile:
    """Open a file without reading its values.

    Args:
        path: the file.
        modality: what it describes.
        label: the name it goes by.
        missing: a list of item ids, one a line, whose rows only fill their places.

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
    return VectorFile(modality, label, path, rows, missing=(_listed(missing), missing.name) if missing else (frozenset(), ""))


def _listed(path: Path) -> frozenset[int]:
    """Item ids of a text file, one a line."""
    found = set()
    for block in read_blocks(path):
        for number, line in enumerate(block.lines, block.first_line):
            text = line.strip()
            if not text:
                continue
            if not text.isdigit() or len(text) > ID_DIGITS:
                raise SourceError(
                    f"{path}, line {number}: {text[:20].decode('utf-8', 'replace')!r} is no item id. Needed is a text file with one whole number "
                    "a line; load a pickled list where you trust it, and write its ids so."
                )
            found.add(int(text))
    return frozenset(found)


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
        store: open for writing, with `staged_rejects` and `kept_items` ready; row = item_idx, and every item has a row.
        file: the vectors.
        sha256: digest of the file.
        reporter: told the rows written.

    Raises:
        SourceError: if no row can be used.
    """
    identity = vectors.imported(file.label, sha256=sha256, width=file.rows.shape[1])
    batches = _batches(store, file)
    vectors.write(store, file.modality, identity, batches=batches, label=file.label, reporter=reporter, total=len(file.rows))


def _batches(store: Store, file: VectorFile) -> Iterator[VectorRows]:
    keys_in_order = queries.load("milkprep.sql", "vectors.sql")["keys_in_order"]
    n = vectors.batch_rows(file.rows.shape[1], most=CHUNK_ROWS)
    for start in range(0, len(file.rows), n):
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and then a reject
            rows = np.ascontiguousarray(file.rows[start : start + n], dtype="<f4")  # (chunk, width)
        keys = store.query(keys_in_order, first=start, n=n)["item_key"].to_list()
        listed, name = file.missing
        gone = [at for at in range(len(rows)) if start + at in listed]
        refused = [Refused(start + at + 1, keys[at], RejectReason.LISTED_MISSING, f"is listed as missing in {name}") for at in gone]
        left = [at for at in range(len(rows)) if start + at not in listed] if gone else range(len(rows))
        yield VectorRows([start + at + 1 for at in left], [keys[at] for at in left], rows[left] if gone else rows, refused)
