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
    feature_sets.finish(filled, other, n_failed=0, seconds=1.0, as_default=True)
    assert [row["text"] for row in matrix(filled)] == [True, False, False, False]


def reasons(store, modality):
    return store.query(f"SELECT {modality}_reason AS reason FROM modality_availability ORDER BY item_idx")["reason"].to_list()


def fail(store, number, *failures):
    """Failures of a set as (item, position, status, reason)."""
    for item, position, status, reason in failures:
        store.run("INSERT INTO feature_failures VALUES ($n, $i, $p, NULL, $s, $r)", n=number, i=item, p=position, s=status, r=reason)


def test_what_the_current_set_could_not_do_is_the_first_reason(filled):
    fail(filled, 2, (1, 0, "decode_error", "cut short"), (2, 1, "absent", "no frames"), (2, 3, "silent", "third"), (2, 2, "silent", "second"))
    assert reasons(filled, "visual") == [None, "cut short", "second", "the source has no visual content"]
    fail(filled, 2, (3, 0, "absent", "no sound track"))
    assert reasons(filled, "visual")[3] == "no sound track"


def test_failures_of_a_set_that_is_not_shown_are_no_reason(filled):
    other = feature_sets.register(filled, Modality.VISUAL, replace(ENCODER, encoder="other"))
    fail(filled, other.feature_set_id, (1, 0, "decode_error", "the other one failed"))
    assert reasons(filled, "visual")[1] == "its address was not fetched"


def test_reasons_change_with_the_set_that_is_shown(filled):
    other = feature_sets.register(filled, Modality.TEXT, replace(ENCODER, encoder="newer"))
    feature_sets.append_vectors(filled, other, vectors({"t0": [1.0, 1.0]}))
    feature_sets.append_rows(filled, other, rows((0, 0, "t0")))
    fail(filled, other.feature_set_id, (1, 0, "decode_error", "its vector is not finite"))
    assert reasons(filled, "text") == [None, None, None, "the title is empty"]
    first = feature_sets.current_of(filled, Modality.TEXT)
    feature_sets.finish(filled, other, n_failed=1, seconds=1.0)
    feature_sets.make_current_inside(filled, other)
    assert reasons(filled, "text") == [None, "its vector is not finite", "not extracted yet", "the title is empty"]
    feature_sets.make_current_inside(filled, first)
    assert reasons(filled, "text") == [None, None, None, "the title is empty"]


def test_content_that_is_ok_stands_before_content_that_is_not_and_states_no_reason(catalogue):
    add_assets(catalogue, (0, "visual", 0, "v", "ok", None), (0, "visual", 1, None, "decode_error", "cut short"))
    assert reasons(catalogue, "visual")[0] == "not extracted yet"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["brand"], [None, "no text in brand", "no text in brand", "no text in brand"]),
        (["title", "brand"], [None, "not extracted yet", "not extracted yet", "no text in title, brand"]),
        (["description"], [None, "no text in description", "not extracted yet", "no text in description"]),
        (["categories"], [None, "not extracted yet", "no text in categories", "no text in categories"]),
        ("title", [None, "not extracted yet", "not extracted yet", "not extracted yet"]),
        (None, [None, "not extracted yet", "not extracted yet", "not extracted yet"]),
    ],
)
def test_text_in_columns_that_the_set_is_not_made_of_is_told_apart_from_text_nobody_embedded_yet(catalogue, fields, expected):
    catalogue.run("UPDATE items SET description = 'x' WHERE item_idx = 2")
    catalogue.run("UPDATE items SET description = ' \n\t' WHERE item_idx = 3")
    catalogue.run("UPDATE items SET categories = ['toys'] WHERE item_idx = 1")
    add_assets(catalogue, *((item, "text", 0, None, "ok", None) for item in range(4)))
    made = feature_sets.register(catalogue, Modality.TEXT, replace(ENCODER, parameters={"fields": fields}))
    feature_sets.append_vectors(catalogue, made, vectors({"t": [1.0, 1.0]}))
    feature_sets.append_rows(catalogue, made, rows((0, 0, "t")))
    feature_sets.finish(catalogue, made, n_failed=0, seconds=1.0)
    assert reasons(catalogue, "text") == expected


def test_an_item_whose_columns_are_empty_keeps_the_reason_of_its_source(catalogue):
    add_assets(catalogue, (0, "text", 0, None, "ok", None), (3, "text", 0, None, "absent", "only scraped HTML"))
    made = feature_sets.register(catalogue, Modality.TEXT, replace(ENCODER, parameters={"fields": ["title"]}))
    feature_sets.append_vectors(catalogue, made, vectors({"t": [1.0, 1.0]}))
    feature_sets.append_rows(catalogue, made, rows((0, 0, "t")))
    feature_sets.finish(catalogue, made, n_failed=0, seconds=1.0)
    assert reasons(catalogue, "text")[1:] == ["the source has no text content", "the source has no text content", "only scraped HTML"]
