"""Fingerprints: equal content has an equal name, any change another."""

import hashlib
import json

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import fingerprint

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8)
columns = st.fixed_dictionaries(
    {
        "text": st.lists(st.none() | st.text(max_size=4), min_size=3, max_size=3),
        "number": st.lists(st.none() | st.integers(-5, 5), min_size=3, max_size=3),
        "flag": st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
        "time": st.lists(st.none() | st.datetimes(), min_size=3, max_size=3),
    }
)
TYPES = {"text": pl.String, "number": pl.Float64, "flag": pl.Boolean, "time": pl.Datetime("us")}


def test_digests_agree_with_the_published_sha256_of_abc(tmp_path):
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    (tmp_path / "abc").write_bytes(b"abc")
    assert fingerprint.of_bytes(b"abc") == fingerprint.of_text("abc") == fingerprint.of_file(tmp_path / "abc") == known


def test_a_file_longer_than_a_chunk_is_read_whole(tmp_path):
    content = bytes(range(256)) * (fingerprint.CHUNK_BYTES // 256) + b"and the end"
    (tmp_path / "long").write_bytes(content)
    assert fingerprint.of_file(tmp_path / "long") == hashlib.sha256(content).hexdigest()


def test_text_with_half_a_surrogate_pair_has_a_name():
    assert fingerprint.of_text("\ud800") != fingerprint.of_text("\ud801")


@given(values)
def test_a_value_read_back_from_json_keeps_its_name(value):
    assert fingerprint.of_value(json.loads(json.dumps(value))) == fingerprint.of_value(value)


@given(st.dictionaries(st.text(), scalars, min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    assert fingerprint.of_value(dict(reversed(value.items()))) == fingerprint.of_value(value)


@given(values, values)
def test_different_values_have_different_names(one, other):
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert fingerprint.of_value(one) != fingerprint.of_value(other)


def test_a_value_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match=r"Out of range float"):
        fingerprint.of_value({"rate": float("nan")})


@given(columns)
def test_equal_frames_have_equal_names_however_they_are_held_in_memory(content):
    frame = pl.DataFrame(content, schema=TYPES)
    in_pieces = pl.concat([frame[:1], frame[1:]], rechunk=False)
    assert fingerprint.of_frame(in_pieces) == fingerprint.of_frame(frame)


@given(columns, columns)
def test_frames_differ_in_name_exactly_when_they_differ(one, other):
    first, second = pl.DataFrame(one, schema=TYPES), pl.DataFrame(other, schema=TYPES)
    assert (fingerprint.of_frame(first) == fingerprint.of_frame(second)) == first.equals(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1, 2]}, {"b": [1, 2]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [1, 2]}, {"a": [1.0, 2.0]}),
        ({"a": [1, 0]}, {"a": [1, None]}),
        ({"a": ["x", ""]}, {"a": ["x", None]}),
        ({"a": ["xy", "z"]}, {"a": ["x", "yz"]}),
        ({"a": [True, False]}, {"a": [True, None]}),
        ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}),
    ],
)
def test_names_types_order_and_missing_values_are_part_of_a_frame(one, other):
    assert fingerprint.of_frame(pl.DataFrame(one)) != fingerprint.of_frame(pl.DataFrame(other))


def test_a_column_whose_memory_holds_addresses_is_our_own_mistake():
    with pytest.raises(AssertionError, match=r"a: List\(Int64\)"):
        fingerprint.of_frame(pl.DataFrame({"a": [[1], [2]]}))
