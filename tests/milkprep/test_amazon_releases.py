"""`pull amazon`, releases 2014 and 2023: each trap of their formats, and what is missing said in words."""

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_files import count, pull_amazon, rejects, table, write_lines

from milkprep.pull import items
from milkprep.pull.staging import RawFile, stage_lines
from milkprep.sources import _amazon_2014, _amazon_2023, amazon
from schemas.errors import BadValue, SourceError
from schemas.reporting import Silent
from schemas.store import Store

TITLE, DESCRIPTION, PICTURE = "no title in the metadata", "no description in the metadata", "no picture address in the metadata"


def item_2014(key="I1", **more):
    """A line of metadata as the release wrote it."""
    return repr({"asin": key, "title": f"Item {key}", "categories": [["Toys"]], **more}).encode()


def review_2014(user="U1", item="I1", **more):
    return json.dumps({"reviewerID": user, "asin": item, "helpful": [0, 1], "overall": 4.0, "unixReviewTime": 1_393_545_600, **more}).encode()


def item_2023(key="I1", **more):
    fields = {"main_category": None, "title": f"Item {key}", "features": ["Soft"], "description": [], "price": None, "images": [], "videos": []}
    return json.dumps(fields | {"store": None, "categories": [], "details": {}, "parent_asin": key, "bought_together": None} | more).encode()


def review_2023(user="U1", item="I1", **more):
    fields = {"rating": 5.0, "title": "Good", "text": "Yes", "images": [], "asin": "VARIANT", "parent_asin": item, "user_id": user}
    return json.dumps(fields | {"timestamp": 1_588_687_728_923, "helpful_vote": 0, "verified_purchase": True} | more).encode()


def items_of(folder):
    return table(folder, "SELECT item_key, title, description, brand, categories FROM items ORDER BY item_key")


def assets_of(folder, modality):
    sql = f"SELECT item_key, location, reason FROM assets JOIN items USING (item_idx) WHERE modality = '{modality}' ORDER BY item_key, position"
    return table(folder, sql)


def test_items_of_2014_are_flattened_decoded_and_say_what_they_lack(tmp_path):
    items = [
        item_2014(
            title="Salt &amp; Pepper", brand="", description='He said "don\'t".\nNew 5 &lt; 6', imUrl="http://e.org/a.jpg",
            categories=[["Home & Kitchen", "Dining"], ["Home & Kitchen", "Gifts &amp; More", "Dining"]], salesRank={"Home &amp; Kitchen": 1},
            related={"also_bought": ["I2", "I3"]}, price=1.5,
        ),
        item_2014("I2", imUrl="http://g.org/no-img-sm._CB192198896_.gif", title="", brand="A & B", salesRank={}),
        b"{'asin': 'I3'}",
        json.dumps({"asin": "I4", "title": None, "categories": [["Toys"]], "imUrl": None}).encode(),  # as some mirrors have it
    ]  # fmt: skip
    report = pull_amazon(tmp_path, items, [review_2014("U1", f"I{n}") for n in range(1, 5)])
    assert report.source == "amazon-2014"
    assert items_of(tmp_path) == [
        ("I1", "Salt & Pepper", 'He said "don\'t".\nNew 5 < 6', None, ["Home & Kitchen", "Dining", "Gifts & More"]),
        ("I2", None, None, "A & B", ["Toys"]),
        ("I3", None, None, None, []),
        ("I4", None, None, None, ["Toys"]),
    ]
    assert assets_of(tmp_path, "visual") == [
        ("I1", "http://e.org/a.jpg", "address not fetched"),
        ("I2", "", "only a 'no image' placeholder in the metadata"),
        ("I3", "", PICTURE),
        ("I4", "", PICTURE),
    ]
    assert [reason for _, _, reason in assets_of(tmp_path, "text")] == [None, None, *[TITLE, DESCRIPTION] * 3]


def test_lines_of_2014_that_are_no_literal_have_their_reason_and_are_never_run(tmp_path):
    marker = tmp_path / "run"
    lines = [
        f"{{'asin': open({str(marker)!r}, 'w').name}}".encode(),
        b"{'asin': 'I1', 'title': 'cut",
        b"{'asin': 17}",
        b"{'title': 'x'}",
        b"{'asin': '\xff'}",
        b"{'asin': 'I1', 'categories': ['flat', None, ['deep']]}",
        b"",
        b"('I1',)",
    ]
    report = pull_amazon(tmp_path, [item_2014("I0"), *lines], [review_2014("U1", "I1")])
    assert rejects(tmp_path, "meta.json.gz") == [
        (1, "no_interactions"), (2, "malformed"), (3, "malformed"), (4, "wrong_type"), (5, "missing_key"), (6, "not_utf8"),
        (8, "malformed"), (9, "malformed"),
    ]  # fmt: skip
    assert not marker.exists()
    assert items_of(tmp_path) == [("I1", None, None, None, ["flat", "deep"])]
    details = table(tmp_path, "SELECT detail FROM rejects WHERE line IN (2, 9) AND source = 'meta.json.gz' ORDER BY line")
    assert 'no Python literal: "open(' in details[0][0]
    assert "no Python literal: \"('I1',)\" at byte 1" in details[1][0]
    assert count(report, "meta.json.gz", "taken") == 1


def test_reviews_of_2014_count_as_those_of_2018(tmp_path):
    pull_amazon(tmp_path, [item_2014()], [review_2014(reviewerName="A"), review_2014("U2", unixReviewTime=0), review_2014("U3", overall=9)])
    found = table(tmp_path, 'SELECT user_key, rating, epoch("timestamp")::BIGINT FROM interactions JOIN users USING (user_idx) ORDER BY user_key')
    assert found == [("U1", 4.0, 1_393_545_600), ("U2", 4.0, 0)]
    assert rejects(tmp_path) == [(3, "wrong_type")]


PICTURES = [
    {"thumb": "t1", "large": "l1", "variant": "MAIN", "hi_res": "h1"},
    {"thumb": "t2", "large": "l2", "hi_res": None},
    {"thumb": "t3", "large": None, "hi_res": ""},
    None,
    {"thumb": None, "large": None, "hi_res": None},
    {"variant": "PT01"},
    {"thumb": "t9", "large": "l1", "hi_res": "h1"},
]


def test_items_of_2023_take_the_largest_of_each_picture_and_anything_may_be_null(tmp_path):
    items = [
        item_2023(images=PICTURES, store="Shop &amp; Co", categories=["A", None, "B"], description=["One.", None, "Two&nbsp;2."]),
        item_2023("I2", title=None, images=None, description=None, categories=None, features=None),
    ]
    report = pull_amazon(tmp_path, items, [review_2023("U1", "I1"), review_2023("U1", "I2")])
    assert report.source == "amazon-2023"
    assert items_of(tmp_path) == [("I1", "Item I1", "One.\nTwo 2.", "Shop & Co", ["A", "B"]), ("I2", None, None, None, [])]
    assert [location for key, location, _ in assets_of(tmp_path, "visual") if key == "I1"] == ["h1", "l2", "t3"]
    assert [reason for key, _, reason in assets_of(tmp_path, "visual") if key == "I2"] == [PICTURE]


def test_reviews_of_2023_are_of_the_parent_and_their_milliseconds_become_seconds(tmp_path):
    reviews = [
        review_2023("U1", "I1", timestamp=1_588_687_728_923),
        review_2023("U2", "I1", timestamp=None, rating=None),
        review_2023("U3", None),
        review_2023(None, "I1"),
        review_2023("U4", "I1", timestamp=300_000_000_000_000),
        review_2023("U5", "I1", rating="5"),
    ]
    pull_amazon(tmp_path, [item_2023()], reviews)
    found = table(
        tmp_path,
        'SELECT user_key, item_key, rating, epoch("timestamp")::BIGINT FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx)',
    )
    assert sorted(found) == [("U1", "I1", 5.0, 1_588_687_728), ("U2", "I1", None, None)]
    assert rejects(tmp_path) == [(3, "missing_key"), (4, "missing_key"), (5, "wrong_type"), (6, "wrong_type")]
    assert table(tmp_path, "SELECT detail FROM rejects WHERE line < 5 ORDER BY line") == [("no parent_asin",), ("no user_id",)]


def test_sound_reviews_of_2023_are_read_alike_alone_and_beside_odd_ones(tmp_path):
    contents = []
    for at, odd in enumerate(([], [b"{"])):
        (tmp_path / str(at)).mkdir()
        pull_amazon(tmp_path / str(at), [item_2023()], [*[review_2023(f"U{n}", timestamp=999 + 500 * n) for n in range(6)], *odd])
        contents.append(table(tmp_path / str(at), 'SELECT user_idx, rating, epoch("timestamp")::BIGINT AS s FROM interactions ORDER BY ALL'))
    assert contents[0] == contents[1]
    assert [seconds for _, _, seconds in contents[0]] == [0, 1, 1, 2, 2, 3]


def test_without_metadata_items_have_no_text_and_say_so(tmp_path):
    (tmp_path / "r.json").write_bytes(review_2014() + b"\n" + review_2014("U2", "I2") + b"\n")
    report = amazon.pull(tmp_path / "s.duckdb", reviews=tmp_path / "r.json", core=0, reporter=Silent())
    assert (report.n_items, report.steps["file"].unique().to_list()) == (2, ["r.json"])
    assert table(tmp_path, "SELECT item_key, title, in_metadata FROM items ORDER BY item_key") == [("I1", None, False), ("I2", None, False)]
    assert {reason for _, _, reason in assets_of(tmp_path, "text")} == {"not in the metadata"}
    assert not amazon.pull(tmp_path / "s.duckdb", reviews=tmp_path / "r.json", core=0, reporter=Silent()).changed


def features(folder, *asins):
    """Published visual features; the first value of each vector is its number."""
    file = folder / "image_features_Toys.b"
    file.write_bytes(b"".join(asin.encode().ljust(10, b"0") + struct.pack("<4096f", at, *[0.5] * 4095) for at, asin in enumerate(asins, 1)))
    return file


def test_published_features_become_the_visual_vectors_and_the_assets_lie_in_their_file(tmp_path):
    items = [item_2014(key, imUrl="http://e.org/a.jpg") for key in ("B000000001", "B000000002")]
    reviews = [review_2014("U1", key) for key in ("B000000001", "B000000002")]
    options = {"visual_features": features(tmp_path, "B000000009", "B000000002", "B000000002")}
    report = pull_amazon(tmp_path, items, reviews, **options)
    assert table(tmp_path, "SELECT item_key, vector[1], len(vector) FROM features_visual") == [("B000000002", 2.0, 4096)]
    assert assets_of(tmp_path, "visual") == [
        ("B000000001", "image_features_Toys.b", "not in image_features_Toys.b"),
        ("B000000002", "image_features_Toys.b", None),
    ]
    counted = {rule: count(report, "image_features_Toys.b", rule) for rule in ("read", "without_item", "duplicate_item", "taken")}
    assert counted == {"read": 3, "without_item": 1, "duplicate_item": 1, "taken": 1}
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []
    assert not pull_amazon(tmp_path, items, reviews, **options).changed


def test_features_and_pictures_are_not_both_what_an_item_shows(tmp_path):
    (tmp_path / "media" / "images").mkdir(parents=True)
    (tmp_path / "media" / "images" / "I1.png").write_bytes(b"a picture")
    with pytest.raises(BadValue, match=r"--media holds pictures or videos, and .* holds visual features too.*Leave one out"):
        pull_amazon(tmp_path, [item_2014()], [review_2014()], media=tmp_path / "media", visual_features=features(tmp_path, "I1"))


def test_a_file_that_holds_no_features_stores_nothing(tmp_path):
    (tmp_path / "x.b").write_bytes(b"B000000001" + b"\0" * 100)
    with pytest.raises(SourceError, match="cut short or another kind of file"):
        pull_amazon(tmp_path, [item_2014()], [review_2014()], visual_features=tmp_path / "x.b")
    assert not (tmp_path / "s.duckdb").exists()


BASES = {
    "2014": [item_2014(f"I{n}", description=text, imUrl="a.jpg") for n in range(3) for text in ("Plain", "Don't", "Both ' and \"", "A\nb &amp; \\")],
    "2023": [item_2023(f"I{n}", images=PICTURES[:n], store="A &amp; B") for n in range(4)],
}
SHAPES = {"2014": _amazon_2014.metadata_shape, "2023": _amazon_2023.metadata_shape}


@pytest.fixture(scope="module")
def memory():
    """A store that examples of one test share; temporary tables are made anew by each."""
    with Store(":memory:", mode="write") as store:
        yield store


@pytest.mark.parametrize("release", SHAPES)
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_each_line_is_a_row_or_a_reject_and_reads_the_same_alone_as_among_others(memory, tmp_path, release, data):
    lines = [data.draw(st.sampled_from(BASES[release])) for _ in range(data.draw(st.integers(1, 6)))]
    for at in range(len(lines)):
        for _ in range(data.draw(st.integers(0, 2))):
            # Never the first byte: alone a line is a file, and a mark of its encoding or an archive's is one only there.
            line, where = lines[at], data.draw(st.integers(1, len(lines[at])))
            piece = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"'", b'"', b"\\", b"None", b"null", b"[", b"{}"])))
            lines[at] = (line[:where] + piece + line[where + data.draw(st.integers(0, 3)) :]).replace(b"\n", b" ")
    columns = "item_key, title, description, brand, categories, pictures, title_reason, description_reason, picture_reason"
    found = []
    for together in (True, False):
        items.create_tables(memory)
        for number, text in [(0, lines)] if together else enumerate([[line] for line in lines]):
            file = write_lines(tmp_path / "meta.json", text)
            n_lines = stage_lines(memory, RawFile(file, "m"), SHAPES[release](wanted=None), reporter=Silent())
            assert n_lines == len(text), number
        taken, refused = (
            memory.query(f"SELECT {columns} FROM staged_items ORDER BY ALL"),
            memory.query("SELECT reason, text_start FROM staged_rejects ORDER BY ALL"),
        )
        assert taken.height + refused.height == len(lines)
        found.append((taken.rows(), refused.rows()))
    assert found[0] == found[1]
