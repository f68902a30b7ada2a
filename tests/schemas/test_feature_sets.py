"""Feature sets: named by what makes them, taken up again, several contents averaged, one of them current."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import ENCODER, rows, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import feature_sets
from schemas.contracts import Modality
from schemas.errors import FeatureMissing, StoreError
from schemas.store import Store


def shown(store, modality):
    """Item key -> vector, as the view of a modality shows them."""
    frame = store.query(f"SELECT item_key, vector FROM features_{modality} ORDER BY item_key")
    return dict(zip(frame["item_key"], frame["vector"].to_list(), strict=True))


def embed(store, modality, contents, places, *, encoder=ENCODER, as_default=False):
    """Register, fill and finish a feature set."""
    made = feature_sets.register(store, modality, encoder)
    if contents:
        with store.transaction():
            feature_sets.append_vectors(store, made, vectors(contents))
            feature_sets.append_rows(store, made, places)
    feature_sets.finish(store, made, n_failed=0, seconds=1.0, as_default=as_default)
    return made


def test_before_any_feature_set_every_modality_shows_nothing(catalogue):
    for modality in Modality:
        assert shown(catalogue, modality) == {}
    assert feature_sets.current(catalogue) == {}


def test_several_pictures_of_an_item_show_as_their_mean(catalogue):
    contents = {"p": [1.0, 2.0], "q": [3.0, -2.0], "r": [5.0, 9.0]}
    embed(catalogue, Modality.VISUAL, contents, rows((0, 0, "p"), (0, 1, "q"), (0, 2, "r"), (1, 0, "q")))
    assert shown(catalogue, "visual") == {"A": [3.0, 3.0], "B": [3.0, -2.0]}  # A: (1 + 3 + 5) / 3 and (2 - 2 + 9) / 3


def test_the_same_picture_twice_counts_twice_in_the_mean(catalogue):
    embed(catalogue, Modality.VISUAL, {"p": [0.0, 3.0], "q": [6.0, 0.0]}, rows((0, 0, "p"), (0, 1, "p"), (0, 2, "q")))
    assert shown(catalogue, "visual") == {"A": [2.0, 2.0]}


def test_items_with_equal_content_share_one_vector(filled):
    assert shown(filled, "text") == {"A": [1.0, 0.0], "B": [0.0, 1.0], "C": [0.0, 1.0]}
    assert filled.query("SELECT count(*) AS n FROM vectors_1").item() == 2


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=6))
def test_the_shown_vector_is_the_mean_of_any_number_of_pictures(pictures):
    with Store(":memory:", mode="write") as store:
        store.run("INSERT INTO items VALUES (0, 'A', NULL, NULL, NULL, [], true)")
        contents = {f"p{n}": picture for n, picture in enumerate(pictures)}
        embed(store, Modality.VISUAL, contents, rows(*((0, n, name) for n, name in enumerate(contents))), encoder=replace(ENCODER, width=3))
        assert np.allclose(shown(store, "visual")["A"], np.mean(pictures, axis=0), rtol=1e-5, atol=1e-3)


def test_the_same_encoder_registered_twice_is_the_same_set(store):
    first = feature_sets.register(store, Modality.TEXT, ENCODER)
    again = feature_sets.register(store, Modality.TEXT, replace(ENCODER, versions={"torch": "99"}))
    assert (again.feature_set_id, again.fingerprint) == (first.feature_set_id, first.fingerprint)


@pytest.mark.parametrize(
    "change", [{"encoder": "other"}, {"weights": "w"}, {"weights_sha256": "f"}, {"width": 3}, {"pooling": "max"}, {"parameters": {"normalise": True}}]
)
def test_whatever_changes_a_vector_makes_another_set(store, change):
    first = feature_sets.register(store, Modality.TEXT, ENCODER)
    other = feature_sets.register(store, Modality.TEXT, replace(ENCODER, **change))
    assert other.feature_set_id != first.feature_set_id
    assert other.fingerprint != first.fingerprint


def test_one_encoder_over_two_modalities_is_two_sets(store):
    numbers = {feature_sets.register(store, modality, ENCODER).feature_set_id for modality in Modality}
    assert len(numbers) == 3


def test_an_unfinished_set_is_not_shown_and_can_be_filled_up(catalogue):
    made = feature_sets.register(catalogue, Modality.TEXT, ENCODER)
    feature_sets.append_vectors(catalogue, made, vectors({"t": [1.0, 1.0]}))
    feature_sets.append_rows(catalogue, made, rows((0, 0, "t")))
    assert feature_sets.current(catalogue) == {}
    assert shown(catalogue, "text") == {}
    feature_sets.append_rows(catalogue, feature_sets.register(catalogue, Modality.TEXT, ENCODER), rows((1, 0, "t")))
    feature_sets.finish(catalogue, made, n_failed=0, seconds=1.0)
    assert shown(catalogue, "text") == {"A": [1.0, 1.0], "B": [1.0, 1.0]}


def test_finishing_counts_contents_items_and_failures_and_adds_up_the_time(catalogue):
    made = embed(catalogue, Modality.TEXT, {"t": [1.0, 1.0], "u": [2.0, 0.0]}, rows((0, 0, "t"), (1, 0, "t"), (1, 1, "u")))
    feature_sets.finish(catalogue, made, n_failed=4, seconds=2.5)
    counted = catalogue.query("SELECT n_contents, n_items, n_failed, seconds, finished_at IS NOT NULL AS finished FROM feature_sets")
    assert counted.row(0) == (2, 2, 4, 3.5, True)


NEWER = replace(ENCODER, encoder="newer", width=1)


def test_a_later_set_is_shown_only_when_it_is_asked_for_and_the_older_stays(filled):
    embed(filled, Modality.TEXT, {"n": [7.0]}, rows((3, 0, "n")), encoder=NEWER)
    assert feature_sets.current_of(filled, Modality.TEXT).identity == ENCODER
    assert list(shown(filled, "text")) == ["A", "B", "C"]
    embed(filled, Modality.TEXT, {}, rows(), encoder=NEWER, as_default=True)
    assert feature_sets.current_of(filled, Modality.TEXT).identity == NEWER
    assert shown(filled, "text") == {"D": [7.0]}
    assert filled.query("SELECT count(*) AS n FROM vectors_1").item() == 2
    assert feature_sets.current_of(filled, Modality.VISUAL).identity == ENCODER


def test_finishing_tells_whether_the_set_is_shown(filled):
    newer = feature_sets.register(filled, Modality.TEXT, NEWER)
    first = feature_sets.current_of(filled, Modality.TEXT)
    assert not feature_sets.finish(filled, newer, n_failed=0, seconds=1.0)
    assert feature_sets.finish(filled, first, n_failed=0, seconds=1.0)  # finished again, it stays
    assert feature_sets.finish(filled, newer, n_failed=0, seconds=1.0, as_default=True)
    assert feature_sets.finish(filled, newer, n_failed=0, seconds=1.0)
    assert not feature_sets.finish(filled, first, n_failed=0, seconds=1.0)
    assert feature_sets.finish(filled, feature_sets.register(filled, Modality.AUDIO, NEWER), n_failed=0, seconds=1.0)


def test_what_is_current_comes_in_the_order_of_modalities_with_everything_that_was_registered(catalogue):
    encoder = replace(ENCODER, parameters={"grid": 4, "names": ["a"]}, versions={"pillow": "12"})
    for modality in (Modality.AUDIO, Modality.VISUAL):
        embed(catalogue, modality, {"c": [1.0, 1.0]}, rows((0, 0, "c")), encoder=encoder)
    current = feature_sets.current(catalogue)
    assert list(current) == [Modality.VISUAL, Modality.AUDIO]
    assert current[Modality.AUDIO].identity == encoder


def test_a_modality_without_a_feature_set_is_refused_with_the_command_that_makes_one(filled):
    with pytest.raises(FeatureMissing, match=r"audio has no feature set in .*test\.duckdb.*extract --modality audio.*present: visual,text"):
        feature_sets.current_of(filled, Modality.AUDIO)


def test_a_vector_of_another_width_is_refused(store):
    made = feature_sets.register(store, Modality.TEXT, ENCODER)
    with pytest.raises(StoreError, match=r"array of size 3 to array of size 2"):
        feature_sets.append_vectors(store, made, vectors({"t": [1.0, 2.0, 3.0]}))
