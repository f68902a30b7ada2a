"""Raw lines into temporary tables: each line becomes a row, or a row of `staged_rejects` that says why not.

Promises: nothing of a file is held beyond one batch; no line is lost, lines read = rows + rejects; a line that cannot be
understood never stops the file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import polars as pl

from milkprep.lines import LINE_LIMIT, Block, read_blocks
from schemas.contracts import RejectReason
from schemas.reporting import Reporter
from schemas.store import Store

BATCH_ROWS = 50_000
BATCH_BYTES = 32 << 20
TEXT_START_CHARACTERS = 120
REJECT_SCHEMA = {"source": pl.String, "line": pl.Int64, "reason": pl.String, "detail": pl.String, "text_start": pl.String}

Record = TypeVar("Record")


class LineError(Exception):
    """A line that was understood but cannot be taken: a verdict for `rejects`, never shown as an error."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of lines and the name its rejects go by.

    Args:
        path: where it lies.
        label: the value of `rejects.source`.
    """

    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class LineShape(Generic[Record]):
    """How the lines of one kind of file become rows.

    Args:
        table: the temporary table they go to; it has the columns `line` and `digest` besides the frame's own.
        decode: one line to one record; raises `LineError`, `msgspec.DecodeError` or `msgspec.ValidationError`.
        frame: records to rows, in order.
    """

    table: str
    decode: Callable[[bytes], Record]
    frame: Callable[[list[Record]], pl.DataFrame]


class Rejects:
    """Refused lines of one file on their way to `staged_rejects`."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._rows: list[tuple[str, int, str, str, str | None]] = []

    def add(self, line: int, reason: RejectReason, detail: str, text: bytes | None = None) -> None:
        """Note one refused line, with the start of its text where there is one."""
        start = None if text is None else text[: 4 * TEXT_START_CHARACTERS].decode("utf-8", "replace")[:TEXT_START_CHARACTERS]
        self._rows.append((self._source, line, reason.value, detail, start))
        if len(self._rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what has been noted."""
        if self._rows:
            self._store.append("staged_rejects", pl.DataFrame(self._rows, schema=REJECT_SCHEMA, orient="row"))
            self._rows = []


@dataclass(slots=True)
class _Batch(Generic[Record]):
    store: Store
    shape: LineShape[Record]
    numbers: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    size: int = 0

    def flush(self) -> None:
        if not self.records:
            return
        frame = self.shape.frame(self.records).with_columns(
            pl.Series("line", self.numbers, dtype=pl.Int64), pl.Series("digest", self.digests, dtype=pl.Int64)
        )
        self.store.append(self.shape.table, frame)
        self.numbers, self.digests, self.records, self.size = [], [], [], 0


def stage_lines(store: Store, raw: RawFile, shape: LineShape[Record], *, reporter: Reporter) -> int:
    """Read a file into its temporary table.

    Args:
        store: open for writing, with the temporary tables made.
        raw: the file.
        shape: what its lines mean.
        reporter: told the bytes of the file that were read.

    Returns:
        The number of lines read, blank ones included.

    Raises:
        SourceError: if the file is empty, damaged or cut short.
    """
    batch, rejects, n_lines, done = _Batch(store, shape), Rejects(store, raw.label), 0, 0
    with reporter.progress(f"reading {raw.label}", total=raw.path.stat().st_size, unit="bytes") as progress:
        for block in read_blocks(raw.path):
            _stage_block(block, batch, rejects)
            n_lines += len(block.lines)
            progress.advance(block.bytes_read - done)
            progress.note(f"{n_lines:,} lines")
            done = block.bytes_read
    batch.flush()
    rejects.flush()
    return n_lines


def _stage_block(block: Block, batch: _Batch[Record], rejects: Rejects) -> None:
    for number, line in enumerate(block.lines, block.first_line):
        if number in block.too_long:
            rejects.add(number, RejectReason.LINE_TOO_LONG, f"longer than {LINE_LIMIT >> 20} MiB", line)
            continue
        try:
            if not line.isascii():
                line.decode()
            record = batch.shape.decode(line)
        except (LineError, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
            rejects.add(number, *_verdict(line, error), line)
            continue
        batch.numbers.append(number)
        # Told apart only among lines of the same pair or item within this run: the built-in hash is enough for that.
        batch.digests.append(hash(line))
        batch.records.append(record)
        batch.size += len(line)
        if batch.size >= BATCH_BYTES or len(batch.records) >= BATCH_ROWS:
            batch.flush()


def _verdict(line: bytes, error: Exception) -> tuple[RejectReason, str]:
    if isinstance(error, LineError):
        return error.reason, str(error)
    if isinstance(error, UnicodeDecodeError):
        return RejectReason.NOT_UTF8, f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, RecursionError):
        return RejectReason.MALFORMED, "nested too deeply"
    if not line.strip():
        return RejectReason.MALFORMED, "blank line"
    return (RejectReason.WRONG_TYPE if isinstance(error, msgspec.ValidationError) else RejectReason.MALFORMED), str(error)
