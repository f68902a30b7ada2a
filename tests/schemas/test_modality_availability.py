"""The availability matrix: a row an item, true where the current feature set has its vector, and why where not."""

from dataclasses import replace

import pytest
from handmade import ENCODER, add_assets, rows, vectors

from schemas import feature_sets
from schemas.contracts import Modality


def matrix(store):
    """The view's rows, in its own order."""
    return store.query("SELECT * FROM modality_availability").rows(named=True)


def test_every_item_has_a_row_even_before_anything_is_known(catalogue):
    found = matrix(catalogue)
    assert [row["item_key"] for row in found] == ["A", "B", "C", "D"]
    assert [(row["visual"], row["text"], row["audio"]) for row in found] == [(False, False, False)] * 4
    assert found[0]["audio_reason"] == "the source has no audio content"


def test_the_matrix_of_the_filled_store_is_as_worked_by_hand(filled):
    assert [(row["visual"], row["text"], row["audio"]) for row in matrix(filled)] == [
        (True, True, False),
        (False, True, False),
        (False, True, False),
        (False, False, False),
    ]


def test_where_a_modality_is_there_no_reason_is_given_and_where_not_one_is(filled):
    for row in matrix(filled):
        for modality in Modality:
            assert (row[f"{modality}_reason"] is None) == row[modality]


@pytest.mark.parametrize(
    ("item", "modality", "reason"),
    [
        ("B", "visual", "its address was not fetched"),
        ("C", "visual", "the source has no visual content"),
        ("D", "text", "the title is empty"),
        ("A", "audio", "the source has no audio content"),
    ],
)
def test_the_reason_is_the_assets_own_where_it_has_one(filled, item, modality, reason):
    assert filled.query(f"SELECT {modality}_reason AS reason FROM modality_availability WHERE item_key = $item", item=item).item() == reason


def test_content_that_nobody_embedded_yet_is_told_apart_from_content_that_is_not_there(catalogue):
    add_assets(catalogue, (0, "text", 0, "t", "ok", None))
    assert [row["text_reason"] for row in matrix(catalogue)][:2] == ["not extracted yet", "the source has no text content"]


def test_one_readable_picture_of_several_is_enough(catalogue):
    add_assets(catalogue, (0, "visual", 0, None, "decode_error", "cut short"), (0, "visual", 1, "v", "ok", None))
    made = feature_sets.register(catalogue, Modality.VISUAL, ENCODER)
    feature_sets.append_vectors(catalogue, made, vectors({"v": [1.0, 1.0]}))
    feature_sets.append_rows(catalogue, made, rows((0, 1, "v")))
    feature_sets.finish(catalogue, made, n_failed=1, seconds=1.0)
    assert (matrix(catalogue)[0]["visual"], matrix(catalogue)[0]["visual_reason"]) == (True, None)


def test_of_several_failed_pictures_the_first_gives_the_reason(catalogue):
    add_assets(catalogue, (0, "visual", 1, None, "absent", "second"), (0, "visual", 0, None, "decode_error", "first"))
    assert matrix(catalogue)[0]["visual_reason"] == "first"


def test_availability_follows_the_current_feature_set(filled):
    other = feature_sets.register(filled, Modality.TEXT, replace(ENCODER, encoder="newer"))
    feature_sets.append_vectors(filled, other, vectors({"t0": [1.0, 1.0]}))
    feature_sets.append_rows(filled, other, rows((0, 0, "t0")))
    assert [row["text"] for row in matrix(filled)] == [True, True, True, False]
    feature_sets.finish(filled, other, n_failed=0, seconds=1.0)
    assert [row["text"] for row in matrix(filled)] == [True, False, False, False]
