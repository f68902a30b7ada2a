"""CSV and TSV files as rows with honest line numbers, in blocks, with bounded memory.

Promises: every line of the file is in a row or a refusal, in order; a row that quotes line ends is numbered by its first line;
a quote that never closes costs its own line, not those that follow. Blocks whose quotes are plain are parsed whole by Arrow,
others row by row; both read the same. Quoting is that of RFC 4180, for tabs too.
"""

import csv
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from milkprep.pull.lines import BYTE_ORDER_MARK, LINE_END, LINE_LIMIT, Block, read_blocks
from milkprep.pull.staging import BLANK
from schemas.contracts import RejectReason
from schemas.errors import SourceError

#: A row goes over no more lines and bytes than this beyond its first line; more means that a quote was never closed.
ROW_LINES, ROW_BYTES = 10_000, 1 << 20
OPEN_QUOTE = "a quote is opened and not closed"

#: Column that holds line numbers; names of columns are stripped, so no file has one of that name.
LINE = " line"
BLANK_LINES = (b"\n\n", b"\n\r\n")

Line = tuple[int, bytes, bool]


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no row: its number, why, and its text where there is one."""

    line: int
    reason: RejectReason
    detail: str
    text: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a table.

    Args:
        frame: line numbers (Int64) in the column `LINE`, and the columns that were asked for.
        refused: lines among them that are no rows.
        bytes_read: how much of the file has been read so far.
    """

    frame: pl.DataFrame
    refused: Sequence[Refused]
    bytes_read: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a delimited file are cut.

    Args:
        separator: one character.
        columns: names of the values of a line, in order.
        header_lines: lines at the start that name the columns.
        last_takes_rest: separators in the last column need no quotes.
    """

    separator: str
    columns: tuple[str, ...]
    header_lines: int = 1
    last_takes_rest: bool = False


def header_of(path: Path, *, separator: str, unique: bool = True) -> tuple[list[str], int]:
    """The values of the first row, and the number of lines it takes.

    Args:
        path: plain or gzipped text.
        separator: one character.
        unique: whether the row is surely a header, so that a repeated name is an error.

    Raises:
        SourceError: if it cannot be read, or names a column twice.
    """
    with closing(read_blocks(path)) as blocks:
        lines = _lines_of(next(blocks))
    fields, n_lines = _row(lines, 0, separator=separator, last=True)
    if isinstance(fields, Refused):
        raise SourceError(f"The first line of {path} cannot be read: {fields.detail}. It has to name the columns.")
    names = [name.strip() for name in fields]
    if unique and (repeated := [name for name, n in Counter(names).items() if n > 1]):
        raise SourceError(f"{path} has more than one column {repeated[0]!r}. Rename or drop all but one.")
    return names, n_lines


def rows(path: Path, layout: Layout, *, columns: Sequence[str]) -> Generator[Rows]:
    """All rows of a file below its header.

    Args:
        path: plain or gzipped text.
        layout: how its lines are cut.
        columns: those of the layout that are wanted.

    Raises:
        SourceError: as `read_blocks` does.
    """
    pending: list[Line] = []
    done = 0
    with closing(read_blocks(path)) as blocks:
        for block in blocks:
            done = block.bytes_read
            if not pending and (frame := _whole(block, layout, columns)) is not None:
                yield Rows(frame, (), done)
                continue
            skipped = max(0, layout.header_lines + 1 - block.first_line)
            found, pending = _one_by_one([*pending, *_lines_of(block)[skipped:]], layout, columns, bytes_read=done, last=False)
            yield found
    if pending:
        yield _one_by_one(pending, layout, columns, bytes_read=done, last=True)[0]


def _lines_of(block: Block) -> list[Line]:
    return [(number, line.removesuffix(b"\r"), number in block.too_long) for number, line in enumerate(block.lines, block.first_line)]


def _whole(block: Block, layout: Layout, columns: Sequence[str]) -> pl.DataFrame | None:
    """A block of plain rows at once; None where a line of it has to be looked at by itself."""
    skipped = min(block.n_lines, max(0, layout.header_lines + 1 - block.first_line))
    data = block.data[block.offsets[skipped] :] if skipped else block.data
    if not data or block.too_long or len(layout.columns) < 2 or data.startswith(BYTE_ORDER_MARK):
        return None
    if any(blank in data for blank in BLANK_LINES) or data.startswith((b"\n", b"\r\n")):  # Arrow takes one for a row of empty values
        return None
    quoted = b'"' in data
    if quoted and not _plainly_quoted(data, layout.separator):
        return None
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(column_names=list(layout.columns), block_size=len(data), use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=layout.separator, quote_char='"' if quoted else False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(layout.columns, pa.large_string()), include_columns=list(columns), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:  # a row of other length, or bytes that are no text
        return None
    if table.num_rows != block.n_lines - skipped:  # a lone carriage return
        return None
    first = block.first_line + skipped
    return pl.DataFrame(pl.from_arrow(table)).insert_column(0, pl.int_range(first, first + table.num_rows, dtype=pl.Int64, eager=True).alias(LINE))


def _plainly_quoted(data: bytes, separator: str) -> bool:
    """Whether every quote opens or closes a whole value of one line, so that no reader could see it otherwise."""
    text = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    opening, closing = quotes[0::2], quotes[1::2]
    if len(opening) != len(closing):
        return False
    before, after = text[opening - 1], text[closing + 1]  # a block ends in a line end, which also stands before its first byte
    of_one_line = np.searchsorted(ends := np.flatnonzero(text == LINE_END), opening) == np.searchsorted(ends, closing)
    return bool(
        np.isin(before, [ord(separator), LINE_END]).all() and np.isin(after, [ord(separator), LINE_END, ord("\r")]).all() and of_one_line.all()
    )


def _one_by_one(lines: list[Line], layout: Layout, columns: Sequence[str], *, bytes_read: int, last: bool) -> tuple[Rows, list[Line]]:
    """Rows of these lines, and the lines at their end that may begin a row which goes on."""
    numbers: list[int] = []
    taken: list[list[str]] = []
    refused: list[Refused] = []
    at, width, rest = 0, len(layout.columns), layout.last_takes_rest
    while at < len(lines):
        fields, n_lines = _row(lines, at, separator=layout.separator, last=last, width=width if rest else None)
        if not n_lines:
            break
        if not isinstance(fields, Refused) and len(fields) != width:
            fields = Refused(lines[at][0], RejectReason.MALFORMED, f"{len(fields)} values where the header has {width}", lines[at][1])
            n_lines = 1  # what follows may be rows, swallowed by a stray quote
        if isinstance(fields, Refused):
            refused.append(fields)
        else:
            numbers.append(lines[at][0])
            taken.append(fields)
        at += n_lines
    by_column = list(zip(*taken, strict=True)) if taken else [()] * width
    values = {name: by_column[layout.columns.index(name)] for name in columns}
    frame = pl.DataFrame({LINE: numbers, **values}, schema={LINE: pl.Int64, **dict.fromkeys(columns, pl.String)})
    return Rows(frame, refused, bytes_read), lines[at:]


def _row(lines: list[Line], at: int, *, separator: str, last: bool, width: int | None = None) -> tuple[list[str] | Refused, int]:
    """The row that begins with a line, and the number of lines it takes; 0 where more of them are needed to tell.

    `width`: of the row, where its last value takes whatever follows.
    """
    number, start, too_long = lines[at]
    if too_long:
        return Refused(number, RejectReason.LINE_TOO_LONG, f"longer than {LINE_LIMIT >> 20} MiB", start), 1
    try:
        text = start.decode()
        if not text.strip():
            return Refused(number, RejectReason.MALFORMED, BLANK, start), 1
        if '"' not in text:
            return text.split(separator, width - 1 if width else -1), 1
        fields, n_lines = _quoted(lines, at, separator=separator, last=last)
        if width and n_lines and (fields is None or len(fields) != width):
            return text.split(separator, width - 1), 1
        return (fields, n_lines) if fields is not None else (Refused(number, RejectReason.MALFORMED, OPEN_QUOTE, start), n_lines)
    except UnicodeDecodeError as error:
        return Refused(number, RejectReason.NOT_UTF8, f"byte {error.start + 1} is not UTF-8", start), 1
    except csv.Error as error:
        if width:
            return text.split(separator, width - 1), 1
        return Refused(number, RejectReason.MALFORMED, f"{error}; a value with quotes in it has to be quoted, and its quotes doubled", start), 1


def _quoted(lines: list[Line], at: int, *, separator: str, last: bool) -> tuple[list[str] | None, int]:
    """A row with quotes in it, and the lines it takes; no row where a quote is left open, and 0 lines where more may close it."""
    used = 0

    def following() -> Iterator[str]:
        nonlocal used
        n_bytes = 0
        for place in range(at, min(len(lines), at + ROW_LINES)):
            _, line, too_long = lines[place]
            n_bytes += len(line) if used else 0
            if too_long or n_bytes > ROW_BYTES:
                return
            try:
                text = line.decode()
            except UnicodeDecodeError:
                return  # refused by itself, later
            used += 1
            yield text + "\n"

    csv.field_size_limit(min(2 * LINE_LIMIT, sys.maxsize))  # the module has one limit for all readers; its own is shorter than real descriptions
    try:
        fields = next(csv.reader(following(), delimiter=separator, strict=True))
    except csv.Error as error:
        if "unexpected end of data" not in str(error):
            raise
        return None, 0 if at + used == len(lines) and used < ROW_LINES and not last else 1
    return fields, used
