"""Folders in the layout of MILK and GoRec, and of LATTICE: lists of items a user, and the split that comes with them.

Six items by hand: 0 to 2 are warm, 3 and 4 validation, 5 test.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import count, table

from milkprep import splits
from milkprep.sources import prepared
from schemas.contracts import Setting
from schemas.errors import ShapeError, SourceError
from schemas.reporting import Silent
from schemas.store import Store

LISTS = {"train": "0 0 1\n1 2\n2 \n", "val": "0 3\n1 4\n", "test": "2 5\n"}
PARTS = [(0, "train"), (1, "train"), (2, "train"), (3, "val"), (4, "val"), (5, "test")]
IMAGE = np.arange(1, 13, dtype="float32").reshape(6, 2)
TEXT = -np.arange(1, 19, dtype="float32").reshape(6, 3)


def without(rows, *gone, value=0.0):
    """The rows with some of them replaced, as files of an experiment have them."""
    changed = rows.copy()
    changed[list(gone)] = value
    return changed


def write(folder, *, cold=(3, 4, 5), lists=LISTS, **arrays):
    """A folder with complete features, the ids of new items, and further arrays by the name of their file."""
    for part, text in lists.items():
        (folder / f"{part}.txt").write_text(text)
    if cold is not None:
        arrays["cold_item_index"] = np.array(cold)
    for name, rows in {"image_feat": IMAGE, "text_feat": TEXT, **arrays}.items():
        np.save(folder / f"{name}.npy", rows)
    return folder


def pull(folder, **options):
    return prepared.pull_folder(folder / "s.duckdb", folder, reporter=Silent(), **options)


def parts(folder):
    return table(folder, "SELECT item_idx, part FROM split_items ORDER BY item_idx")


def lost(folder):
    return table(folder, "SELECT item_idx, modality FROM split_availability WHERE lost ORDER BY item_idx, modality")


def violations(folder):
    with Store(folder / "s.duckdb", mode="read") as store:
        return [name for name, found in store.violations().items() if found.height]


@pytest.mark.parametrize("cold", [(3, 4, 5), (5, 3, 4), None], ids=["listed", "listed in another order", "not listed"])
def test_lists_become_interactions_and_a_split_of_items(tmp_path, cold):
    report = pull(write(tmp_path, cold=cold))
    assert (report.n_users, report.n_items, report.n_interactions) == (3, 6, 6)
    pairs = table(tmp_path, "SELECT user_key::INT, item_idx FROM interactions JOIN users USING (user_idx) ORDER BY ALL")
    assert pairs == [(0, 0), (0, 1), (0, 3), (1, 2), (1, 4), (2, 5)]
    assert parts(tmp_path) == PARTS
    assert table(tmp_path, "SELECT name, setting FROM splits") == [("imported", "ftft")]
    assert (lost(tmp_path), violations(tmp_path)) == ([], [])


@pytest.mark.parametrize(
    ("variant", "setting", "images", "texts"), [("test", "ftmt", [3], [5]), ("train", "mtft", [0], [1]), ("all", "mtmt", [0, 3], [1, 5])]
)
@pytest.mark.parametrize("value", [0.0, 0.25, float("nan")], ids=["zeros", "imputed", "not a number"])
def test_what_a_variant_takes_away_is_lost_in_the_split_and_the_true_vectors_stay(tmp_path, variant, setting, images, texts, value):
    arrays = {
        f"image_feat_missing_{variant}": without(IMAGE, *images, value=value),
        f"text_feat_missing_{variant}": without(TEXT, *texts, value=value),
    }
    pull(write(tmp_path, **arrays), variant=variant, split_name="theirs")
    assert table(tmp_path, "SELECT name, setting FROM splits") == [("theirs", setting)]
    assert lost(tmp_path) == sorted([(item, "visual") for item in images] + [(item, "text") for item in texts])
    assert [list(vector) for (vector,) in table(tmp_path, "SELECT vector FROM features_visual ORDER BY item_idx")] == IMAGE.tolist()
    assert violations(tmp_path) == []


def test_a_vector_that_the_complete_features_lack_is_absent_and_not_lost(tmp_path):
    pull(write(tmp_path, image_feat=without(IMAGE, 3), image_feat_missing_test=without(IMAGE, 3, 5)), variant="test")
    assert lost(tmp_path) == [(5, "visual")]
    assert table(tmp_path, "SELECT item_idx FROM split_availability WHERE NOT present AND modality = 'visual'") == [(3,)]
    assert violations(tmp_path) == []


def test_without_complete_features_zeros_of_a_variant_are_absent(tmp_path):
    write(tmp_path, text_feat_missing_test=without(TEXT, 4))
    (tmp_path / "text_feat.npy").unlink()
    pull(tmp_path, variant="test")
    assert lost(tmp_path) == []
    assert table(tmp_path, "SELECT item_idx FROM split_availability WHERE NOT present") == [(4,)]


LEAKS = {
    "cold in training": ({"train": "0 0 1 5\n1 2\n"}, (3, 4, 5), "Item 5 is listed in cold_item_index.npy, so new, but has interactions in training"),
    "warm in validation": ({"val": "0 3\n1 4 0\n"}, (3, 4, 5), "Item 0 is not new, but has interactions in validation or test"),
    "warm in test, none listed": ({"test": "2 5 0\n"}, None, "Item 0 is not new, but has interactions in validation or test"),
    "in validation and test": ({"test": "2 5 3\n"}, (3, 4, 5), "Item 3 is new and has interactions both in validation and in test"),
    "nothing left in test": ({"test": "1 4\n"}, (3, 4), "No item is in test"),
}


@pytest.mark.parametrize(("changed", "cold", "told"), LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_between_parts_is_refused_and_nothing_is_stored(tmp_path, changed, cold, told):
    with pytest.raises(SourceError, match=told):
        pull(write(tmp_path, lists=LISTS | changed, cold=cold))
    assert not (tmp_path / "s.duckdb").exists()


def test_a_new_item_without_interactions_is_outside_the_split_and_said_so(tmp_path):
    report = pull(write(tmp_path, lists=LISTS | {"val": "0 3\n"}))
    assert parts(tmp_path) == [(item, part) for item, part in PARTS if item != 4]
    assert any("1 new items have no interaction" in note for note in report.notes)


def test_lists_that_split_interactions_bring_no_split_and_say_so(tmp_path):
    report = pull(write(tmp_path, cold=None, lists={"train": "0 0 1 2 3 4 5\n", "val": "1 0\n", "test": "2 5\n"}))
    assert parts(tmp_path) == []
    assert any("split interactions, not items" in note for note in report.notes)


def test_losses_where_the_setting_takes_nothing_are_refused(tmp_path):
    with pytest.raises(SourceError, match=r"visual features of item 0 \(train\) differ .* setting ftmt takes nothing from that part"):
        pull(write(tmp_path, image_feat_missing_test=without(IMAGE, 0, 3)), variant="test")


def test_an_item_that_a_variant_leaves_nothing_is_refused(tmp_path):
    arrays = {"image_feat_missing_test": without(IMAGE, 4), "text_feat_missing_test": without(TEXT, 4)}
    with pytest.raises(SourceError, match="leaves item 4 and 0 more no modality at all"):
        pull(write(tmp_path, **arrays), variant="test")


def test_a_variant_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"has the shape \(5, 2\)"):
        pull(write(tmp_path, image_feat_missing_test=IMAGE[:5]), variant="test")


BAD_IDS = {
    "pickled": (np.array([3, "x", None], dtype=object), "pickles are not, as they can run code.*Where you trust it"),
    "floats": (np.array([3.0, 4.0]), "holds no list of whole numbers"),
    "table": (np.array([[3, 4]]), "holds no list of whole numbers"),
    "twice": (np.array([3, 3]), "each once"),
    "negative": (np.array([-1, 3]), "ids from 0"),
}


@pytest.mark.parametrize(("ids", "told"), BAD_IDS.values(), ids=BAD_IDS.keys())
def test_ids_of_new_items_are_plain_whole_numbers(tmp_path, ids, told):
    write(tmp_path)
    np.save(tmp_path / "cold_item_index.npy", ids, allow_pickle=True)
    with pytest.raises(SourceError, match=told):
        pull(tmp_path)


def test_ids_of_new_items_beyond_the_features_are_refused(tmp_path):
    with pytest.raises(SourceError, match="names item 6, but there are only 6"):
        pull(write(tmp_path, cold=(3, 4, 5, 6)))


def test_each_entry_is_counted_and_repeats_name_their_file(tmp_path):
    report = pull(write(tmp_path, lists={"train": "0 0 1 1\n\n1 2 x\n1 2\n", "val": "0 3 0\n1 4\n", "test": "2 5\n"}))
    counts = [(count(report, "train.txt", rule)) for rule in ("read", "duplicate_pair", "malformed", "taken")]
    assert counts == [6, 1, 2, 3]
    assert (count(report, "val.txt", "read"), count(report, "val.txt", "taken")) == (3, 2)
    found = set(table(tmp_path, "SELECT source, reason FROM rejects"))
    assert found >= {("train.txt", "duplicate_pair"), ("train.txt", "malformed"), ("val.txt", "duplicate_pair")}


def test_another_split_can_be_drawn_beside_an_imported_one(tmp_path):
    pull(write(tmp_path))
    splits.build(tmp_path / "s.duckdb", setting=Setting.FTMT, seed=0, cold_fraction=0.4)
    assert table(tmp_path, "SELECT name FROM splits ORDER BY split_id") == [("imported",), ("ftmt-0",)]
    assert violations(tmp_path) == []


def test_pulling_a_folder_again_changes_nothing_and_another_variant_needs_replace(tmp_path):
    write(tmp_path, image_feat_missing_test=without(IMAGE, 3))
    pull(tmp_path)
    assert not pull(tmp_path).changed
    pull(tmp_path, variant="test", replace=True)
    assert table(tmp_path, "SELECT name, setting FROM splits") == [("imported", "ftmt")]
    assert violations(tmp_path) == []


def test_json_lists_are_interactions_only(tmp_path):
    for part, users in {"train": {"0": [0, 1], "1": [2]}, "val": {"0": [2], "1": []}, "test": {"1": [0]}}.items():
        (tmp_path / f"{part}.json").write_text(json.dumps(users))
    np.save(tmp_path / "image_feat.npy", IMAGE[:3])
    report = pull(tmp_path)
    assert table(tmp_path, "SELECT user_idx, item_idx FROM interactions ORDER BY ALL") == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]
    assert parts(tmp_path) == []
    assert any("not a split of items" in note for note in report.notes)


PAIRS = {
    part: st.sets(st.tuples(st.integers(0, 9), st.sampled_from(items)), min_size=1)
    for part, items in {"train": [0, 1, 2], "val": [3, 4], "test": [5]}.items()
}


@settings(max_examples=8, deadline=None)  # each makes two stores
@given(st.fixed_dictionaries(PAIRS), st.randoms(use_true_random=False))
def test_interactions_come_back_whatever_the_order_of_lines(pairs, random):
    stored = []
    for _ in range(2):
        lists = {}
        for part, entries in pairs.items():
            users = {user: [item for of, item in entries if of == user] for user, _ in entries}
            lines = [" ".join(map(str, [user, *random.sample(items, len(items))])) for user, items in users.items()]
            lists[part] = "\n".join(random.sample(lines, len(lines))) + "\n"
        with tempfile.TemporaryDirectory() as name:
            folder = write(Path(name), lists=lists)
            pull(folder)
            found = table(folder, "SELECT user_key::INT, item_idx FROM interactions JOIN users USING (user_idx) ORDER BY ALL")
            stored.append((found, parts(folder)))
    assert stored[0] == stored[1]
    assert stored[0][0] == sorted(pair for entries in pairs.values() for pair in entries)
