"""Folders of prepared datasets: recognised by their files, imported with keys, lists of what is missing, and nothing unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_folders import LISTS, N_ITEMS, PAIRS, features, lattice, milk, mmrec
from raw_files import count, rejects, table

from milkprep.sources import prepared
from milktrain import bundle
from schemas.errors import BadValue, ShapeError, SourceError, Stale
from schemas.reporting import Silent
from schemas.store import Store

STORED_PAIRS = "SELECT user_key, item_key FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx)"


def pull(folder: Path, **options):
    return prepared.pull_folder(folder.parent / "s.duckdb", folder, reporter=Silent(), **options)


def by_id() -> set[tuple[str, str]]:
    return {(str(user), str(item)) for user, item in PAIRS}


@pytest.mark.parametrize(("write", "layout"), [(milk, "milk"), (lattice, "lattice")])
def test_lists_of_several_files_are_taken_together_and_counted_each(tmp_path, write, layout):
    report = pull(write(tmp_path / "d"))
    assert set(table(tmp_path, STORED_PAIRS)) == by_id()
    ending = "txt" if layout == "milk" else "json"
    for part, lists in LISTS.items():
        n = sum(map(len, lists.values()))
        assert (count(report, f"{part}.{ending}", "read"), count(report, f"{part}.{ending}", "taken")) == (n, n)
    assert report.notes[0].startswith(f"Taken as layout {layout}: train.{ending}, val.{ending}, test.{ending}, image_feat.npy")
    assert not pull(tmp_path / "d").changed


def test_mmrec_brings_its_own_keys_and_leaves_listed_pictures_out(tmp_path):
    report = pull(mmrec(tmp_path / "d"))
    assert set(table(tmp_path, STORED_PAIRS)) == {(f"user-{user}", f"B{item:03d}") for user, item in PAIRS}
    assert rejects(tmp_path, "image_feat.npy") == [(3, "listed_missing"), (6, "listed_missing")]
    assert count(report, "image_feat.npy", "listed_missing") == 2
    found = table(tmp_path, "SELECT item_key, status, reason FROM assets JOIN items USING (item_idx) WHERE modality = 'visual' AND status <> 'ok'")
    assert found == [(key, "absent", "its row in image_feat.npy is listed as missing in missed_img_itemIDs.csv") for key in ("B002", "B005")]
    assert table(tmp_path, "SELECT vector FROM features_visual WHERE item_key = 'B003'") == [([4.0, 5.0, 6.0],)]


def test_the_flags_do_what_the_folder_does(tmp_path):
    folder = mmrec(tmp_path / "d")
    pull(folder)
    files = {
        "features": {"visual": folder / "image_feat.npy", "text": folder / "text_feat.npy"},
        "missing": {"visual": folder / "missed_img_itemIDs.csv"},
    }
    keys = {"item_keys": folder / "i_id_mapping.csv", "user_keys": folder / "u_id_mapping.csv"}
    assert not prepared.pull(tmp_path / "s.duckdb", interactions=folder / "toy.inter", **files, **keys, reporter=Silent()).changed


def test_an_entry_that_is_there_again_is_told_with_its_place_and_file(tmp_path):
    lists = LISTS | {"val": {0: [6, 6], 1: [7, 2, 6]}}
    report = pull(lattice(tmp_path / "d", lists=lists))
    found = table(tmp_path, "SELECT source, line, reason, detail FROM rejects ORDER BY line")
    assert found == [
        ("val.json", 2, "duplicate_pair", "same user and item as entry 1 of val.json"),
        ("val.json", 4, "duplicate_pair", "same user and item as entry 4 of train.json"),
    ]
    assert (count(report, "val.json", "read"), count(report, "val.json", "taken")) == (5, 3)


def test_entries_below_the_core_are_rejects_of_their_file(tmp_path):
    report = pull(lattice(tmp_path / "d"), core=2)
    dropped = sum(count(report, f"{part}.json", "below_core") for part in LISTS)
    assert dropped == len(table(tmp_path, "SELECT * FROM rejects WHERE reason = 'below_core' AND source LIKE '%.json'")) > 0
    assert dropped + report.n_interactions == len(PAIRS)


def test_lines_that_are_no_lists_are_refused_one_by_one(tmp_path):
    folder = milk(tmp_path / "d")
    with (folder / "train.txt").open("a") as stream:
        stream.write("4 a\n\n5 -1\n6 1234567890\n")
    report = pull(folder)
    assert [reason for _, reason in rejects(tmp_path, "train.txt")] == ["malformed"] * 4
    assert count(report, "train.txt", "taken") == 8


@pytest.fixture(scope="module")
def in_order(tmp_path_factory):
    """What names the catalogue of a folder whose lines are in their order."""
    folder = tmp_path_factory.mktemp("in order")
    pull(milk(folder / "d"))
    return table(folder, "SELECT catalogue_fingerprint FROM pulls")


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(list(LISTS["train"])))
def test_the_order_of_lines_does_not_matter(tmp_path_factory, in_order, order):
    folder = tmp_path_factory.mktemp("order")
    lists = LISTS | {"train": {user: LISTS["train"][user] for user in order}}
    pull(milk(folder / "d", lists=lists))
    assert table(folder, "SELECT catalogue_fingerprint FROM pulls") == in_order


def test_an_imported_split_trains(tmp_path):
    pull(milk(tmp_path / "d"), variant="test")
    assert table(tmp_path, "SELECT name, setting FROM splits") == [("imported", "ftmt")]
    found = table(tmp_path, "SELECT item_idx, part FROM split_items ORDER BY item_idx")
    assert found == [(item, "train" if item < 6 else "val" if item < 8 else "test") for item in range(N_ITEMS)]
    lost = table(tmp_path, "SELECT item_idx, modality FROM split_availability WHERE lost ORDER BY ALL")
    assert lost == [(6, "visual"), (8, "visual"), (9, "text")]
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []


def test_pickles_are_never_loaded_and_say_how_to_convert(tmp_path):
    class Planted:
        def __reduce__(self):
            return Path.touch, (tmp_path / "it ran",)

    folder = mmrec(tmp_path / "d")
    (folder / "missing_items_0.3.npy").write_bytes(pickle.dumps(Planted()))
    assert any("missing_items_0.3.npy is a pickled dictionary and was not read" in note for note in pull(folder).notes)
    other = milk(tmp_path / "e")
    (other / "cold_item_index.npy").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(SourceError, match=r"cold_item_index\.npy .*pickles are not"):
        prepared.pull_folder(tmp_path / "e.duckdb", other, reporter=Silent())
    (folder / "missed_img_itemIDs.csv").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(SourceError, match=r"is no item id\. Needed is a text file"):
        prepared.pull_folder(tmp_path / "f.duckdb", folder, reporter=Silent())
    assert not (tmp_path / "it ran").exists()


REFUSED = {
    "nothing": (lambda folder: folder.mkdir(), {}, SourceError, "holds no dataset of a known layout"),
    "several": (lambda folder: lattice(milk(folder)), {}, SourceError, "several layouts: milk, lattice. Say which with --layout"),
    "unknown layout": (milk, {"layout": "x"}, BadValue, "--layout x is not read. Known: mmrec, milk, lattice"),
    "unknown variant": (milk, {"variant": "x"}, BadValue, "--variant x is unknown"),
    "no such variant": (milk, {"variant": "all"}, SourceError, "holds no features of variant all"),
    "variant elsewhere": (mmrec, {"variant": "test"}, BadValue, "means nothing to layout mmrec"),
    "key twice": (lambda f: (mmrec(f) / "i_id_mapping.csv").write_text("asin\titemID\nA\t0\nA\t1\n"), {}, SourceError, "item key 'A' 2 times"),
    "no key": (lambda f: (mmrec(f) / "u_id_mapping.csv").write_text("user_id\tuserID\nA\t0\n"), {}, ShapeError, "no key for userID 1"),
    "key of no id": (lambda f: (mmrec(f) / "i_id_mapping.csv").write_text("asin\titemID\nA\tx\n"), {}, SourceError, "1 rows without a whole number"),
    "too few rows": (lambda f: np.save(lattice(f) / "image_feat.npy", np.ones((3, 2))), {}, ShapeError, "names itemID 9"),
    "no object": (lambda f: (lattice(f) / "val.json").write_text("[1]"), {}, SourceError, "is no JSON object of user -> list of items"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_no_dataset_is_refused_and_leaves_no_store(tmp_path, name):
    write, options, error, says = REFUSED[name]
    write(tmp_path / "d")
    with pytest.raises(error, match=says):
        pull(tmp_path / "d", **options)
    assert not (tmp_path / "s.duckdb").exists()


def test_features_of_other_names_are_known_too(tmp_path):
    folder = lattice(tmp_path / "d")
    features(folder, "t_feat")
    pull(folder)
    assert table(tmp_path, "SELECT modality FROM feature_sets ORDER BY modality") == [("text",), ("visual",)]


def test_an_imported_split_that_no_longer_fits_is_not_to_be_drawn_again(tmp_path):
    pull(milk(tmp_path / "d"))
    with Store(tmp_path / "s.duckdb", mode="update") as store:
        store.run("UPDATE splits SET catalogue_fingerprint = 'of another catalogue'")
    with pytest.raises(Stale, match="It came with its dataset: pull that into a new store"):
        bundle.read(tmp_path / "s.duckdb", split="imported")


@pytest.mark.parametrize(
    ("write", "names"), [(mmrec, "covers, image_features.h5, title.csv"), (lattice, "covers, image_features.h5, new_items.npy, title.csv")]
)
def test_what_lies_in_the_folder_and_was_not_read_is_named(tmp_path, write, names):
    folder = write(tmp_path / "d")
    for name in ("title.csv", "image_features.h5", ".hidden", "new_items.npy"):
        (folder / name).write_bytes(b"x")
    (folder / "covers").mkdir()
    report = prepared.pull_folder(folder / "s.duckdb", folder, reporter=Silent())
    assert report.notes[-1] == f"Not read: {names}."  # neither the store itself nor what another note tells
    assert prepared.pull_folder(folder / "s.duckdb", folder, reporter=Silent()).notes == report.notes


def test_a_folder_that_is_read_whole_names_nothing_else_and_a_long_list_is_cut(tmp_path):
    folder = lattice(tmp_path / "d")
    report = prepared.pull_folder(tmp_path / "s.duckdb", folder, reporter=Silent())
    assert not any(note.startswith("Not read") for note in report.notes)
    for n in range(33):
        (folder / f"x{n:02d}").write_bytes(b"x")
    report = prepared.pull_folder(tmp_path / "t.duckdb", folder, reporter=Silent())
    assert report.notes[-1].endswith("x29 and 3 more.")
