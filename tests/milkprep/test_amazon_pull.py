"""`pull amazon`: what a catalogue becomes, on lines written by hand."""

from datetime import datetime

import pytest
from raw_files import count, metadata, pull_amazon, rejects, review, table, write_lines

from milkprep.sources import amazon
from schemas import fingerprint
from schemas.reporting import Silent
from schemas.store import Store


def test_ids_are_dense_and_follow_the_bytes_of_keys_not_the_order_of_lines(tmp_path):
    reviews = [review("zoe", "b"), review("Ann", "é"), review("ann", "B"), review("Ann", "a")]
    pull_amazon(tmp_path, [metadata(key) for key in ("é", "b", "a", "B")], reviews)
    assert table(tmp_path, "SELECT * FROM users ORDER BY user_idx") == [(0, "Ann"), (1, "ann"), (2, "zoe")]
    assert table(tmp_path, "SELECT item_idx, item_key FROM items ORDER BY item_idx") == [(0, "B"), (1, "a"), (2, "b"), (3, "é")]
    assert table(tmp_path, "SELECT user_idx, item_idx FROM interactions") == [(0, 1), (0, 3), (1, 0), (2, 2)]


def test_rating_and_time_are_stored_and_the_time_is_utc(tmp_path):
    pull_amazon(tmp_path, [metadata()], [review(seconds=1_529_193_600, rating=4.0), review("U2", overall=None, unixReviewTime=None)])
    found = table(tmp_path, 'SELECT user_idx, rating, "timestamp" FROM interactions ORDER BY user_idx')
    assert found == [(0, 4.0, datetime(2018, 6, 17)), (1, None, None)]


def test_of_a_repeated_pair_the_earliest_review_stays_then_the_first_line(tmp_path):
    reviews = [
        review(rating=1.0, seconds=300),
        review(rating=2.0, seconds=100),
        review(rating=3.0, seconds=100),
        review(rating=4.0, unixReviewTime=None),
        review("U2"),
    ]
    report = pull_amazon(tmp_path, [metadata()], reviews)
    assert table(tmp_path, "SELECT rating FROM interactions WHERE user_idx = 0") == [(2.0,)]
    assert rejects(tmp_path) == [(1, "duplicate_pair"), (3, "duplicate_pair"), (4, "duplicate_pair")]
    assert table(tmp_path, "SELECT DISTINCT detail FROM rejects") == [("same user and item as line 2, which is kept",)]
    assert count(report, "reviews.json.gz", "duplicate_pair") == 3


def test_copies_of_a_line_are_told_apart_from_other_lines_of_the_pair(tmp_path):
    reviews = [review(seconds=300), review(seconds=100), review(seconds=300), review(seconds=100)]
    pull_amazon(tmp_path, [metadata()], reviews)
    found = table(tmp_path, "SELECT line, reason, detail FROM rejects ORDER BY line")
    assert found == [
        (1, "duplicate_pair", "same user and item as line 2, which is kept"),
        (3, "duplicate_line", "same bytes as line 1"),
        (4, "duplicate_line", "same bytes as line 2"),
    ]


def test_of_several_lines_of_an_item_the_first_stays(tmp_path):
    items = [metadata(title="First"), metadata(title="Second"), metadata(title="First"), metadata(title="Second")]
    pull_amazon(tmp_path, items, [review()])
    assert table(tmp_path, "SELECT title FROM items") == [("First",)]
    assert rejects(tmp_path) == [(2, "duplicate_item"), (3, "duplicate_line"), (4, "duplicate_line")]


def test_the_core_is_iterated_until_nothing_more_falls(tmp_path):
    # U1..U3 x I1..I3 is a 3-core. I4 has U1, U2 and U4; U4 has I4 and I5, too few, and takes I4 with it.
    pairs = [(f"U{u}", f"I{i}") for u in (1, 2, 3) for i in (1, 2, 3)] + [("U1", "I4"), ("U2", "I4"), ("U4", "I4"), ("U4", "I5")]
    report = pull_amazon(tmp_path, [metadata(f"I{i}") for i in range(1, 6)], [review(u, i) for u, i in pairs], core=3)
    assert (report.n_users, report.n_items, report.n_interactions) == (3, 3, 9)
    assert rejects(tmp_path, "reviews.json.gz") == [(line, "below_core") for line in (10, 11, 12, 13)]
    assert rejects(tmp_path, "meta.json.gz") == [(4, "no_interactions"), (5, "no_interactions")]


def test_items_without_interactions_are_kept_on_request(tmp_path):
    items = [metadata("I1"), metadata("I0"), metadata("I2", title="")]
    report = pull_amazon(tmp_path, items, [review("U1", "I1")], keep_all_items=True)
    assert table(tmp_path, "SELECT item_key, title FROM items ORDER BY item_idx") == [("I0", "Item I0"), ("I1", "Item I1"), ("I2", None)]
    assert (report.n_items, rejects(tmp_path)) == (3, [])


def test_an_item_that_the_metadata_lacks_is_kept_and_says_so(tmp_path):
    report = pull_amazon(tmp_path, [metadata("I1")], [review("U1", "I1"), review("U1", "I2")])
    assert table(tmp_path, "SELECT item_key, title, categories, in_metadata FROM items WHERE item_idx = 1") == [("I2", None, [], False)]
    assert table(tmp_path, "SELECT DISTINCT status, reason FROM assets WHERE item_idx = 1") == [("absent", "not in the metadata")]
    assert table(tmp_path, "SELECT visual_reason, text_reason FROM modality_availability WHERE item_idx = 1") == [("not in the metadata",) * 2]
    assert count(report, "meta.json.gz", "not_in_metadata") == 1
    assert rejects(tmp_path) == []


def test_texts_are_cleaned_and_their_content_is_named_by_digest(tmp_path):
    item = metadata(
        title=" Salt &amp; Pepper ", description=["<p>Fine&nbsp;salt.</p>", "", "Ünd more."], brand="A &amp; B", category=["Food &amp; Co", ""]
    )
    pull_amazon(tmp_path, [item], [review()])
    assert table(tmp_path, "SELECT title, description, brand, categories FROM items") == [
        ("Salt & Pepper", "Fine salt.\nÜnd more.", "A & B", ["Food & Co"]),
    ]
    assert table(tmp_path, "SELECT position, location, content_sha256, status, reason FROM assets WHERE modality = 'text' ORDER BY position") == [
        (0, "items.title", fingerprint.of_text("Salt & Pepper"), "ok", None),
        (1, "items.description", fingerprint.of_text("Fine salt.\nÜnd more."), "ok", None),
    ]


def test_a_scraped_title_is_missing_and_counted(tmp_path):
    items = [metadata("I1", title='<span class="a-size">'), metadata("I2", title=""), metadata("I3")]
    report = pull_amazon(tmp_path, items, [review("U1", key) for key in ("I1", "I2", "I3")])
    found = table(tmp_path, "SELECT title, text_reason FROM items JOIN modality_availability USING (item_idx) ORDER BY item_idx")
    assert found == [(None, "scraped HTML instead of a title"), (None, "no title in the metadata"), ("Item I3", "not extracted yet")]
    assert count(report, "meta.json.gz", "scraped_title") == 1


def test_missing_texts_are_absent_assets_with_a_reason(tmp_path):
    pull_amazon(tmp_path, [metadata(title="")], [review()])
    assert table(tmp_path, "SELECT position, content_sha256, status, reason FROM assets WHERE modality = 'text' ORDER BY position") == [
        (0, None, "absent", "no title in the metadata"),
        (1, None, "absent", "no description in the metadata"),
    ]


@pytest.mark.parametrize(
    ("fields", "addresses"),
    [
        ({"imageURLHighRes": ["h1", "h2", "h1"], "imageURL": ["s1", "s2", "s1"]}, ["h1", "h2"]),
        ({"imageURLHighRes": [], "imageURL": ["s1"]}, ["s1"]),
        ({"imageURLHighRes": [""], "imageURL": ["s1"]}, ["s1"]),
        ({"image": ["e1", "e2"]}, ["e1", "e2"]),
        ({"image": "e1"}, ["e1"]),
    ],
)
def test_the_best_pictures_of_either_schema_become_assets_in_order(tmp_path, fields, addresses):
    pull_amazon(tmp_path, [metadata(**fields)], [review()])
    found = table(tmp_path, "SELECT position, location, status, reason FROM assets WHERE modality = 'visual' ORDER BY position")
    assert found == [(at, address, "not_fetched", "address not fetched") for at, address in enumerate(addresses)]


def test_an_item_without_a_picture_has_one_absent_asset(tmp_path):
    pull_amazon(tmp_path, [metadata()], [review()])
    found = table(tmp_path, "SELECT position, location, status, reason FROM assets WHERE modality = 'visual'")
    assert found == [(0, "", "absent", "no picture address in the metadata")]
    assert table(tmp_path, "SELECT count(*) FROM assets WHERE modality = 'audio'") == [(0,)]


def test_keys_and_texts_with_any_character_survive(tmp_path):
    key = "../..\u0000'; DROP TABLE items; --\U0001f600"
    pull_amazon(tmp_path, [metadata(key, title="a\u0000b $x {y}")], [review(key, key)])
    assert table(tmp_path, "SELECT item_key, title, user_key FROM items, users") == [(key, "a\u0000b $x {y}", key)]


def test_every_check_of_the_store_holds_after_a_pull(tmp_path):
    items = [metadata("I1", image=["a"]), metadata("I2", title=""), metadata("I3")]
    pull_amazon(tmp_path, items, [review(f"U{u}", f"I{i}") for u in range(3) for i in range(5)], keep_all_items=True)
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert {rule: rows.rows() for rule, rows in store.violations().items() if rows.height} == {}


def test_the_pull_is_recorded_with_its_inputs_and_settings(tmp_path):
    pull_amazon(tmp_path, [metadata()], [review()], core=1)
    reviews = tmp_path / "reviews.json.gz"
    found = table(tmp_path, "SELECT source, parameters->>'core', inputs->1->>'path', inputs->1->>'bytes', inputs->1->>'sha256' FROM pulls")
    assert found == [("amazon-2018", "1", str(reviews), str(reviews.stat().st_size), fingerprint.of_file(reviews))]


def test_files_of_one_name_in_two_folders_are_told_apart_in_rejects(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    items = write_lines(tmp_path / "a" / "x.json", [metadata(), b"{"])
    reviews = write_lines(tmp_path / "b" / "x.json", [review(), b"{"])
    amazon.pull(tmp_path / "s.duckdb", metadata=items, reviews=reviews, core=0, reporter=Silent())
    assert table(tmp_path, "SELECT source, line FROM rejects ORDER BY source") == [(str(items), 2), (str(reviews), 2)]
