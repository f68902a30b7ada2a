"""The cleaning of `text_cleaning` for whole columns: Python looks only at values in which there is something to clean.

Promises: each function gives for every row what the function of the same purpose in `text_cleaning` gives for its value.
"""

from collections.abc import Callable, Sequence

import polars as pl

from milkprep.pull import text_cleaning

#: What no cleaning function changes has none of these: an entity or a tag, white space other than single spaces between words, or
#: characters that are not seen. Texts without are plain.
UNPLAIN = r"[&<\p{Z}\p{C}--[ ]]|  |^ | $"
#: What code has that a scraper took for a title.
CODE = r"\{|var "
#: An address with white space or none at all, and one of a placeholder.
ODD_ADDRESS = rf"[\s\p{{Z}}\p{{C}}]|^$|{text_cleaning.PLACEHOLDER_PICTURE}"


def titles(raw: pl.Series) -> tuple[pl.Series, pl.Series]:
    """`text_cleaning.clean_title` of each: the titles, and the reasons where there is none. A missing value is an empty one."""
    text = raw.fill_null("")
    odd = text.str.contains(UNPLAIN) | text.str.contains(CODE) | (text == "")
    cleaned = [text_cleaning.clean_title(value) for value in text.filter(odd)]
    return _put(text, odd, [title for title, _ in cleaned]), _put(text.clear(len(text)), odd, [reason for _, reason in cleaned])


def descriptions(raw: pl.Series) -> pl.Series:
    """`text_cleaning.clean_description` of each list of texts."""
    pieces = _flat(raw)
    text = pieces["value"]
    pieces = pieces.with_columns(_each(text, text.str.contains(UNPLAIN) | (text == ""), lambda piece: text_cleaning.clean_description([piece])))
    return _lists(pieces, n=len(raw)).list.join("\n").replace("", None)


def names(raw: pl.Series) -> pl.Series:
    """`text_cleaning.clean_name` of each."""
    return _each(raw, raw.str.contains(UNPLAIN) | (raw == ""), text_cleaning.clean_name)


def name_lists(raw: pl.Series) -> pl.Series:
    """The cleaned names of each list, without those that are empty."""
    flat = _flat(raw)
    return _lists(flat.with_columns(names(flat["value"])), n=len(raw))


def pictures(raw: pl.Series, *, source: str) -> tuple[pl.Series, pl.Series]:
    """`text_cleaning.picture_addresses` of each list: the addresses, and the reasons where there is none.

    Args:
        raw: lists of addresses.
        source: what holds them, for the reason.
    """
    flat = _flat(raw)
    odd_rows = flat.filter(pl.col("value").str.contains(ODD_ADDRESS))["row"].implode()
    given = _lists(flat, n=len(raw))
    rows = pl.int_range(len(raw), eager=True)
    odd = rows.is_in(odd_rows) | (given.list.n_unique() != given.list.len()) | (given.list.len() == 0)
    cleaned = [text_cleaning.picture_addresses(value, source=source) for value in given.filter(odd).to_list()]
    reasons = pl.Series([None], dtype=pl.String).new_from_index(0, len(raw))
    return _put(given, odd, [found for found, _ in cleaned]), _put(reasons, odd, [reason for _, reason in cleaned])


def _each(values: pl.Series, odd: pl.Series, clean: Callable[[str], str | None]) -> pl.Series:
    """The odd values cleaned, each distinct one once; the others as they are."""
    looked_at = values.filter(odd)
    cleaned = {value: clean(value) for value in looked_at.unique()}
    return _put(values, odd, [cleaned[value] for value in looked_at])


def _put(values: pl.Series, where: pl.Series, others: Sequence[object]) -> pl.Series:
    """The values with others in their places where it is said."""
    places = where.fill_null(False).arg_true()
    if places.is_empty():
        return values
    which = pl.int_range(len(values), dtype=pl.UInt32, eager=True).scatter(places, pl.int_range(len(values), len(values) + len(places), eager=True))
    return pl.concat([values, pl.Series(others, dtype=values.dtype)]).gather(which)


def _flat(lists: pl.Series) -> pl.DataFrame:
    """`row` and `value` of each text of each list, in order; missing ones left out."""
    frame = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "value": lists})
    return frame.explode("value", empty_as_null=True).drop_nulls("value")


def _lists(flat: pl.DataFrame, *, n: int) -> pl.Series:
    """What `_flat` took apart as lists of `n` rows again, missing values left out."""
    grouped = flat.drop_nulls("value").group_by("row", maintain_order=True).agg("value")
    rows = pl.DataFrame({"row": pl.int_range(n, eager=True)}).join(grouped, on="row", how="left", maintain_order="left")
    return rows["value"].fill_null([])
