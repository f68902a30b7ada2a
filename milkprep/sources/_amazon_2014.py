"""Lines of the Amazon 2014 release: metadata as Python literals, one dict a line, keys left out where nothing is known.

Some mirrors hold the metadata as strict JSON; such lines are read too. Reviews are those of the 2018 release, but for fields that
nobody reads here. `related` and `salesRank`, most of a line, are not decoded.
"""

from collections.abc import Collection
from functools import partial

import msgspec
import polars as pl

from milkprep.pull.staging import LineShape, item_rows
from milkprep.sources import _python_literals
from milkprep.sources._amazon_2018 import REVIEWS
from milkprep.sources._amazon_rows import Texts, bare_row, item_row, require_keys, texts

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
    return item_rows([_item_row(item) if wanted is None or item.asin in wanted else bare_row(item.asin) for item in items])


def _item_row(item: Metadata) -> tuple[object, ...]:
    # Paths through the tree of categories, which share their beginnings: each category once, in order.
    categories = list(dict.fromkeys(name for path in item.categories or [] for name in texts(path)))
    return item_row(item.asin, title=item.title, description=item.description, brand=item.brand, categories=categories, addresses=texts(item.imUrl))


def metadata_shape(*, wanted: Collection[str] | None) -> LineShape[Metadata]:
    """Metadata lines as rows of `staged_items`.

    Args:
        wanted: keys of the items that will be kept: only their texts are cleaned and carried along. None: all are kept.
    """
    return LineShape("staged_items", _decode, _vet, partial(_rows, wanted=wanted))
