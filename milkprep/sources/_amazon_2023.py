"""Lines of the Amazon 2023 release: items are known by `parent_asin`, times are milliseconds, and any value may be null.

A review names the variant that was bought (`asin`) and what it is a variant of (`parent_asin`). Metadata exists of the latter only, so
that is the item; a review without it is refused rather than taken for an item that the metadata cannot describe.
"""

from collections.abc import Collection
from functools import partial

import msgspec
import polars as pl

from milkprep.pull import item_blocks, json_blocks
from milkprep.pull.item_blocks import ItemFields
from milkprep.pull.json_blocks import JsonField
from milkprep.pull.lines import Block
from milkprep.pull.staging import LineShape, item_rows
from milkprep.sources._amazon_rows import LAST_SECOND, REVIEW_SCHEMA, Milliseconds, Stars, Texts, bare_row, item_row, require_keys, texts


class Review(msgspec.Struct, gc=False):
    """What is read of a review."""

    user_id: str | None = None
    parent_asin: str | None = None
    rating: Stars | None = None
    timestamp: Milliseconds | None = None


class Picture(msgspec.Struct, gc=False):
    """Addresses of one picture in three sizes."""

    hi_res: str | None = None
    large: str | None = None
    thumb: str | None = None


class Metadata(msgspec.Struct, gc=False):
    """What is read of an item."""

    parent_asin: str | None = None
    title: str | None = None
    description: Texts = None
    store: str | None = None
    categories: Texts = None
    images: list[Picture | None] | None = None


def _vet_reviews(reviews: list[Review]) -> None:
    require_keys(reviews, "user_id", "parent_asin")


def _vet_metadata(items: list[Metadata]) -> None:
    require_keys(items, "parent_asin")


def _review_rows(reviews: list[Review]) -> pl.DataFrame:
    columns = {
        "user_key": [r.user_id for r in reviews], "item_key": [r.parent_asin for r in reviews],
        "rating": [r.rating for r in reviews], "seconds": [r.timestamp for r in reviews],
    }  # fmt: skip
    return _in_seconds(pl.DataFrame(columns, schema=REVIEW_SCHEMA))


def _in_seconds(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("seconds") // 1000)


_read_block = json_blocks.reader({
    "user_key": JsonField("user_id", "text", required=True), "item_key": JsonField("parent_asin", "text", required=True),
    "rating": JsonField("rating", "number", within=(0, 5)), "seconds": JsonField("timestamp", "whole", within=(0, 1000 * LAST_SECOND + 999)),
})  # fmt: skip


def _review_block(block: Block) -> pl.DataFrame | None:
    rows = _read_block(block)
    return None if rows is None else _in_seconds(rows)


def _metadata_rows(items: list[Metadata], wanted: Collection[str] | None) -> pl.DataFrame:
    return item_rows([_item_row(item) if wanted is None or item.parent_asin in wanted else bare_row(item.parent_asin) for item in items])


def _item_row(item: Metadata) -> tuple[object, ...]:
    pictures = [picture for picture in item.images or [] if picture]
    addresses = [address for picture in pictures for address in (texts(picture.hi_res) or texts(picture.large) or texts(picture.thumb))]
    return item_row(
        item.parent_asin, title=item.title, description=item.description, brand=item.store, categories=texts(item.categories), addresses=addresses
    )


ITEM_FIELDS = ItemFields(
    key="parent_asin", title="title", brand="store", description="description", categories="categories",
    pictures=("images",), sizes=("hi_res", "large", "thumb"),
)  # fmt: skip
REVIEWS = LineShape("raw_pairs", msgspec.json.Decoder(Review).decode, _vet_reviews, _review_rows, block=_review_block)


def metadata_shape(*, wanted: Collection[str] | None) -> LineShape[Metadata]:
    """Metadata lines as rows of `staged_items`.

    Args:
        wanted: keys of the items that will be kept: only their texts are cleaned and carried along. None: all are kept.
    """
    block = item_blocks.reader(ITEM_FIELDS, wanted=wanted)
    return LineShape("staged_items", msgspec.json.Decoder(Metadata).decode, _vet_metadata, partial(_metadata_rows, wanted=wanted), block=block)
