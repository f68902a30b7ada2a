"""Lines of the Amazon 2018 release: what is read of them, and how it becomes rows.

Two schemas of metadata exist: the early one has `image`, the final one `imageURL` and `imageURLHighRes`. In both every key is
present and a missing value is `''`, `[]` or `{}`. Fields that are not read here are not decoded.
"""

from collections.abc import Collection
from functools import partial

import msgspec
import polars as pl

from milkprep.pull import item_blocks, json_blocks
from milkprep.pull.item_blocks import ItemFields
from milkprep.pull.json_blocks import JsonField
from milkprep.pull.staging import LineShape, item_rows
from milkprep.sources._amazon_rows import LAST_SECOND, REVIEW_SCHEMA, Seconds, Stars, Texts, bare_row, item_row, require_keys, texts


class Review(msgspec.Struct, gc=False):
    """What is read of a review, of this release and of that of 2014."""

    reviewerID: str | None = None  # noqa: N815 - the name in the files
    asin: str | None = None
    overall: Stars | None = None
    unixReviewTime: Seconds | None = None  # noqa: N815 - the name in the files


class Metadata(msgspec.Struct, gc=False):
    """What is read of an item."""

    asin: str | None = None
    title: str | None = None
    description: Texts = None
    brand: str | None = None
    category: Texts = None
    image: Texts = None
    image_url: Texts = msgspec.field(default=None, name="imageURL")
    image_url_high_res: Texts = msgspec.field(default=None, name="imageURLHighRes")


def _vet_reviews(reviews: list[Review]) -> None:
    require_keys(reviews, "reviewerID", "asin")


def _vet_metadata(items: list[Metadata]) -> None:
    require_keys(items, "asin")


def _review_rows(reviews: list[Review]) -> pl.DataFrame:
    columns = {
        "user_key": [r.reviewerID for r in reviews], "item_key": [r.asin for r in reviews],
        "rating": [r.overall for r in reviews], "seconds": [r.unixReviewTime for r in reviews],
    }  # fmt: skip
    return pl.DataFrame(columns, schema=REVIEW_SCHEMA)


def _metadata_rows(items: list[Metadata], wanted: Collection[str] | None) -> pl.DataFrame:
    return item_rows([_item_row(item) if wanted is None or item.asin in wanted else bare_row(item.asin) for item in items])


def _item_row(item: Metadata) -> tuple[object, ...]:
    addresses = texts(item.image_url_high_res) or texts(item.image_url) or texts(item.image)
    return item_row(item.asin, title=item.title, description=item.description, brand=item.brand, categories=texts(item.category), addresses=addresses)


ITEM_FIELDS = ItemFields(
    key="asin", title="title", brand="brand", description="description", categories="category",
    pictures=("imageURLHighRes", "imageURL", "image"),
)  # fmt: skip
REVIEWS = LineShape(
    "raw_pairs", msgspec.json.Decoder(Review).decode, _vet_reviews, _review_rows,
    block=json_blocks.reader({
        "user_key": JsonField("reviewerID", "text", required=True), "item_key": JsonField("asin", "text", required=True),
        "rating": JsonField("overall", "number", within=(0, 5)), "seconds": JsonField("unixReviewTime", "whole", within=(0, LAST_SECOND)),
    }),
)  # fmt: skip


def metadata_shape(*, wanted: Collection[str] | None) -> LineShape[Metadata]:
    """Metadata lines as rows of `staged_items`.

    Args:
        wanted: keys of the items that will be kept: only their texts are cleaned and carried along. None: all are kept.
    """
    block = item_blocks.reader(ITEM_FIELDS, wanted=wanted)
    return LineShape("staged_items", msgspec.json.Decoder(Metadata).decode, _vet_metadata, partial(_metadata_rows, wanted=wanted), block=block)
