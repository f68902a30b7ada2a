"""Cleaning whole columns gives, value by value, what cleaning each gives."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull import text_cleaning, text_columns

PARTS = st.sampled_from([
    "a", "Red card", " ", "  ", "\n", "\t", "&amp;", "&amp;amp;", "&", "<b>", "</b>", "<br/>", "<span", ">", "é", "\u00a0", "\u2003", "\u200b",
    "\x1c", "\x85", "var x = 1;", "{", "}", ".a{b:c", "@x {", "function f() {", "<script>", "</script>", "http://x/1.jpg", "no-img-sm", "日本",
    "🎁", "\x00", "<3", "=",
])  # fmt: skip
TEXT = st.one_of(st.lists(PARTS, max_size=5).map("".join), st.text(max_size=6))
COLUMN = st.lists(TEXT | st.none(), max_size=8)
LISTS = st.lists(st.none() | st.lists(TEXT | st.none(), max_size=4), max_size=6)


def column(values, dtype=pl.String) -> pl.Series:
    return pl.Series(values, dtype=dtype)


@given(COLUMN)
def test_titles_and_their_reasons_are_those_of_each(values):
    found, reasons = text_columns.titles(column(values))
    assert list(zip(found, reasons, strict=True)) == [text_cleaning.clean_title(value or "") for value in values]


@given(COLUMN)
def test_names_are_those_of_each(values):
    assert text_columns.names(column(values)).to_list() == [text_cleaning.clean_name(value) for value in values]


@given(LISTS)
def test_descriptions_are_those_of_each(values):
    found = text_columns.descriptions(column(values, pl.List(pl.String))).to_list()
    assert found == [text_cleaning.clean_description(value or []) for value in values]


@given(LISTS)
def test_lists_of_names_are_those_of_each(values):
    expected = [[name for raw in value or [] if (name := text_cleaning.clean_name(raw))] for value in values]
    assert text_columns.name_lists(column(values, pl.List(pl.String))).to_list() == expected


@given(LISTS)
def test_pictures_and_their_reasons_are_those_of_each(values):
    found, reasons = text_columns.pictures(column(values, pl.List(pl.String)), source="the metadata")
    assert list(zip(found.to_list(), reasons, strict=True)) == [
        text_cleaning.picture_addresses(value or [], source="the metadata") for value in values
    ]


def test_python_looks_only_at_what_is_not_plain(monkeypatch):
    looked_at = []
    monkeypatch.setattr(text_cleaning, "clean_name", lambda value: looked_at.append(value) or value)
    text_columns.names(column(["Plain name", "Crème brûlée (日本)", "Salt &amp; Pepper", "Salt &amp; Pepper", "  "]))
    assert sorted(looked_at) == ["  ", "Salt &amp; Pepper"]


@pytest.mark.parametrize("values", [[], [None, None]])
def test_columns_of_nothing_are_columns_of_nothing(values):
    assert text_columns.descriptions(column(values, pl.List(pl.String))).to_list() == values
    assert text_columns.name_lists(column(values, pl.List(pl.String))).to_list() == [[] for _ in values]
