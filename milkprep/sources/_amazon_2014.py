"""Lines of the Amazon 2014 release: metadata as Python literals, one dict a line, keys left out where nothing is known.

Some mirrors hold the metadata as strict JSON; such lines are read too. Reviews are those of the 2018 release, but for fields that
nobody reads here. `related` and `salesRank`, most of a line, are not decoded.
"""

from collections.abc import Collection
from functools import partial

import msgspec
import polars as pl
import pyarrow as pa

from milkprep.pull import item_blocks
from milkprep.pull.lines import Block
from milkprep.pull.staging import REFUSALS, TEXTS, LineShape
from milkprep.sources import _python_literals
from milkprep.sources._amazon_2018 import REVIEWS
from milkprep.sources._amazon_rows import Texts, require_keys, texts

__all__ = ["REVIEWS", "Metadata", "metadata_shape"]


class Metadata(msgspec.Struct, gc=False):
    """What is read of an item."""

    asin: str | None = None
    title: str | None = None
    description: Texts = None
    brand: str | None = None
    categories: list[Texts] | None = None
    imUrl: str | None = None  # noqa: N815 - the name in the files


TEXT = pa.large_string()
_decode_json = msgspec.json.Decoder(Metadata).decode


def _decode(line: bytes) -> Metadata:
    return _decode_json(line if line.lstrip().startswith(b'{"') else _python_literals.to_json(line))


def _vet(items: list[Metadata]) -> None:
    require_keys(items, "asin")


def _block(block: Block, wanted: Collection[str] | None) -> pl.DataFrame | None:
    """A whole block, beside which the main thread can store the one before."""
    if block.too_long:
        return None
    try:
        if not block.data.isascii():
            block.data.decode()
        items = list(map(_decode, block.lines))
        _vet(items)
    except REFUSALS:
        return None  # one of the lines is refused: the caller finds out which
    return _rows(items, wanted)


def _rows(items: list[Metadata], wanted: Collection[str] | None) -> pl.DataFrame:
    taken = [item if wanted is None or item.asin in wanted else Metadata() for item in items]
    raw = pa.table({
        "item_key": pa.array([item.asin for item in items], type=TEXT), "title": pa.array([item.title for item in taken], type=TEXT),
        "brand": pa.array([item.brand for item in taken], type=TEXT),
        "description": pa.array([texts(item.description) for item in taken], type=TEXTS),
        "categories": pa.array([_flat(item.categories) for item in taken], type=TEXTS),
        "pictures_0": pa.array([texts(item.imUrl) for item in taken], type=TEXTS),
    })  # fmt: skip
    rows = item_blocks.staged(pl.DataFrame(pl.from_arrow(raw)), wanted=wanted)
    return rows.with_columns(pl.col("categories").list.unique(maintain_order=True))


def _flat(paths: list[Texts] | None) -> list[str]:
    """Paths through the tree of categories, which share their beginnings, as one list."""
    return [name for path in paths or [] for name in texts(path)]


def metadata_shape(*, wanted: Collection[str] | None) -> LineShape[Metadata]:
    """Metadata lines as rows of `staged_items`.

    Args:
        wanted: keys of the items that will be kept: only their texts are cleaned and carried along. None: all are kept.
    """
    return LineShape("staged_items", _decode, _vet, partial(_rows, wanted=wanted), block=partial(_block, wanted=wanted))
