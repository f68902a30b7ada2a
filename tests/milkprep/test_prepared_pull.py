"""`pull prepared`: pairs with given ids, ready-made vectors, and a table of items in somebody's own columns."""

import gzip
import hashlib
import json
from datetime import datetime

import numpy as np
import pytest
from raw_files import count, pull_files, pull_prepared, rejects, table, write_vectors

from milkprep.sources import _vectors
from schemas.contracts import Modality
from schemas.errors import DataError, SourceError
from schemas.store import Store

NAN, INF = float("nan"), float("inf")
PAIRS = [(0, 2), (1, 0), (0, 0)]


def vectors(folder, modality="visual"):
    """item_idx and vector of a modality, by item."""
    return [(item, list(vector)) for item, vector in table(folder, f"SELECT item_idx, vector FROM features_{modality} ORDER BY item_idx")]


def write_items(folder, items, *, name="items.jsonl"):
    """Items to a file of JSON lines."""
    (folder / name).write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder / name


def test_items_keep_their_ids_and_every_row_of_the_vectors_is_an_item(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1, 2], [3, 4], [5, 6], [7, 8]])
    report = pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    assert (report.source, report.n_users, report.n_items, report.n_interactions) == ("prepared", 2, 4, 3)
    assert table(tmp_path, "SELECT item_idx, item_key FROM items ORDER BY item_idx") == [(n, str(n)) for n in range(4)]
    assert table(tmp_path, "SELECT user_idx, item_idx, rating, timestamp FROM interactions") == [
        (0, 0, None, None),
        (0, 2, None, None),
        (1, 0, None, None),
    ]
    assert vectors(tmp_path) == [(0, [1, 2]), (1, [3, 4]), (2, [5, 6]), (3, [7, 8])]


def test_ids_are_ordered_as_numbers_and_gaps_in_user_ids_are_closed(tmp_path):
    pull_prepared(tmp_path, [(10, 0), (9, 1), (100, 2), (9, 0)])
    assert table(tmp_path, "SELECT user_idx, user_key FROM users ORDER BY user_idx") == [(0, "9"), (1, "10"), (2, "100")]
    assert table(tmp_path, "SELECT user_idx, item_idx FROM interactions") == [(0, 0), (0, 1), (1, 0), (2, 2)]


def test_rating_and_time_are_read_by_the_name_of_their_column(tmp_path):
    header = "timestamp\titemID\tx_label\trating\tuserID"
    pull_prepared(tmp_path, [(1_529_193_600.7, 0, 2, 3.5, 0), ("", 1, 0, "", 0)], header=header)
    assert table(tmp_path, "SELECT item_idx, rating, timestamp FROM interactions ORDER BY item_idx") == [
        (0, 3.5, datetime(2018, 6, 17)),
        (1, None, None),
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "longdouble"])
def test_any_float_type_is_stored_as_float32(tmp_path, dtype):
    file = write_vectors(tmp_path / "v.npy", [[0.1, -2.5], [1e-3, 60000]], dtype=dtype)
    pull_prepared(tmp_path, [(0, 1)], features={Modality.AUDIO: file})
    expected = np.load(file).astype("float32")
    assert vectors(tmp_path, "audio") == [(n, [float(value) for value in row]) for n, row in enumerate(expected)]


def test_vectors_of_zeros_or_without_end_are_missing_with_a_reason(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1, 2], [0, 0], [NAN, 1], [0, INF], [3, 4]])
    report = pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    assert vectors(tmp_path) == [(0, [1, 2]), (4, [3, 4])]
    assert rejects(tmp_path, "v.npy") == [(2, "all_zero"), (3, "not_finite"), (4, "not_finite")]
    assert table(tmp_path, "SELECT visual, visual_reason FROM modality_availability ORDER BY item_idx")[:3] == [
        (True, None),
        (False, "its row in v.npy is all zeros"),
        (False, "its row in v.npy holds values that are not finite"),
    ]
    assert table(tmp_path, "SELECT n_items, n_failed FROM feature_sets") == [(2, 3)]
    assert (count(report, "v.npy", "read"), count(report, "v.npy", "taken")) == (5, 2)


def test_a_value_beyond_float32_is_not_finite(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1e300, 1], [1, 1], [1, 1]], dtype="float64")
    pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    assert rejects(tmp_path, "v.npy") == [(1, "not_finite")]


def test_equal_vectors_are_one_content_even_in_different_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(_vectors, "CHUNK_ROWS", 2)
    file = write_vectors(tmp_path / "v.npy", [[1, 2], [1, 2], [3, 4], [1, 2], [3, 4]])
    pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    digests = [hashlib.sha256(np.array(row, dtype="<f4").tobytes()).hexdigest() for row in ([1, 2], [3, 4])]
    assert table(tmp_path, "SELECT content_sha256 FROM vectors_1") == [(digest,) for digest in digests]
    assert [item for item, _ in vectors(tmp_path)] == [0, 1, 2, 3, 4]
    assert table(tmp_path, "SELECT content_sha256, status, location FROM assets WHERE item_idx = 3") == [(digests[0], "ok", "v.npy")]


def test_feature_sets_are_named_by_file_and_content(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1, 2]] * 3)
    pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    found = table(
        tmp_path, "SELECT modality, encoder, weights, weights_sha256, width, pooling, is_current, finished_at IS NOT NULL FROM feature_sets"
    )
    assert found == [("visual", "imported", "v.npy", hashlib.sha256(file.read_bytes()).hexdigest(), 2, "none", True, True)]


def test_a_table_of_items_brings_keys_texts_and_picture_addresses(tmp_path):
    items = [
        {
            "mmrec_id": 1,
            "asin": "B1",
            "title": "Salt &amp; Pepper",
            "description": None,
            "imUrl": "http://e.org/a.jpg",
            "categories": [["Food", "Salt"]],
        },
        {"mmrec_id": 0, "asin": "B0", "title": None, "description": None, "imUrl": ""},
        {"mmrec_id": 2, "asin": "A2", "title": "", "description": "Only this.", "imUrl": "http://e.org/no-img-sm.gif", "brand": "X"},
    ]
    report = pull_prepared(tmp_path, PAIRS, items=write_items(tmp_path, items))
    assert table(tmp_path, "SELECT item_idx, item_key, title, description, brand, categories, in_metadata FROM items ORDER BY item_idx") == [
        (0, "B0", None, None, None, [], True),
        (1, "B1", "Salt & Pepper", None, None, ["Food", "Salt"], True),
        (2, "A2", None, "Only this.", "X", [], True),
    ]
    assert table(tmp_path, "SELECT text_reason, visual_reason FROM modality_availability ORDER BY item_idx") == [
        ("no title in items.jsonl", "no picture address in items.jsonl"),
        ("not extracted yet", "address not fetched"),
        ("not extracted yet", "only a 'no image' placeholder in items.jsonl"),  # no title, but a description to embed
    ]
    assert count(report, "items.jsonl", "taken") == 3


def test_vectors_take_the_place_of_the_content_they_were_made_of(tmp_path):
    items = write_items(tmp_path, [{"id": n, "title": "A title", "image": "http://e.org/a.jpg"} for n in range(3)])
    features = {m: write_vectors(tmp_path / f"{m}.npy", [[1, 2]] * 3) for m in (Modality.VISUAL, Modality.TEXT)}
    pull_prepared(tmp_path, PAIRS, items=items, features=features)
    assert table(tmp_path, "SELECT DISTINCT modality, location, status FROM assets ORDER BY ALL") == [
        ("text", "text.npy", "ok"),
        ("visual", "visual.npy", "ok"),
    ]
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []


@pytest.mark.parametrize(("name", "separator"), [("items.csv", ","), ("items.tsv", "\t")])
def test_csv_and_tsv_with_quotes_line_breaks_and_columns_of_other_names(tmp_path, name, separator):
    rows = [["number", "sku", "title", "description"], ["0", "k0", '"One, ""two"""', '"a\nb"'], ["1", "k1", "", ""], ["2", "007", "Three", ""]]
    (tmp_path / name).write_text("\n".join(separator.join(row) for row in rows) + "\n\n")
    pull_prepared(tmp_path, PAIRS, items=tmp_path / name, item_id_column="number", item_key_column="sku")
    assert table(tmp_path, "SELECT item_key, title, description FROM items ORDER BY item_idx") == [
        ("k0", 'One, "two"', "a\nb"),
        ("k1", None, None),
        ("007", "Three", None),
    ]


def test_columns_are_guessed_from_many_records_as_the_first_may_lack_some(tmp_path):
    items = write_items(
        tmp_path, [{"itemID": 0, "title": "a", "item_key": "k0"}, *({"itemID": n, "asin": f"A{n}", "item_key": f"k{n}"} for n in (1, 2))]
    )
    with pytest.raises(SourceError, match=r"line 1: no asin\. Every item needs its own key"):  # not the other column for all
        pull_prepared(tmp_path, PAIRS, items=items)
    pull_prepared(tmp_path, PAIRS, items=items, item_key_column="item_key")
    assert table(tmp_path, "SELECT item_key FROM items ORDER BY item_idx") == [("k0",), ("k1",), ("k2",)]


def test_a_column_that_the_first_record_lacks_can_be_named(tmp_path):
    items = write_items(tmp_path, [{"n": 0, "id": 0}, {"n": 1, "id": 1}, {"n": 2, "id": 2, "sku": "s"}])
    with pytest.raises(SourceError, match="line 1: no sku"):
        pull_prepared(tmp_path, PAIRS, items=items, item_key_column="sku")


def test_a_long_description_is_taken_from_csv(tmp_path):
    text = "long " * 40_000
    (tmp_path / "items.csv").write_text("id,title,description\n" + "".join(f'{n},"t","{text}"\n' for n in range(3)))
    pull_prepared(tmp_path, PAIRS, items=tmp_path / "items.csv")
    assert table(tmp_path, "SELECT DISTINCT description FROM items") == [(text.strip(),)]


def test_the_order_of_vectors_and_the_place_of_files_make_no_other_pull(tmp_path):
    for name in ("a", "b"):
        for modality in ("visual", "audio"):
            (tmp_path / name / modality).mkdir(parents=True)
            write_vectors(tmp_path / name / modality / "v.npy", [[1, len(modality)]] * 3)
    orders = [("a", (Modality.VISUAL, Modality.AUDIO)), ("b", (Modality.AUDIO, Modality.VISUAL))]
    reports = [pull_prepared(tmp_path, PAIRS, features={m: tmp_path / name / m / "v.npy" for m in order}) for name, order in orders]
    assert [report.changed for report in reports] == [True, False]


def test_the_core_drops_interactions_but_no_item(tmp_path):
    pairs = [(u, i) for u in range(2) for i in range(2)] + [(2, 0), (0, 2)]
    report = pull_prepared(tmp_path, pairs, core=2)
    assert (report.n_users, report.n_items, report.n_interactions) == (2, 3, 4)
    assert rejects(tmp_path) == [(6, "below_core"), (7, "below_core")]  # the header is line 1


def test_lines_that_do_not_fit_are_rejects_with_their_reason(tmp_path):
    lines = [("0", "1"), ("x", "1"), ("0",), ("0", "-1"), ("", "1"), ("0", "1.0"), ("0", "12345678901"), ("0", "1", "1"), ("0", "0"), ("0", "1")]
    report = pull_prepared(tmp_path, lines)
    assert rejects(tmp_path) == [
        (3, "wrong_type"), (4, "malformed"), (5, "wrong_type"), (6, "missing_key"), (7, "wrong_type"),
        (8, "wrong_type"), (9, "malformed"), (11, "duplicate_line"),
    ]  # fmt: skip
    assert report.n_interactions + 8 == count(report, "toy.inter", "read") == len(lines)
    assert table(tmp_path, "SELECT detail FROM rejects WHERE line = 5") == [("itemID '-1' is no whole number from 0 to 999999999",)]


def test_a_header_and_rows_in_gzip_members_of_their_own_are_one_file(tmp_path):
    (tmp_path / "toy.inter").write_bytes(gzip.compress(b"userID\titemID\n") + gzip.compress(b"0\t0\n1\t1\n"))
    assert pull_files(tmp_path, tmp_path / "toy.inter").n_interactions == 2


def test_one_row_without_a_line_end_is_a_row(tmp_path):
    (tmp_path / "toy.inter").write_bytes(b"userID\titemID\n0\t0")
    assert pull_files(tmp_path, tmp_path / "toy.inter").n_interactions == 1


def test_a_second_pull_changes_nothing_and_other_vectors_are_another_pull(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1, 2]] * 3)
    first = pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    again = pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
    assert (first.changed, again.changed) == (True, False)
    assert again.steps.equals(first.steps)
    with pytest.raises(DataError, match=r"already holds prepared, of another pull: features was visual and is audio"):
        pull_prepared(tmp_path, PAIRS, features={Modality.AUDIO: file})


def test_tiktok_is_stored_as_counted(tmp_path, real_data):
    folder = real_data / "tiktok"
    features = {Modality.VISUAL: folder / "image_feat.npy", Modality.AUDIO: folder / "audio_feat.npy"}
    report = pull_files(tmp_path, folder / "tiktok.inter", features=features)
    assert (report.n_users, report.n_items, report.n_interactions) == (9308, 6710, 68722)
    for modality, file in features.items():
        expected = np.load(file).astype("float32")
        found = np.array([vector for _, vector in vectors(tmp_path, modality)], dtype="float32")
        assert np.array_equal(found, expected)
    found = table(tmp_path, "SELECT visual, audio, text, text_reason, count(*) FROM modality_availability GROUP BY ALL")
    assert found == [(True, True, False, "the source has no text content", 6710)]


def test_baby_is_stored_as_counted(tmp_path, real_data):
    folder = real_data / "baby"
    report = pull_files(tmp_path, folder / "baby.inter", items=folder / "items.jsonl")
    assert (report.n_users, report.n_items, report.n_interactions) == (19445, 7050, 160792)
    assert table(tmp_path, "SELECT count(title) FROM items") == [(3416,)]
    found = table(tmp_path, "SELECT visual_reason, count(*) FROM modality_availability GROUP BY 1 ORDER BY 2")
    assert found == [("only a 'no image' placeholder in items.jsonl", 6), ("no picture address in items.jsonl", 13), ("address not fetched", 7031)]
    assert table(tmp_path, "SELECT count(*) FROM modality_availability WHERE text_reason = 'no title in items.jsonl'") == [(3634,)]
    expected = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert table(tmp_path, "SELECT item_idx, item_key FROM items ORDER BY item_idx") == [(item["mmrec_id"], item["asin"]) for item in expected]
    # One description of the 978 is nothing but &nbsp;
    assert table(tmp_path, "SELECT count(description) FROM items") == [(977,)]
