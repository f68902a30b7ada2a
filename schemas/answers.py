"""Answers to a user's question, for programs: as a file that is complete or not there, or on stdout."""

import io
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from schemas.errors import BadValue, QueryError

if TYPE_CHECKING:  # polars takes a third of a second to import, and --help needs none of it
    import polars as pl


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def write(answer: "pl.DataFrame", fmt: Format, *, out: Path | None, stdout: BinaryIO) -> None:
    """Write an answer for programs.

    Args:
        answer: the rows.
        fmt: any but `table`.
        out: the file; None writes to `stdout`.
        stdout: gets all of it or, if it cannot be written, nothing.

    Raises:
        BadValue: if the format is for people.
        QueryError: if the format cannot hold a column.
    """
    import polars as pl

    if fmt is Format.TABLE:
        raise BadValue("--out takes a file for programs: add --format csv, json or parquet.")
    partial = out.with_name(f".{out.name}.partial") if out else None
    target = partial or io.BytesIO()
    try:
        if fmt is Format.CSV:
            answer.write_csv(target)
        elif fmt is Format.PARQUET:
            answer.write_parquet(target)
        else:
            answer.write_json(target)
        if isinstance(target, io.BytesIO):
            stdout.write(target.getbuffer())
        elif out:
            target.replace(out)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise QueryError(f"{fmt} cannot hold a column of this answer: {error} Cast it, or take another --format.") from error
    finally:
        if partial:
            partial.unlink(missing_ok=True)


def rows(answer: "pl.DataFrame") -> Iterator[tuple[object, ...]]:
    """The rows as Python values.

    Raises:
        QueryError: if Python has no value for one, e.g. for a time without end.
    """
    import polars as pl

    try:
        yield from answer.iter_rows()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OverflowError) as error:
        raise QueryError(f"A value cannot be shown: {error}. Cast its column, e.g. to VARCHAR.") from error
