"""Bags of words against their definition, worked by hand; and word ids of a short-video store as texts."""

import math
import zlib

import numpy as np
import pytest
import short_videos
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep import extract
from milkprep.decode import DecodeFailure
from milkprep.extractors.bag_of_words import WIDTH, BagOfWords
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Silent
from schemas.store import Store

ENCODER = BagOfWords()


def vector(text: str) -> np.ndarray:
    return ENCODER.encode([ENCODER.decode(text)])[0]


def test_places_and_signs_never_move_for_they_are_part_of_every_stored_vector():
    """CRC-32 of "123456789", its published check value, is 0xCBF43926: place 0x126 of 0x800, negative."""
    assert {place: vector("123456789")[place] for place in np.flatnonzero(vector("123456789"))} == {0x126: -1.0}


def test_a_count_weighs_one_and_its_logarithm():
    places, values = ENCODER.decode("7 7 7 12")
    weights = {zlib.crc32(b"7") % WIDTH: 1 + math.log(3), zlib.crc32(b"12") % WIDTH: 1.0}
    assert dict(zip(places.tolist(), np.abs(values).tolist(), strict=True)) == pytest.approx(weights)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6).map(str), min_size=1, max_size=12), st.randoms())
def test_order_and_white_space_say_nothing(words, random):
    shuffled = random.sample(words, len(words))
    try:
        expected = vector(" ".join(words))
    except DecodeFailure:  # two words of one place and opposite signs
        return
    np.testing.assert_allclose(vector("\n" + "  \t".join(shuffled)), expected, atol=1e-6)


def test_capitals_are_letters_and_parts_of_words_are_not_words():
    np.testing.assert_array_equal(vector("A Card"), vector("a card"))
    assert abs(float(vector("card") @ vector("cards"))) < 1e-6


def test_white_space_alone_is_no_text():
    with pytest.raises(DecodeFailure, match="nothing but white space"):
        ENCODER.decode(" \n\t")


def test_words_of_opposite_signs_at_one_place_are_no_vector():
    signs: dict[tuple[int, bool], str] = {}
    for number in range(100_000):
        code = zlib.crc32(str(number).encode())
        place, is_negative = code % WIDTH, code >= 1 << 31
        if other := signs.get((place, not is_negative)):
            break
        signs[place, is_negative] = str(number)
    with pytest.raises(DecodeFailure, match="words cancel out"):
        ENCODER.decode(f"{number} {other}")


@pytest.fixture
def store(tmp_path):
    titles = [short_videos.title(10, {5: 1, 11: 2}), short_videos.title(20, {11: 2, 5: 1}), short_videos.title(30, {4: 1000})]
    short_videos.pull(tmp_path, [short_videos.view(user=1, item=item) for item in (10, 20, 30, 40)], files={"titles": titles})
    return tmp_path / "s.duckdb"


def words_of(path) -> dict[int, np.ndarray]:
    extract.extract(path, modality=Modality.TEXT, encoder="bag-of-words", fields=("words",), as_default=True, reporter=Silent())
    with Store(path, mode="read") as opened:
        rows = opened.query("SELECT item_key, vector FROM features_text")
    return {int(key): np.asarray(found) for key, found in rows.iter_rows()}


def test_word_ids_of_short_videos_are_texts(store):
    vectors = words_of(store)
    assert set(vectors) == {10, 20, 30}
    np.testing.assert_allclose(vectors[10], vector("5 11 11"), atol=1e-6)
    np.testing.assert_array_equal(vectors[10], vectors[20])
    np.testing.assert_allclose(vectors[30], vector("4"), atol=1e-6)


def test_a_text_is_made_of_words_only_where_they_are_asked_for(store):
    with pytest.raises(BadValue, match=r"cannot be made of word.*categories, words"):
        extract.extract(store, modality=Modality.TEXT, encoder="bag-of-words", fields=("word",), reporter=Silent())
