"""Raw lines into temporary tables: each line becomes a row, or a row of `staged_rejects` that says why not.

Promises: nothing of a file is held beyond one batch; no line is lost, lines read = rows + rejects; a line that cannot be
understood never stops the file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import polars as pl
import pyarrow as pa

from milkprep.pull.lines import LINE_LIMIT, Block, read_blocks
from schemas.contracts import RejectReason
from schemas.reporting import Reporter
from schemas.store import Store

BATCH_ROWS = 50_000
BATCH_BYTES = 32 << 20
TEXT_START_CHARACTERS = 120
REJECT_SCHEMA = {"source": pl.String, "line": pl.Int64, "reason": pl.String, "detail": pl.String, "text_start": pl.String}
TEXTS = pa.list_(pa.large_string())
ITEM_COLUMNS = {
    "item_key": pa.large_string(), "title": pa.large_string(), "description": pa.large_string(), "brand": pa.large_string(), "categories": TEXTS,
    "pictures": TEXTS, "title_reason": pa.large_string(), "description_reason": pa.large_string(), "picture_reason": pa.large_string(),
}  # fmt: skip

Record = TypeVar("Record")


class LineError(Exception):
    """A line that was understood but cannot be taken: a verdict for `rejects`, never shown as an error."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


#: What tells that a line is refused.
REFUSALS = (LineError, UnicodeDecodeError, msgspec.DecodeError, RecursionError)


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
        vet: raises `LineError` if one of the records cannot be taken. It sees many at a time, and each alone once one was refused.
        frame: records to rows, in order.
    """

    table: str
    decode: Callable[[bytes], Record]
    vet: Callable[[list[Record]], None]
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

    def extend(self, numbers: Iterable[int], lines: list[bytes], records: list[Record]) -> None:
        self.numbers.extend(numbers)
        # Told apart only among lines of the same pair or item within this run: the built-in hash is enough for that.
        self.digests.extend(map(hash, lines))
        self.records.extend(records)
        self.size += sum(map(len, lines))
        if self.size >= BATCH_BYTES or len(self.records) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self.records:
            return
        frame = self.shape.frame(self.records).with_columns(
            pl.Series("line", self.numbers, dtype=pl.Int64), pl.Series("digest", self.digests, dtype=pl.Int64)
        )
        self.store.append(self.shape.table, frame)
        self.numbers, self.digests, self.records, self.size = [], [], [], 0


def item_rows(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    """Rows of `staged_items`, values in the order of `ITEM_COLUMNS`. By way of Arrow, which is quick with lists of texts."""
    columns = zip(*rows, strict=True) if rows else [()] * len(ITEM_COLUMNS)
    arrays = {name: pa.array(values, type=kind) for (name, kind), values in zip(ITEM_COLUMNS.items(), columns, strict=True)}
    return pl.DataFrame(pl.from_arrow(pa.table(arrays)))


def stage_lines(store: Store, raw: RawFile, shape: LineShape[Record], *, header_lines: int = 0, reporter: Reporter) -> int:
    """Read a file into its temporary table.

    Args:
        store: open for writing, with the temporary tables made.
        raw: the file.
        shape: what its lines mean.
        header_lines: lines at the start that are no data; neither read nor refused.
        reporter: told the bytes of the file that were read.

    Returns:
        The number of lines read, blank ones included.

    Raises:
        SourceError: if the file is empty, damaged or cut short.
    """
    batch, rejects, n_lines, done = _Batch(store, shape), Rejects(store, raw.label), 0, 0
    with reporter.progress(f"reading {raw.label}", total=raw.path.stat().st_size, unit="bytes") as progress:
        for block in read_blocks(raw.path):
            _stage_block(block, batch, rejects, header_lines=header_lines)
            n_lines += len(block.lines)
            progress.advance(block.bytes_read - done)
            progress.note(f"{n_lines:,} lines")
            done = block.bytes_read
    batch.flush()
    rejects.flush()
    return n_lines - header_lines


def _stage_block(block: Block, batch: _Batch[Record], rejects: Rejects, *, header_lines: int) -> None:
    skipped = max(0, header_lines + 1 - block.first_line)
    lines, first = block.lines[skipped:], block.first_line + skipped
    if not block.too_long:
        try:
            batch.extend(range(first, first + len(lines)), lines, _decoded(lines, batch.shape))
            return
        except REFUSALS:
            pass  # one of them is refused: find out which
    for number, line in enumerate(lines, first):
        if number in block.too_long:
            rejects.add(number, RejectReason.LINE_TOO_LONG, f"longer than {LINE_LIMIT >> 20} MiB", line)
            continue
        try:
            batch.extend([number], [line], _decoded([line], batch.shape))
        except REFUSALS as error:
            rejects.add(number, *_verdict(line, error), line)


def _decoded(lines: list[bytes], shape: LineShape[Record]) -> list[Record]:
    if not all(map(bytes.isascii, lines)):
        b"\n".join(lines).decode()
    records = list(map(shape.decode, lines))
    shape.vet(records)
    return records


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
