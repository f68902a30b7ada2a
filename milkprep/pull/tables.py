"""Tables in somebody's own columns: CSV, TSV, JSON lines (each also gzipped) and Parquet, as batches of texts with line numbers.

Promises: whatever the format, the same values come out; of each file, rows read = rows that come + refusals; memory holds a
batch. A number is its shortest text, a whole number without a point; a time is ISO 8601 in UTC; nothing is ''.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from milkprep.pull import delimited
from milkprep.pull.delimited import LINE, Layout, Refused, Rows
from milkprep.pull.lines import LINE_LIMIT, read_blocks
from milkprep.pull.staging import BLANK
from schemas.contracts import RejectReason
from schemas.errors import BadValue, SourceError

#: What separates values by the end of a name; and what else may, where that leaves the first line in one piece.
SEPARATORS = {"csv": ",", "tsv": "\t"}
OTHER_SEPARATORS = (";", "\t", ",")
FORMATS = ("csv", "tsv", "jsonl", "parquet")
SUFFIXES = (*FORMATS, *(f"{form}.gz" for form in FORMATS if form != "parquet"))
BATCH_ROWS = 50_000
RECORDS_LOOKED_AT = 100
#: What separates several values in one text.
BETWEEN = "|"
LARGEST_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Table:
    """One table, looked into but not read.

    Args:
        path: where it lies.
        label: what its rejects go by.
        form: one of `FORMATS`.
        columns: their names, in order.
        layout: how lines are cut, of a CSV or TSV file.
    """

    path: Path
    label: str
    form: str
    columns: tuple[str, ...]
    layout: Layout | None = None


def find(folder: Path, stem: str) -> Path | None:
    """The one table of a folder that is called `stem`, whatever its format; None where there is none.

    Raises:
        BadValue: if there are several, or it is no file.
    """
    known = {f"{stem}.{suffix}" for suffix in SUFFIXES}
    found = sorted(path for path in folder.iterdir() if path.name.lower() in known)
    if found and not found[0].is_file():
        raise BadValue(f"{found[0]} has the name of a table, but is no file. Put the file in its place, or take it away.")
    if len(found) > 1:
        raise BadValue(f"{folder} holds {' and '.join(path.name for path in found)}. Leave one of them there.")
    return found[0] if found else None


def format_of(path: Path) -> str:
    """Format by the name of a file.

    Raises:
        BadValue: if it is none of `FORMATS`.
    """
    form = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if form not in FORMATS:
        raise BadValue(f"{path} is in no known format. Known are {', '.join(SUFFIXES)}, by the end of the name.")
    return form


def opened(path: Path, *, label: str, headed: bool = True) -> Table:
    """Look at the columns of a table.

    Args:
        path: where it lies.
        label: what its rejects go by.
        headed: whether its first line surely names the columns, so that none is named twice.

    Raises:
        BadValue: if its name says no known format.
        SourceError: if it is empty, damaged or of another format than its name says.
    """
    form = format_of(path)
    if form == "parquet":
        with _parquet(path) as file:
            names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise SourceError(f"{path} has more than one column of one name. Rename or drop all but one.")
        return Table(path, label, form, tuple(names))
    if form == "jsonl":
        return Table(path, label, form, tuple(_keys_of(path)))
    for separator in (SEPARATORS[form], *OTHER_SEPARATORS):
        names, n_lines = delimited.header_of(path, separator=separator, unique=headed)
        if len(names) > 1:
            return Table(path, label, form, tuple(names), Layout(separator, tuple(names), header_lines=n_lines))
    names, n_lines = delimited.header_of(path, separator=SEPARATORS[form])
    return Table(path, label, form, tuple(names), Layout(SEPARATORS[form], tuple(names), header_lines=n_lines))


def read(table: Table, *, columns: Sequence[str], lists: Sequence[str] = ()) -> Generator[Rows]:
    """The rows of a table in batches.

    Args:
        table: as `opened`.
        columns: which to read; each comes as texts, '' where there is none.
        lists: those of them that come as lists of texts, without empty ones; a text is cut at `|`.

    Raises:
        SourceError: if the file is damaged, or a column holds neither texts, numbers, times nor lists of them.
    """
    batches = _json_rows(table.path, columns) if table.form == "jsonl" else _parquet_rows(table.path, columns)
    if table.layout:
        batches = delimited.rows(table.path, table.layout, columns=columns)
    with closing(batches):
        for batch in batches:
            shown = [_values(batch.frame[name], path=table.path, as_list=name in lists).alias(name) for name in columns]
            yield Rows(pl.DataFrame([batch.frame[LINE], *shown]), batch.refused, batch.bytes_read)


def _values(column: pl.Series, *, path: Path, as_list: bool) -> pl.Series:
    """A column as texts or as lists of texts."""
    if not as_list and not isinstance(column.dtype, pl.List | pl.Array):
        return _text(column, path=path)
    single = pl.DataFrame([pl.Series("row", range(len(column)), dtype=pl.Int64), column.alias("value")])
    while isinstance(single["value"].dtype, pl.List | pl.Array):
        single = single.explode("value", empty_as_null=True, keep_nulls=True)
    single = single.with_columns(_text(single["value"].alias(column.name), path=path).alias("value"))
    if as_list:
        single = single.with_columns(pl.col("value").str.split(BETWEEN)).explode("value").with_columns(pl.col("value").str.strip_chars())
    listed = single.group_by("row", maintain_order=True).agg(pl.col("value").filter(pl.col("value") != ""))["value"]
    return listed if as_list else listed.list.join("\n")


def _text(column: pl.Series, *, path: Path) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        in_utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else column
        return in_utc.dt.strftime("%Y-%m-%dT%H:%M:%S").fill_null("")
    if kind.is_float():
        whole = (column == column.floor()) & (column.abs() < LARGEST_EXACT)
        texts = pl.select(pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String)))
        return texts.to_series().fill_null("").replace("NaN", "")
    if kind == pl.Binary:
        return column.cast(pl.String, strict=False).fill_null("")
    if kind.is_nested() or kind == pl.Object:
        raise SourceError(f"{path}: column {column.name!r} is of type {kind}. Texts, numbers, times and lists of them are read.")
    return column.cast(pl.String).fill_null("")


def _keys_of(path: Path) -> list[str]:
    """Names in the first objects of a file of JSON lines, in the order they appear."""
    names: dict[str, None] = {}
    with closing(_json_lines(path)) as lines:
        for _, found, _ in islice(lines, RECORDS_LOOKED_AT):
            if not isinstance(found, Refused):
                names |= dict.fromkeys(found)
    if not names:
        raise SourceError(f'None of the first lines of {path} is a JSON object. A .jsonl file holds one object a line, e.g. {{"item": "a1"}}.')
    return list(names)


def _json_rows(path: Path, columns: Sequence[str]) -> Generator[Rows]:
    batches = _json_lines(path)
    with closing(batches):
        while batch := list(islice(batches, BATCH_ROWS)):
            refused = [found for _, found, _ in batch if isinstance(found, Refused)]
            objects = [(line, found) for line, found, _ in batch if not isinstance(found, Refused)]
            kept: list[tuple[int, list[list[str]]]] = []
            for line, values in objects:
                try:
                    kept.append((line, [_json_texts(name, values.get(name)) for name in columns]))
                except ValueError as error:
                    refused.append(Refused(line, RejectReason.WRONG_TYPE, str(error)))
            cells = list(zip(*(values for _, values in kept), strict=True)) if kept else [()] * len(columns)
            frame = pl.DataFrame([pl.Series(LINE, [line for line, _ in kept], dtype=pl.Int64)])
            series = [_joined(name, values) for name, values in zip(columns, cells, strict=True)]
            yield Rows(frame.with_columns(series), refused, batch[-1][2])


def _joined(name: str, values: Sequence[list[str]]) -> pl.Series:
    """Texts where every value is one at most, else lists of them."""
    if all(len(value) < 2 for value in values):
        return pl.Series(name, [value[0] if value else "" for value in values], dtype=pl.String)
    return pl.Series(name, values, dtype=pl.List(pl.String))


def _json_texts(name: str, value: object, *, depth: int = 2) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_EXACT:
        return [str(int(value))]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list) and depth:
        return [text for part in value for text in _json_texts(name, part, depth=depth - 1)]
    raise ValueError(f"{name} is neither a text, a number nor a list of them")


def _json_lines(path: Path) -> Generator[tuple[int, dict[str, object] | Refused, int]]:
    decoder = msgspec.json.Decoder(dict[str, object])
    with closing(read_blocks(path)) as blocks:
        for block in blocks:
            for number, line in enumerate(block.lines, block.first_line):
                yield number, _json_object(decoder, number, line, too_long=number in block.too_long), block.bytes_read


def _json_object(decoder: msgspec.json.Decoder[dict[str, object]], number: int, line: bytes, *, too_long: bool) -> dict[str, object] | Refused:
    if too_long:
        return Refused(number, RejectReason.LINE_TOO_LONG, f"longer than {LINE_LIMIT >> 20} MiB", line)
    if not line.strip():
        return Refused(number, RejectReason.MALFORMED, BLANK, line)
    try:
        line.decode()
        return decoder.decode(line)
    except UnicodeDecodeError as error:
        return Refused(number, RejectReason.NOT_UTF8, f"byte {error.start + 1} is not UTF-8", line)
    except msgspec.ValidationError:
        return Refused(number, RejectReason.WRONG_TYPE, "no JSON object", line)
    except (msgspec.DecodeError, RecursionError) as error:
        return Refused(number, RejectReason.MALFORMED, str(error), line)


def _parquet(path: Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0] if str(error) else error!r}. Write it again.") from error


def _parquet_rows(path: Path, columns: Sequence[str]) -> Generator[Rows]:
    """Rows of a Parquet file, numbered from 1."""
    n_rows, size = 0, path.stat().st_size
    with _parquet(path) as file:
        total = max(1, file.metadata.num_rows)
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                batch.validate(full=True)  # texts that are not UTF-8 would be undefined in polars
                frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]))).select(columns)
                lines = pl.int_range(n_rows + 1, n_rows + frame.height + 1, dtype=pl.Int64, eager=True).alias(LINE)
                n_rows += frame.height
                yield Rows(frame.with_columns(lines), (), size * n_rows // total)
        except (pa.ArrowException, OSError, ValueError) as error:
            place = f"after row {n_rows}" if n_rows else "from the first row on"
            raise SourceError(f"{path} is damaged: it cannot be read {place} ({error}). Write it again.") from error
