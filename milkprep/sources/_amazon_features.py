"""Published visual features of Amazon 2014, `image_features_<Category>.b`: records of a 10-byte ASIN and 4096 little-endian float32.

The files have no header and no line ends, only records, and reach tens of gigabytes: they are read in batches. Records are numbered
from 1. Source: McAuley et al. 2015, "Image-based recommendations on styles and substitutes".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milkprep.pull import vectors
from milkprep.pull.lines import GZIP_MAGIC
from milkprep.pull.vectors import Refused, VectorRows
from schemas.contracts import Modality, RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

WIDTH = 4096
ASIN_BYTES = 10
RECORD = np.dtype([("asin", "u1", (ASIN_BYTES,)), ("vector", "<f4", (WIDTH,))])
MOST_ROWS = 4_000
#: Bounds of printable ASCII without the space, exclusive.
SPACE, DELETE = 0x20, 0x7F
EXPECTED = f"records of {RECORD.itemsize} bytes, each a {ASIN_BYTES}-byte ASIN and {WIDTH} float32"


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """A file of published visual features.

    Args:
        path: where it lies.
        label: the name it goes by in the store.
        n_records: how many it holds.
    """

    path: Path
    label: str
    n_records: int


def open_file(path: Path, *, label: str) -> FeatureFile:
    """Look whether a file is one of published features, without reading it.

    Raises:
        SourceError: if it is empty, compressed, cut short or of another kind.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(ASIN_BYTES)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}. Check the file and its permissions.") from error
    if not start:
        raise SourceError(f"{path} is empty. Download or copy it again.")
    if start.startswith(GZIP_MAGIC):
        raise SourceError(f"{path} is compressed with gzip. Unpack it first; it holds {EXPECTED}.")
    if not start.isalnum():
        raise SourceError(f"{path} does not begin with an ASIN, so it is another kind of file. Needed are {EXPECTED}.")
    if size % RECORD.itemsize:
        raise SourceError(
            f"{path} has {size} bytes, no multiple of {RECORD.itemsize}: it is cut short or another kind of file. Needed are {EXPECTED}."
        )
    return FeatureFile(path, label, size // RECORD.itemsize)


def write(store: Store, file: FeatureFile, *, sha256: str, reporter: Reporter) -> None:
    """Store the features as the current visual feature set. Call inside a transaction, after other visual assets.

    Args:
        store: open for writing, with `kept_items` (keys are ASINs) and `staged_rejects` ready.
        file: the features.
        sha256: digest of the file.
        reporter: told the records read.

    Raises:
        SourceError: if none belongs to an item that is taken, or the file changes meanwhile.
    """
    identity = vectors.imported(file.label, sha256=sha256, width=WIDTH)
    vectors.write(store, Modality.VISUAL, identity, batches=batches(file), label=file.label, reporter=reporter, total=file.n_records)


def batches(file: FeatureFile) -> Iterator[VectorRows]:
    """The records of a file in order; what names no ASIN is refused as malformed.

    Raises:
        SourceError: if the file cannot be read to its end.
    """
    n, done = vectors.batch_rows(WIDTH, most=MOST_ROWS), 0
    try:
        with file.path.open("rb") as stream:
            while len(records := np.fromfile(stream, dtype=RECORD, count=n)):
                yield _batch(records, first=done + 1)
                done += len(records)
    except OSError as error:
        raise SourceError(f"{file.path} cannot be read after record {done}: {error.strerror or error}. Check the file.") from error
    if done != file.n_records:
        raise SourceError(f"{file.path} had {file.n_records} records and now has {done}. Nothing may write to it while it is read; try again.")


def _batch(records: np.ndarray, *, first: int) -> VectorRows:
    asins = records["asin"]  # (n, 10)
    printable = np.asarray(((asins > SPACE) & (asins < DELETE)).all(axis=1))  # (n,)
    lines = np.arange(first, first + len(records))
    text = asins[printable].tobytes().decode("ascii")
    keys = [text[at : at + ASIN_BYTES] for at in range(0, len(text), ASIN_BYTES)]
    refused = [
        Refused(int(lines[at]), "", RejectReason.MALFORMED, f"its first {ASIN_BYTES} bytes are {asins[at].tobytes()!r}, which is no ASIN")
        for at in np.flatnonzero(~printable)
    ]
    return VectorRows(lines[printable].tolist(), keys, records["vector"][printable], refused)
