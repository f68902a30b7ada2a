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

from milkprep.pull import parallel_blocks
from milkprep.pull.lines import LINE_LIMIT, Block, block_of, read_blocks
from milkprep.pull.parallel_blocks import BlockReader, digests, rows_of
from schemas.contracts import RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

BATCH_ROWS = 50_000
BATCH_BYTES = 32 << 20
#: Once so many lines are refused, and they are nearly all, the rest of the file is not read.
HOPELESS_LINES, HOPELESS_SHARE = 1_000_000, 0.99
TEXT_START_CHARACTERS = 120
BLANK = "blank line"
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
        block: all lines of a block to rows at once, in order; None from it where one of them has to be looked at by itself.
            A line that either way can read is taken, and both read the same from it.
    """

    table: str
    decode: Callable[[bytes], Record]
    vet: Callable[[list[Record]], None]
    frame: Callable[[list[Record]], pl.DataFrame]
    block: BlockReader | None = None


class Rejects:
    """Refused lines of one file on their way to `staged_rejects`: `n` so far, `latest` being why the last one was."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._rows: list[tuple[str, int, str, str, str | None]] = []
        self.n = 0
        self.latest = ""

    def add(self, line: int, reason: RejectReason, detail: str, text: bytes | None = None) -> None:
        """Note one refused line, with the start of its text where there is one."""
        start = None if text is None else text[: 4 * TEXT_START_CHARACTERS].decode("utf-8", "replace")[:TEXT_START_CHARACTERS]
        self._rows.append((self._source, line, reason.value, detail, start))
        self.n += 1
        self.latest = detail
        if len(self._rows) >= BATCH_ROWS:
            self.flush()

    def add_empty(self, lines: list[bytes], first: int) -> frozenset[int]:
        """Note the empty ones among consecutive lines at once: a file may hold millions.

        Returns:
            Their numbers; `first` is that of the first line.
        """
        numbers = [number for number, line in enumerate(lines, first) if not line]
        if numbers:
            words = {"source": self._source, "reason": RejectReason.MALFORMED.value, "detail": BLANK, "text_start": ""}
            frame = pl.DataFrame({"line": numbers}, schema={"line": pl.Int64}).with_columns(pl.lit(text).alias(name) for name, text in words.items())
            self._store.append("staged_rejects", frame.select(list(REJECT_SCHEMA)))
            self.n += len(numbers)
            self.latest = words["detail"]
        return frozenset(numbers)

    def flush(self) -> None:
        """Write what has been noted."""
        if self._rows:
            self._store.append("staged_rejects", pl.DataFrame(self._rows, schema=REJECT_SCHEMA, orient="row"))
            self._rows = []


@dataclass(slots=True)
class _Batch(Generic[Record]):
    """Rows of one file on their way to its table, whole blocks and single lines."""

    store: Store
    shape: LineShape[Record]
    frames: list[pl.DataFrame] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    n_bytes: int = 0

    def extend(self, numbers: Iterable[int], lines: list[bytes], records: list[Record]) -> None:
        self.numbers.extend(numbers)
        self.lines.extend(lines)
        self.records.extend(records)
        self._count(sum(map(len, lines)))

    def take(self, rows: pl.DataFrame) -> None:
        self.frames.append(rows)
        self._count(int(rows.estimated_size()))

    def flush(self) -> None:
        if self.records:
            lines = pl.Series(self.lines, dtype=pl.Binary) + pl.Series([b"\n"])
            self.frames.append(self.shape.frame(self.records).with_columns(pl.Series("line", self.numbers, dtype=pl.Int64), digests(lines)))
        if self.frames:
            self.store.append(self.shape.table, pl.concat(self.frames))
        self.frames, self.numbers, self.lines, self.records, self.n_bytes = [], [], [], [], 0

    def _count(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self.n_bytes >= BATCH_BYTES or len(self.records) >= BATCH_ROWS:
            self.flush()


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
        SourceError: if the file is empty, damaged or cut short, or a million lines were refused and next to none taken.
    """
    batch, rejects, n_lines, done = _Batch(store, shape), Rejects(store, raw.label), 0, 0
    with reporter.progress(f"reading {raw.label}", total=raw.path.stat().st_size, unit="bytes") as progress:
        for block, rows in parallel_blocks.read(read_blocks(raw.path), shape.block):
            if rows is not None:
                batch.take(rows)
            else:
                _stage_block(block, batch, rejects, header_lines=header_lines)
            n_lines += block.n_lines
            progress.advance(block.bytes_read - done)
            progress.note(f"{n_lines:,} lines")
            done = block.bytes_read
            refuse_hopeless(raw.path, n_lines, rejects)
    batch.flush()
    rejects.flush()
    return n_lines - header_lines


def refuse_hopeless(path: Path, n_lines: int, rejects: Rejects) -> None:
    """Give a file up once a million of its lines are refused, and next to none taken.

    Args:
        path: where it lies.
        n_lines: lines read so far.
        rejects: those of them that are refused.

    Raises:
        SourceError: if so.
    """
    if rejects.n >= HOPELESS_LINES and rejects.n > HOPELESS_SHARE * n_lines:
        raise SourceError(
            f"Of the first {n_lines:,} lines of {path} {rejects.n:,} are refused, the last of them because: {rejects.latest}. "
            "That is not the file that was meant, or it is damaged."
        )


def _stage_block(block: Block, batch: _Batch[Record], rejects: Rejects, *, header_lines: int) -> None:
    skipped = max(0, header_lines + 1 - block.first_line)
    lines, first = block.lines[skipped:], block.first_line + skipped
    if not block.too_long:
        try:
            batch.extend(range(first, first + len(lines)), lines, _decoded(lines, batch.shape))
            return
        except REFUSALS:
            pass  # one of them is refused: find out which
    empty = rejects.add_empty(lines, first)
    for number, line in enumerate(lines, first):
        if number in block.too_long:
            rejects.add(number, RejectReason.LINE_TOO_LONG, f"longer than {LINE_LIMIT >> 20} MiB", line)
        elif number not in empty:
            try:
                batch.extend([number], [line], _decoded([line], batch.shape))
            except REFUSALS as error:
                alone = block_of(line, number=number)
                if batch.shape.block and (rows := rows_of(alone, batch.shape.block)) is not None:  # taken here as among other neighbours
                    batch.take(rows)
                else:
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
    if line.isspace():
        return RejectReason.MALFORMED, BLANK
    return (RejectReason.WRONG_TYPE if isinstance(error, msgspec.ValidationError) else RejectReason.MALFORMED), str(error)
