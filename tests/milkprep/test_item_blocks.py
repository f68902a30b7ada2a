"""Blocks of metadata read at once give the rows that its lines give one by one."""

import json

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull.lines import Block, block_of
from milkprep.pull.staging import ITEM_COLUMNS
from milkprep.sources._amazon_2018 import metadata_shape

TEXT = st.sampled_from(
    ["", " ", "Red card", "a &amp; b", "<b>bold</b>", "<span class=x>", "var x = 1;", "two  spaces", "é", "no-img-sm.gif", "u.jpg", "line\nbreak"]
)
LIST = st.lists(TEXT, max_size=3)
OPTIONAL = {"title": TEXT, "brand": TEXT, "description": LIST, "category": LIST, "image": LIST, "imageURL": LIST, "imageURLHighRes": LIST}
RECORDS = st.fixed_dictionaries({"asin": st.sampled_from(["A", "B", "C"])}, optional={name: st.none() | values for name, values in OPTIONAL.items()})


def block(lines: list[bytes]) -> Block:
    data = b"\n".join(lines)
    whole = block_of(data, number=1)
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line) + 1)
    return Block(1, whole.data, pl.Series(ends, dtype=pl.Int64).to_numpy(), frozenset(), 0)


@given(st.lists(RECORDS, min_size=1, max_size=6), st.none() | st.frozensets(st.sampled_from(["A", "B", "Z"])))
def test_a_block_reads_as_its_lines_do(records, wanted):
    shape = metadata_shape(wanted=wanted)
    lines = [json.dumps(record).encode() for record in records]
    found = shape.block(block(lines))
    assert found.columns == list(ITEM_COLUMNS)
    assert found.equals(shape.frame([shape.decode(line) for line in lines]))


def test_a_block_with_a_value_of_another_type_is_left_to_the_caller():
    shape = metadata_shape(wanted=None)
    assert shape.block(block([b'{"asin": "A", "title": "t"}', b'{"asin": "B", "description": "not a list"}'])) is None
    assert shape.block(block([b'{"asin": "A"}', b'{"title": "no key"}'])) is None
