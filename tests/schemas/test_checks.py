"""Each invariant: nothing to report on a sound store, and a planted violation is found."""

import re

import pytest

from schemas.queries import documents

SQL = dict(documents("schemas.checks"))

#: A second text of item 0, and the mean of the two.
SEVERAL = (
    "INSERT INTO feature_rows VALUES (1, 0, 1, 't1'); "
    "INSERT INTO item_means SELECT 1, 0, 2, sum(md5_number_lower(content_sha256)), [0.5, 0.5] FROM feature_rows "
    "WHERE item_idx = 0 AND feature_set_id = 1"
)
#: Check -> what breaks it in the filled store. A check without a plant here fails the test, so a new one comes with its own.
PLANTS = {
    "assets_at_addresses_were_fetched": [
        "UPDATE assets SET location = 'https://pictures.example/1.jpg' WHERE modality = 'visual' AND status = 'ok'",
    ],
    "assets_belong_to_items": [
        "INSERT INTO assets VALUES (99, 'text', 0, 'title', 'x', 'ok', NULL)",
        "INSERT INTO assets VALUES (0, 'text', 0, 'title', 'x', 'ok', NULL)",
    ],
    "audio_vectors_are_finite_and_not_zero": [
        "CREATE OR REPLACE VIEW features_audio AS SELECT 0 AS item_idx, 'A' AS item_key, [0, 0]::FLOAT[2] AS vector",
        "CREATE OR REPLACE VIEW features_audio AS SELECT 0 AS item_idx, 'A' AS item_key, ['nan'::FLOAT, 1]::FLOAT[2] AS vector",
    ],
    "availability_agrees_with_vectors": [
        "DELETE FROM vectors_1 WHERE content_sha256 = 't0'",
        "INSERT INTO vectors_1 VALUES ('t0', [5, 5])",
        "UPDATE feature_sets SET is_current = false WHERE modality = 'visual'",
    ],
    "downloads_that_are_ok_have_a_file": [
        "INSERT INTO downloads VALUES ('http://a.example/', 'visual', 'ok', NULL, NULL, 3, '/a', TIMESTAMP '2024-01-01')",
        "INSERT INTO downloads VALUES ('http://a.example/', 'visual', 'ok', NULL, 'x', 3, NULL, TIMESTAMP '2024-01-01')",
        "INSERT INTO downloads VALUES ('http://a.example/', 'visual', 'fetch_error', '', NULL, NULL, NULL, TIMESTAMP '2024-01-01')",
        "INSERT INTO downloads VALUES ('http://a.example/', 'visual', 'pending', 'x', NULL, NULL, NULL, TIMESTAMP '2024-01-01')",
    ],
    "every_split_item_has_one_part": ["INSERT INTO split_items VALUES (1, 3, 'train')"],
    "faces_belong_to_items": [
        "INSERT INTO faces VALUES (99, 0, 1, 0.5, 0, 0, 1, 1)",
        "INSERT INTO faces VALUES (0, 0, 1, 0.5, 0, 0, 1, 1), (0, 0, 0, 0.5, 0, 0, 1, 1)",
    ],
    "failed_assets_state_a_reason": [
        "UPDATE assets SET reason = NULL WHERE status = 'absent'",
        "UPDATE assets SET reason = '' WHERE status = 'not_fetched'",
    ],
    "interactions_are_unique_pairs": ["INSERT INTO interactions VALUES (0, 0, 1.0, NULL)"],
    "interactions_name_known_users_and_items": [
        "INSERT INTO interactions VALUES (9, 0, 1.0, NULL)",
        "INSERT INTO interactions VALUES (0, 9, 1.0, NULL)",
    ],
    "item_ids_are_dense": ["DELETE FROM items WHERE item_idx = 1", "UPDATE items SET item_key = 'A' WHERE item_key = 'B'"],
    "masks_inside_availability": ["UPDATE split_availability SET lost = true WHERE item_idx = 3 AND modality = 'text'"],
    "no_vector_without_an_asset": [
        "DELETE FROM assets WHERE item_idx = 0 AND modality = 'text'",
        "UPDATE assets SET status = 'absent' WHERE item_idx = 1",
    ],
    "one_current_feature_set_a_modality": [
        "UPDATE feature_sets SET finished_at = NULL WHERE modality = 'text'",
        "UPDATE feature_sets SET modality = 'text'",
    ],
    "one_modality_is_always_left": ["UPDATE split_availability SET lost = true WHERE item_idx = 1 AND modality = 'text'"],
    "splits_hold_only_items_of_the_catalogue": ["INSERT INTO split_items VALUES (1, 99, 'train')"],
    "stored_means_are_of_the_items_contents": [
        "INSERT INTO item_means VALUES (9, 0, 2, 0, [1, 1])",
        "INSERT INTO item_means VALUES (1, 3, 2, 0, [1, 1])",
        "INSERT INTO item_means VALUES (1, 0, 2, 0, [1, 1])",
        f"{SEVERAL}; UPDATE item_means SET n = 3",
        f"{SEVERAL}; UPDATE item_means SET contents = contents + 1",
        f"{SEVERAL}; UPDATE item_means SET vector = [1]",
        f"{SEVERAL}; UPDATE feature_rows SET content_sha256 = 't0' WHERE position = 1",
        f"{SEVERAL}; INSERT INTO item_means SELECT * FROM item_means",
        f"{SEVERAL}; DELETE FROM feature_rows WHERE item_idx = 0",
    ],
    "text_vectors_are_finite_and_not_zero": [
        "UPDATE vectors_1 SET vector = [0, 0] WHERE content_sha256 = 't0'",
        "UPDATE vectors_1 SET vector = ['nan'::FLOAT, 1] WHERE content_sha256 = 't1'",
        "UPDATE vectors_1 SET vector = ['inf'::FLOAT, 1] WHERE content_sha256 = 't1'",
        "UPDATE vectors_1 SET vector = [NULL, 1] WHERE content_sha256 = 't1'",
    ],
    "title_words_belong_to_items": [
        "INSERT INTO title_words VALUES (99, 1, 1)",
        "INSERT INTO title_words VALUES (0, 1, 0)",
        "INSERT INTO title_words VALUES (0, 1, 1), (0, 1, 2)",
    ],
    "usable_assets_state_no_reason": [
        "UPDATE assets SET reason = 'another encoder failed' WHERE status = 'ok'",
        "UPDATE assets SET reason = '' WHERE status = 'ok'",
    ],
    "user_ids_are_dense": ["UPDATE users SET user_idx = 5 WHERE user_idx = 1", "UPDATE users SET user_key = 'anna'"],
    "visual_vectors_are_finite_and_not_zero": ["UPDATE vectors_2 SET vector = [0, 0]", "UPDATE vectors_2 SET vector = ['-inf'::FLOAT, 1]"],
}


def test_an_empty_store_breaks_no_rule(store):
    assert {name for name, found in store.violations().items() if found.height} == set()


def test_the_filled_store_breaks_no_rule_and_every_rule_was_looked_at(filled):
    found = filled.violations()
    assert {name for name, rows in found.items() if rows.height} == set()
    assert list(found) == sorted(SQL)


def test_the_mean_that_plants_start_from_breaks_no_rule(filled):
    filled.run(SEVERAL)
    assert {name for name, rows in filled.violations().items() if rows.height} == set()


def test_every_check_has_a_planted_violation_here():
    assert sorted(PLANTS) == sorted(SQL)


@pytest.mark.parametrize(("name", "plant"), [(name, plant) for name, plants in PLANTS.items() for plant in plants])
def test_a_planted_violation_is_found_by_its_check(filled, name, plant):
    filled.run(plant)
    assert filled.query(SQL[name]).height > 0


@pytest.mark.parametrize("name", sorted(SQL))
def test_a_check_opens_with_its_rule_in_words(name):
    assert re.match(r"-- [A-Z].*[.:]", SQL[name])


def test_a_violation_shows_which_row_it_is(filled):
    filled.run("INSERT INTO interactions VALUES (0, 0, 1.0, NULL)")
    assert filled.violations()["interactions_are_unique_pairs"].rows() == [(0, 0, 2)]
