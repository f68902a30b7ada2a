"""Whole blocks of JSON lines into columns at once, where nothing in them is out of the ordinary.

Promises: a block is read wholly or not at all (None); what is read of a line does not depend on its neighbours, so the caller can
find the lines that stand in the way by giving each as a block of its own. Arrow's parser is strict about types and repeated keys; in
fields nobody reads it lets numbers pass that JSON does not know (NaN), which harms nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as arrow_json

from milkprep.pull.lines import Block

KINDS = {"text": pa.string(), "texts": pa.list_(pa.string()), "whole": pa.int64(), "number": pa.float64()}
TYPES = {"text": pl.String(), "texts": pl.List(pl.String), "whole": pl.Int64(), "number": pl.Float32()}
OPENING, CLOSING = ord("{"), ord("}")


@dataclass(frozen=True, slots=True)
class JsonField:
    """A field of every record of a file.

    Args:
        name: its key.
        kind: `text`, `texts` (a list of them), `whole` (a whole number) or `number`; null and absent are missing values of each.
        required: whether a record without it, or with an empty text, is refused.
        within: the smallest and the largest number taken.
        parts: of `texts`, where each element is a record: the fields of it that may hold the text, the best first.
    """

    name: str
    kind: Literal["text", "texts", "whole", "number"]
    required: bool = False
    within: tuple[float, float] | None = None
    parts: tuple[str, ...] = ()


def reader(columns: Mapping[str, JsonField]) -> Callable[[Block], pl.DataFrame | None]:
    """A function that reads the blocks of a file.

    Args:
        columns: name of each column of the frame, and the field it comes from.

    Returns:
        Block to frame, one row a line in order; None where some line of the block has to be looked at by itself.
    """
    schema = pa.schema([(field.name, _arrow_type(field)) for field in columns.values()])
    wanted = [_expression(field).cast(TYPES[field.kind]).alias(column) for column, field in columns.items()]
    parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def read(block: Block) -> pl.DataFrame | None:
        if not _one_object_a_line(block):
            return None
        try:
            if not block.data.isascii():
                block.data.decode()
            whole = arrow_json.ReadOptions(use_threads=False, block_size=len(block.data) + 1)  # the caller has a thread a block
            table = arrow_json.read_json(pa.py_buffer(block.data), parse_options=parse, read_options=whole)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            return None
        frame = pl.DataFrame(pl.from_arrow(table)).select(wanted)
        taken = frame.height == block.n_lines and all(_taken(frame[column], field) for column, field in columns.items())
        return frame if taken else None

    return read


def some_text(text: pl.Expr) -> pl.Expr:
    """Whether a text has anything but white space in it; false where it is missing."""
    return text.str.contains(r"[^\s\p{Z}]").fill_null(False)


def _arrow_type(field: JsonField) -> pa.DataType:
    return pa.list_(pa.struct([(part, pa.string()) for part in field.parts])) if field.parts else KINDS[field.kind]


def _expression(field: JsonField) -> pl.Expr:
    if not field.parts:
        return pl.col(field.name)
    parts = [pl.element().struct.field(part) for part in field.parts]
    return pl.col(field.name).list.eval(pl.coalesce(pl.when(some_text(part)).then(part) for part in parts).drop_nulls())


def _one_object_a_line(block: Block) -> bool:
    """Whether each line begins and ends as an object does.

    With as many objects as lines, each line then holds exactly one: between the end of a line and the start of the next an
    object can only be over, for inside of one a closing bracket is never followed by an opening one.
    """
    if block.too_long:
        return False
    text, offsets = np.frombuffer(block.data, dtype=np.uint8), block.offsets
    return bool(np.diff(offsets).min() > len("{}") and (text[offsets[:-1]] == OPENING).all() and (text[offsets[1:] - 2] == CLOSING).all())


def _taken(values: pl.Series, field: JsonField) -> bool:
    if field.required and (values.null_count() or (values == "").any()):
        return False
    if field.kind == "number" and not values.is_finite().all():
        return False
    if field.within is None:
        return True
    low, high = values.min(), values.max()
    if low is None:
        return True
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    return field.within[0] <= low and high <= field.within[1]
