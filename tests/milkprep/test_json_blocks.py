"""Blocks of JSON lines read at once: exactly what line by line reading gives, or nothing."""

import json
import string

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull.json_blocks import JsonField, reader
from milkprep.pull.lines import Block, block_of

FIELDS = {
    "user_key": JsonField("user", "text", required=True),
    "rating": JsonField("stars", "number", within=(0, 5)),
    "seconds": JsonField("time", "whole", within=(0, 1_000)),
}
READ = reader(FIELDS)


class Record(msgspec.Struct):
    """The same fields, read by another library."""

    user: str | None = None
    stars: float | None = None
    time: int | None = None


def block(*lines: bytes) -> Block:
    data = b"".join(line + b"\n" for line in lines)
    return Block(1, data, np.cumsum([0, *(len(line) + 1 for line in lines)]), frozenset(), 0)


def test_fields_become_columns_in_the_order_of_lines_and_others_are_left_aside():
    lines = block(b'{"user": "a\\u0041\\n", "stars": 4, "time": 7, "other": [{"user": "x"}]}', b'{"time": null, "user": "\xc3\xa9"}')
    expected = {"user_key": ["aA\n", "é"], "rating": [4.0, None], "seconds": [7, None]}
    assert READ(lines).equals(pl.DataFrame(expected, schema={"user_key": pl.String, "rating": pl.Float32, "seconds": pl.Int64}))


ODD = {
    "wrong_type_of_text": b'{"user": 5}', "wrong_type_of_number": b'{"user": "a", "stars": "5"}', "fraction": b'{"user": "a", "time": 1.5}',
    "no_key": b'{"stars": 5}', "null_key": b'{"user": null}', "empty_key": b'{"user": ""}', "below": b'{"user": "a", "stars": -1}',
    "above": b'{"user": "a", "time": 1001}', "huge": b'{"user": "a", "time": 99999999999999999999}',
    "not_a_number": b'{"user": "a", "stars": NaN}', "infinite": b'{"user": "a", "stars": Infinity}', "list": b'["user"]',
    "repeated_key": b'{"user": "a", "user": "b"}', "cut": b'{"user": "a"', "blank": b"", "space": b"   ", "none": b"}{",
    "two": b'{"user": "a"} {"user": "b"}', "not_utf8": b'{"user": "a", "other": "\xff"}', "control": b'{"user": "a\x01"}',
    "nul": b'{"user": "a"}\x00', "surrogate": b'{"user": "\\ud800"}', "mark": b'\xef\xbb\xbf{"user": "a"}', "literal": b"{'user': 'a'}",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ODD))
def test_an_odd_line_among_good_ones_leaves_the_block_to_the_caller(name):
    good = b'{"user": "a", "stars": 1}'
    assert READ(block(good, good)) is not None
    assert READ(block(good, ODD[name], good)) is None
    assert READ(block_of(ODD[name], number=1)) is None


def test_objects_that_share_or_span_lines_are_not_counted_as_lines():
    assert READ(block(b'{"user": "a"}{"user": "b"}', b"{}")) is None
    assert READ(block(b'{"user": "a"}{"user": "b"}', b"  ")) is None
    assert READ(block(b'{"user": "a", "other":', b'{"user": "c"}} {"user": "b"}')) is None


VALUES = st.none() | st.booleans() | st.integers(-10, 2000) | st.floats(-1, 6) | st.text(max_size=4) | st.just([]) | st.just({"user": 1})
RECORDS = st.dictionaries(st.sampled_from(["user", "stars", "time", "other"]), VALUES, max_size=4)
DAMAGE = st.tuples(st.integers(0, 60), st.binary(max_size=2), st.integers(0, 2))


@given(st.lists(st.tuples(RECORDS, st.none() | DAMAGE), min_size=1, max_size=4))
def test_what_is_read_is_what_another_reader_takes_from_each_line(records):
    lines = [damaged(json.dumps(record).encode(), damage) for record, damage in records]
    found = READ(block(*lines))
    if found is not None:
        assert found.rows() == [row(line) for line in lines]


@given(st.lists(st.text(alphabet=string.ascii_letters, min_size=1), min_size=1))
def test_good_lines_are_always_read_at_once(users):
    assert READ(block(*(json.dumps({"user": user, "stars": 3.5}).encode() for user in users)))["user_key"].to_list() == users


def damaged(line: bytes, damage: tuple[int, bytes, int] | None) -> bytes:
    if damage is None:
        return line
    at, put, cut = damage
    return (line[:at] + put + line[at + cut :]).replace(b"\n", b" ")


def row(line: bytes) -> tuple[str | None, float | None, int | None]:
    record = msgspec.json.decode(line.replace(b"NaN", b"0").replace(b"Infinity", b"0"), type=Record)
    return record.user, None if record.stars is None else float(np.float32(record.stars)), record.time
