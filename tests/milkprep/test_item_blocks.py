"""Blocks of metadata read at once give the rows that its lines give one by one."""

import json

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull.lines import Block, block_of
from milkprep.pull.staging import ITEM_COLUMNS
from milkprep.sources import _amazon_2018, _amazon_2023

TEXT = st.sampled_from(
    ["", " ", "Red card", "a &amp; b", "<b>bold</b>", "<span class=x>", "var x = 1;", "two  spaces", "é", "no-img-sm.gif", "u.jpg", "line\nbreak"]
)
LIST = st.lists(TEXT, max_size=3)
PICTURE = st.dictionaries(st.sampled_from(["hi_res", "large", "thumb", "variant"]), st.none() | TEXT)
OF_2018 = {"title": TEXT, "brand": TEXT, "description": LIST, "category": LIST, "image": LIST, "imageURL": LIST, "imageURLHighRes": LIST}
OF_2023 = {"title": TEXT, "store": TEXT, "description": LIST, "categories": LIST, "images": st.lists(st.none() | PICTURE, max_size=3)}
WANTED = st.none() | st.frozensets(st.sampled_from(["A", "B", "Z"]))


def records(key, optional):
    """Records of a release; any field but the key may be missing or null."""
    fields = st.fixed_dictionaries({key: st.sampled_from(["A", "B", "C"])}, optional={name: st.none() | values for name, values in optional.items()})
    return st.lists(fields, min_size=1, max_size=6)


def block(lines: list[bytes]) -> Block:
    data = b"\n".join(lines)
    whole = block_of(data, number=1)
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line) + 1)
    return Block(1, whole.data, pl.Series(ends, dtype=pl.Int64).to_numpy(), frozenset(), 0)


def holds(shape, found):
    """What a block gives is what its lines give."""
    lines = [json.dumps(record).encode() for record in found]
    rows = shape.block(block(lines))
    assert rows.columns == list(ITEM_COLUMNS)
    assert rows.equals(shape.frame([shape.decode(line) for line in lines]))


@given(records("asin", OF_2018), WANTED)
def test_a_block_of_2018_reads_as_its_lines_do(found, wanted):
    holds(_amazon_2018.metadata_shape(wanted=wanted), found)


@given(records("parent_asin", OF_2023), WANTED)
def test_a_block_of_2023_reads_as_its_lines_do(found, wanted):
    holds(_amazon_2023.metadata_shape(wanted=wanted), found)


def test_a_block_with_a_value_of_another_type_is_left_to_the_caller():
    shape = _amazon_2018.metadata_shape(wanted=None)
    assert shape.block(block([b'{"asin": "A", "title": "t"}', b'{"asin": "B", "description": "not a list"}'])) is None
    assert shape.block(block([b'{"asin": "A"}', b'{"title": "no key"}'])) is None
