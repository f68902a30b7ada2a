"""Lines of the Amazon 2018 release: what is read of them, and how it becomes rows.

Two schemas of metadata exist: the early one has `image`, the final one `imageURL` and `imageURLHighRes`. In both every key is
present and a missing value is `''`, `[]` or `{}`. Fields that are not read here are not decoded.
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import Annotated

import msgspec
import polars as pl

from milkprep.pull import json_blocks, text_cleaning
from milkprep.pull.json_blocks import JsonField
from milkprep.pull.staging import LineError, LineShape, item_rows
from schemas.contracts import RejectReason

#: Seconds since 1970 up to the year 9999: milliseconds, as other releases have them, are beyond.
LAST_SECOND = 253_402_300_799
Seconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
Stars = Annotated[float, msgspec.Meta(ge=0, le=5)]
Texts = str | list[str | None] | None

REVIEW_SCHEMA = {"user_key": pl.String, "item_key": pl.String, "rating": pl.Float32, "seconds": pl.Int64}


class Review(msgspec.Struct, gc=False):
    """What is read of a review."""

    reviewer: str | None = msgspec.field(default=None, name="reviewerID")
    asin: str | None = None
    overall: Stars | None = None
    seconds: Seconds | None = msgspec.field(default=None, name="unixReviewTime")


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
    for review in reviews:
        if not review.reviewer:
            raise LineError(RejectReason.MISSING_KEY, "no reviewerID")
        if not review.asin:
            raise LineError(RejectReason.MISSING_KEY, "no asin")


def _vet_metadata(items: list[Metadata]) -> None:
    for item in items:
        if not item.asin:
            raise LineError(RejectReason.MISSING_KEY, "no asin")


def _review_rows(reviews: list[Review]) -> pl.DataFrame:
    columns = {
        "user_key": [r.reviewer for r in reviews], "item_key": [r.asin for r in reviews],
        "rating": [r.overall for r in reviews], "seconds": [r.seconds for r in reviews],
    }  # fmt: skip
    return pl.DataFrame(columns, schema=REVIEW_SCHEMA)


def _metadata_rows(items: list[Metadata], wanted: Collection[str] | None) -> pl.DataFrame:
    return item_rows([_item_row(item) if wanted is None or item.asin in wanted else _bare_row(item) for item in items])


def _bare_row(item: Metadata) -> tuple[object, ...]:
    return (item.asin, None, None, None, [], [], None, None, None)


def _item_row(item: Metadata) -> tuple[object, ...]:
    title, title_reason = text_cleaning.clean_title(item.title or "")
    description = text_cleaning.clean_description(_texts(item.description))
    categories = [name for raw in _texts(item.category) if (name := text_cleaning.clean_name(raw))]
    addresses = _texts(item.image_url_high_res) or _texts(item.image_url) or _texts(item.image)
    pictures, picture_reason = text_cleaning.picture_addresses(addresses, source="the metadata")
    return (
        item.asin, title, description, text_cleaning.clean_name(item.brand), categories, pictures,
        "no title in the metadata" if title_reason == "" else title_reason,
        None if description else "no description in the metadata", picture_reason,
    )  # fmt: skip


def _texts(value: Texts) -> list[str]:
    """A text or a list of texts as the list of those that are not empty."""
    values: Iterable[str | None] = [value] if value is None or isinstance(value, str) else value
    return [text for text in values if text and not text.isspace()]


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
    return LineShape("staged_items", msgspec.json.Decoder(Metadata).decode, _vet_metadata, partial(_metadata_rows, wanted=wanted))
