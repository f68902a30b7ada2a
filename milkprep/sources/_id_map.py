"""Two-column tables of dense ids and the source's own keys: `asin itemID`, `user_id userID`, as MMRec's preparation writes them."""

from pathlib import Path

import polars as pl

from milkprep.sources._inter import LARGEST_ID
from schemas.errors import SourceError

SHOWN = 5


def read(path: Path, *, id_column: str, number: str, key: str) -> pl.DataFrame:
    """The table, checked: ids from 0 without gaps, keys that are not empty, each once.

    Args:
        path: separated by tabs or commas, with a header; whichever its first line has more of.
        id_column: the column of ids; the other one holds the keys.
        number: how the column of ids is called in the frame.
        key: how the column of keys is.

    Returns:
        Frame with the columns `number` (Int32) and `key` (String), by id.

    Raises:
        SourceError: if it is no such table.
    """
    table = _table(path)
    others = [name for name in table.columns if name != id_column]
    if id_column not in table.columns or len(others) != 1:
        raise SourceError(f"{path} has the columns {', '.join(table.columns[:SHOWN])}. Needed are {id_column} and one column of keys.")
    ids = table[id_column].str.strip_chars().cast(pl.Int64, strict=False)
    frame = pl.DataFrame({number: ids, key: table[others[0]].str.strip_chars()})
    wrong = frame.filter(pl.col(number).is_null() | ~pl.col(number).is_between(0, LARGEST_ID) | (pl.col(key).fill_null("") == ""))
    if wrong.height:
        raise SourceError(f"{path} has {wrong.height} rows without a whole number from 0 as {id_column}, or without a key. Check the file.")
    for column in (number, key):
        repeated = frame.filter(pl.col(column).is_duplicated())
        if repeated.height:
            raise SourceError(f"{path} has {column.replace('_', ' ')} {repeated[column][0]!r} {repeated.height} times. Each must be there once.")
    return frame.sort(number).cast({number: pl.Int32})


def _table(path: Path) -> pl.DataFrame:
    try:
        with path.open("rb") as stream:
            header = stream.readline(1 << 16)
        separator = "\t" if header.count(b"\t") >= header.count(b",") else ","
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path} cannot be read as a table of ids and keys: {error}") from error
