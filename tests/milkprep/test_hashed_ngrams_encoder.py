"""Hashed n-grams against a slow and plain reading of their definition."""

import math
import random
import re
import tracemalloc
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep.decode import DecodeFailure
from milkprep.extractors.hashed_ngrams import HashedNgrams

ENCODER = HashedNgrams()


def vector(text: str) -> np.ndarray:
    return ENCODER.encode([ENCODER.decode(text)])[0]


def by_definition(text: str) -> np.ndarray:
    lowered = text.lower()
    words = re.findall(r"\w+", lowered)
    spaced = " " + " ".join(lowered.split()) + " "
    grams = ["w" + w for w in words] + [f"w{a} {b}" for a, b in pairwise(words)]
    grams += ["c" + spaced[i : i + n] for n in (3, 4, 5) for i in range(len(spaced)) if i + n <= len(spaced)]
    total = np.zeros(512)
    for gram in set(grams):
        number = zlib.crc32(gram.encode())
        total[number % 512] += (1 + math.log(grams.count(gram))) * (-1 if number >= 2**31 else 1)
    return total / np.linalg.norm(total)


@pytest.mark.parametrize("text", ["A red card", "card card card", "x", "Grüße, 日本語! 日本語", "a\n\n b\t c"])
def test_a_vector_follows_the_definition(text):
    np.testing.assert_allclose(vector(text), by_definition(text), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60).filter(lambda text: text.strip()))
def test_any_text_follows_the_definition(text):
    np.testing.assert_allclose(vector(text), by_definition(text), atol=1e-6)


def test_places_never_move_for_they_are_part_of_every_stored_vector():
    """CRC-32 of "wa" is 0x1B12AC00, of "c a " 0x7712BB3F: places 0x000 and 0x13F, both positive."""
    expected = np.zeros(512)
    expected[[0x000, 0x13F]] = math.sqrt(0.5)
    np.testing.assert_allclose(vector("a"), expected, rtol=1e-6)


def test_near_texts_are_nearer_than_far_ones():
    card, cards, knife = vector("happy birthday gift card"), vector("Happy birthday gift cards, assorted"), vector("stainless steel kitchen knife")
    assert card @ cards > 0.6 > 0.2 > abs(card @ knife)


def test_case_and_spacing_do_not_matter_but_order_of_words_does():
    np.testing.assert_array_equal(vector("A  Red\nCARD"), vector("a red card"))
    assert vector("red card") @ vector("card red") < 0.95


@pytest.mark.parametrize("text", ["", " \n\t", "\u00a0\u2003"])
def test_white_space_has_no_features_and_is_a_failure(text):
    with pytest.raises(DecodeFailure, match="nothing but white space"):
        ENCODER.decode(text)


def test_ngrams_that_cancel_are_a_failure_not_zeros(monkeypatch):
    monkeypatch.setattr("milkprep.extractors.hashed_ngrams._ngrams", lambda text: [negative, positive])
    by_place: dict[int, dict[bool, str]] = {}
    for n in range(5000):
        number = zlib.crc32(f"{n}".encode())
        signs = by_place.setdefault(number % 512, {})
        signs[number >= 2**31] = f"{n}"
        if len(signs) == 2:
            break
    negative, positive = signs[True], signs[False]
    with pytest.raises(DecodeFailure, match="cancel out"):
        ENCODER.decode("anything")


def test_a_text_is_read_up_to_its_100_000th_character_and_the_feature_set_says_so():
    start = "".join(random.Random(0).choices("abcdefgh ", k=99_999)) + "x"
    np.testing.assert_array_equal(vector(start + "yz card"), vector(start))
    assert not np.array_equal(vector(start[:-1] + "y"), vector(start))  # the last one read counts
    assert HashedNgrams().identity.parameters["longest"] == 100_000


def test_memory_does_not_grow_with_a_text_longer_than_what_is_read():
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=1 << 20))
    encoder = HashedNgrams()
    tracemalloc.start()
    try:
        encoder.decode(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80 << 20  # all of it took 335 MB
