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
from milkprep.pull.staging import LineShape
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


_decode_json = msgspec.json.Decoder(Metadata).decode


def _decode(line: bytes) -> Metadata:
    return _decode_json(line if line.lstrip().startswith(b'{"') else _python_literals.to_json(line))


def _vet(items: list[Metadata]) -> None:
    require_keys(items, "asin")


def _rows(items: list[Metadata], wanted: Collection[str] | None) -> pl.DataFrame:
    text, listed = pa.large_string(), pa.list_(pa.large_string())
    raw = pa.table({
        "item_key": pa.array([item.asin for item in items], type=text), "title": pa.array([item.title for item in items], type=text),
        "brand": pa.array([item.brand for item in items], type=text),
        "description": pa.array([texts(item.description) for item in items], type=listed),
        "categories": pa.array([_flat(item.categories) for item in items], type=listed),
        "pictures_0": pa.array([texts(item.imUrl) for item in items], type=listed),
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
    return LineShape("staged_items", _decode, _vet, partial(_rows, wanted=wanted))
