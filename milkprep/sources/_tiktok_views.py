"""Views of the ICME 2019 short-video challenge: tab separated, no header, twelve whole numbers a line.

`creat_time` is when the video was made, not when it was seen: these files have no time of interaction.
"""

import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from milkprep.pull.lines import Block, first_lines
from milkprep.pull.staging import REFUSALS, LineError, LineShape, RawFile
from schemas.contracts import RejectReason
from schemas.errors import SourceError

Positive = Literal["finish", "like"]
COLUMNS = (
    "uid", "user_city", "item_id", "author_id", "item_city", "channel", "finish", "like", "music_id", "device", "creat_time", "video_duration",
)  # fmt: skip
ROWS = ("user_id", "item_id", "positive")
WHOLE = re.compile(rb"-?[0-9]{1,19}")
INT64 = 2**63
LINES_LOOKED_AT = 100

View = tuple[int, ...]


def shape_of(raw: RawFile, *, positive: Positive) -> LineShape[View]:
    """What the lines of the interactions mean.

    Args:
        raw: the file.
        positive: a view is an interaction where this column is 1.

    Raises:
        SourceError: if none of its first lines is a view.
    """
    refusals = []
    for line in first_lines(raw.path, n=LINES_LOOKED_AT):
        try:
            _vet([_decode(line)])
            break
        except REFUSALS as error:
            refusals.append(error)
    else:
        raise SourceError(
            f"{raw.path} is another kind of file; line 1 is refused: {refusals[0]}. "
            f"Needed are {len(COLUMNS)} whole numbers separated by tabs, without a header: {', '.join(COLUMNS)}."
        )
    return LineShape("views", _decode, _vet, lambda views: _rows(np.array(views, dtype=np.int64), positive), block=_block_reader(positive))


def _decode(line: bytes) -> View:
    fields = line.removesuffix(b"\r").split(b"\t")
    if len(fields) != len(COLUMNS):
        raise LineError(RejectReason.MALFORMED, f"{len(fields)} tab-separated values where there should be {len(COLUMNS)}")
    for field, name in zip(fields, COLUMNS, strict=True):
        if not WHOLE.fullmatch(field) or not -INT64 <= int(field) < INT64:
            raise LineError(RejectReason.WRONG_TYPE, f"{name} {field[:20].decode('utf-8', 'replace')!r} is no whole number")
    return tuple(map(int, fields))


def _vet(records: list[View]) -> None:
    values = np.array(records, dtype=np.int64).reshape(-1, len(COLUMNS))  # (n, 12)
    for name, rule, sound in _rules(values):
        if not sound.all():
            raise LineError(RejectReason.WRONG_TYPE, f"{name} is {values[int(np.argmin(sound)), COLUMNS.index(name)]}, but must be {rule}")


def _rules(values: NDArray[np.int64]) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Column, rule in words, and where it holds."""
    column = dict(zip(COLUMNS, values.T, strict=True))
    ids = [(name, "0 or more", column[name] >= 0) for name in ("uid", "item_id")]
    return ids + [(name, "0 or 1", np.isin(column[name], (0, 1))) for name in ("finish", "like")]


def _rows(values: NDArray[np.int64], positive: Positive) -> pl.DataFrame:
    picked = values[:, [COLUMNS.index(name) for name in ("uid", "item_id", positive)]]  # (n, 3)
    return pl.DataFrame(picked, schema=dict.fromkeys(ROWS, pl.Int64), orient="row").with_columns(pl.col("positive") == 1)


def _block_reader(positive: Positive) -> Callable[[Block], pl.DataFrame | None]:
    """All views of a block at once, where every line of it is sound and holds nothing but digits, signs and tabs."""
    read = arrow_csv.ReadOptions(column_names=COLUMNS, use_threads=False)
    parse = arrow_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False)
    convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.int64()), null_values=[])

    def rows(block: Block) -> pl.DataFrame | None:
        if block.too_long or block.data.translate(None, b"0123456789-\t\r\n") or block.data.count(b"\r") != block.data.count(b"\r\n"):
            return None
        try:
            table = arrow_csv.read_csv(pa.py_buffer(block.data), read_options=read, parse_options=parse, convert_options=convert)
        except pa.ArrowInvalid:
            return None
        values = np.column_stack([table[name].to_numpy() for name in COLUMNS])  # (n, 12)
        sound = len(values) == block.n_lines and all(holds.all() for _, _, holds in _rules(values))
        return _rows(values, positive) if sound else None

    return rows
