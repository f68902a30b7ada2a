"""What the Amazon releases have in common: values as they stand in their lines, and the rows they become."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
import polars as pl

from milkprep.pull import text_cleaning
from milkprep.pull.staging import LineError
from schemas.contracts import RejectReason

#: Seconds since 1970 up to the year 9999: milliseconds, as the release of 2023 has them, are beyond.
LAST_SECOND = 253_402_300_799
Seconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1000 * LAST_SECOND + 999)]
Stars = Annotated[float, msgspec.Meta(ge=0, le=5)]
Texts = str | list[str | None] | None

REVIEW_SCHEMA = {"user_key": pl.String, "item_key": pl.String, "rating": pl.Float32, "seconds": pl.Int64}


def require_keys(records: Iterable[object], *names: str) -> None:
    """Refuse records without a key.

    Args:
        records: structs with these fields.
        names: fields that hold a key, by the names that the files give them.

    Raises:
        LineError: naming the first that is missing.
    """
    for record in records:
        for name in names:
            if not getattr(record, name):
                raise LineError(RejectReason.MISSING_KEY, f"no {name}")


def bare_row(key: str | None) -> tuple[object, ...]:
    """The row of an item that will not be kept: its texts are not cleaned and not carried along."""
    return (key, None, None, None, [], [], None, None, None)


def item_row(
    key: str | None, *, title: str | None, description: Texts, brand: str | None, categories: Iterable[str], addresses: list[str]
) -> tuple[object, ...]:
    """A row of `staged_items`, texts cleaned, with the reasons of what is missing."""
    clean_title, title_reason = text_cleaning.clean_title(title or "")
    clean_description = text_cleaning.clean_description(texts(description))
    names = [name for raw in categories if (name := text_cleaning.clean_name(raw))]
    pictures, picture_reason = text_cleaning.picture_addresses(addresses, source="the metadata")
    return (
        key, clean_title, clean_description, text_cleaning.clean_name(brand), names, pictures,
        "no title in the metadata" if title_reason == "" else title_reason,
        None if clean_description else "no description in the metadata", picture_reason,
    )  # fmt: skip


def texts(value: Texts) -> list[str]:
    """A text or a list of texts as the list of those that are not empty."""
    values: Iterable[str | None] = [value] if value is None or isinstance(value, str) else value
    return [text for text in values if text and not text.isspace()]
