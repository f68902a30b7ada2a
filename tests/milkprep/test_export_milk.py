"""The layout of MILK's published code: each file by hand, and a split that comes back from its folder as it was."""

import tempfile
from pathlib import Path

import numpy as np
import planted
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import write_inter

from milkprep import splits
from milkprep.export import exporting
from milkprep.sources import prepared
from schemas.contracts import Modality, Part, Setting
from schemas.errors import FeatureMissing
from schemas.reporting import Silent
from schemas.store import Store

VARIANTS = {Setting.FTFT: None, Setting.FTMT: "test", Setting.MTFT: "train", Setting.MTMT: "all"}
#: Six items that were touched and one, item 2, that was not; item 0 has no picture.
PAIRS = [(0, 0), (0, 1), (0, 4), (1, 1), (1, 3), (2, 3), (2, 5), (3, 6), (3, 0)]
IMAGES = [[0.0, 0.0], [1.0, 2.0], [9.0, 9.0], [3.0, 6.0], [5.0, 5.0], [6.0, 6.0], [7.0, 7.0]]
TEXTS = [[1.0], [2.0], [9.0], [6.0], [4.0], [5.0], [8.0]]
PARTS = {0: "train", 1: "train", 3: "train", 4: "val", 5: "test", 6: "test"}


def write_split(store: Path, setting: Setting, *, lost: set[tuple[int, str]], parts: dict[int, str]) -> None:
    """A split whose parts and losses are said, not drawn."""
    with Store(store, mode="update") as opened, opened.transaction():
        natural = opened.query("SELECT item_idx, visual, text, audio FROM modality_availability").rows()
        current = opened.query("SELECT modality FROM feature_sets WHERE is_current").to_series().to_list()
        rows = [
            (item, m.value, has, (item, m.value) in lost)
            for item, *present in natural for m, has in zip(Modality, present, strict=True) if item in parts and m in current
        ]  # fmt: skip
        items = pl.DataFrame(sorted(parts.items()), schema={"item_idx": pl.Int32, "part": pl.String}, orient="row")
        cells = {"item_idx": pl.Int32, "modality": pl.String, "present": pl.Boolean, "lost": pl.Boolean}
        availability = pl.DataFrame(rows, schema=cells, orient="row")
        splits.write_inside(opened, "said", setting=setting, parameters={}, items=items, availability=availability)


def small(folder: Path, setting: Setting = Setting.FTMT, *, lost=((5, "visual"), (6, "text")), images=IMAGES) -> Path:
    """The seven items above in a store, with a split."""
    return store_of(folder, PAIRS, {Modality.VISUAL: images, Modality.TEXT: TEXTS}, setting=setting, lost=set(lost), parts=PARTS)


def store_of(folder: Path, pairs, vectors, *, setting: Setting, lost: set[tuple[int, str]], parts: dict[int, str]) -> Path:
    """A store of these pairs and vectors (rows of zeros are none), with a split."""
    features = {modality: folder / f"{modality}.npy" for modality in vectors}
    for modality, rows in vectors.items():
        np.save(features[modality], np.array(rows, dtype="float32"))
    prepared.pull(folder / "s.duckdb", interactions=write_inter(folder / "toy.inter", pairs), features=features, reporter=Silent())
    write_split(folder / "s.duckdb", setting, lost=lost, parts=parts)
    return folder / "s.duckdb"


def export(store: Path, out: Path, *, split: str = "said", form: str = "milk", **options) -> exporting.ExportReport:
    return exporting.export(store, format_name=form, split=split, out=out, reporter=Silent(), **options)


def array(folder: Path, name: str) -> list[object]:
    return np.load(folder / f"{name}.npy", allow_pickle=False).tolist()


def test_every_file_of_a_split_by_hand(tmp_path):
    report = export(small(tmp_path), tmp_path / "out")
    out = tmp_path / "out"
    # Item 2 is outside: items 0, 1, 3, 4, 5, 6 are numbers 0 to 5.
    assert (out / "train.txt").read_bytes() == b"0 0 1\n1 1 2\n2 2\n3 0\n"
    assert (out / "val.txt").read_bytes() == b"0 3\n"
    assert (out / "test.txt").read_bytes() == b"2 4\n3 5\n"
    # Training items with a picture are 1 and 3: their mean is (2, 4). Number 0 never had one, number 4 loses its own.
    assert array(out, "image_feat") == [[2, 4], [1, 2], [3, 6], [5, 5], [6, 6], [7, 7]]
    assert array(out, "image_feat_missing_test") == [[2, 4], [1, 2], [3, 6], [5, 5], [2, 4], [7, 7]]
    assert array(out, "text_feat") == [[1], [2], [6], [4], [5], [8]]
    assert array(out, "text_feat_missing_test") == [[1], [2], [6], [4], [5], [3]]
    assert array(out, "cold_item_index") == [3, 4, 5]
    assert array(out, "warm_missing_item_index") == [0]
    assert array(out, "cold_missing_item_index") == [4, 5]
    assert (out / "image_feat_absent.txt").read_text() == "0\n"
    assert (out / "item_keys.tsv").read_text() == "itemID\titem_key\n0\t0\n1\t1\n2\t3\n3\t4\n4\t5\n5\t6\n"
    assert (out / "user_keys.tsv").read_text() == "userID\tuser_key\n0\t0\n1\t1\n2\t2\n3\t3\n"
    assert {np.load(out / f"{name}.npy").dtype for name in ("image_feat", "text_feat_missing_test")} == {np.dtype("<f4")}
    assert {np.load(out / f"{name}.npy").dtype for name in ("cold_item_index", "warm_missing_item_index")} == {np.dtype("<i8")}
    assert sorted(report.files) == sorted(path.name for path in out.iterdir() if path.name != "export.json")
    assert (report.n_users, report.n_items, report.setting) == (4, 6, Setting.FTMT)


def test_the_mean_of_an_array_is_of_the_training_items_that_are_left_in_it(tmp_path):
    export(small(tmp_path, Setting.MTMT, lost=((3, "visual"), (1, "text"), (6, "visual"))), tmp_path / "out")
    assert array(tmp_path / "out", "image_feat") == [[2, 4], [1, 2], [3, 6], [5, 5], [6, 6], [7, 7]]
    assert array(tmp_path / "out", "image_feat_missing_all") == [[1, 2], [1, 2], [1, 2], [5, 5], [6, 6], [1, 2]]
    assert array(tmp_path / "out", "text_feat_missing_all") == [[1], [3.5], [6], [4], [5], [8]]
    assert array(tmp_path / "out", "warm_missing_item_index") == [0, 1, 2]


def test_a_lost_vector_that_is_the_mean_comes_back_lost(tmp_path):
    # Item 3 loses its picture, so item 1's (1, 2) is the mean; item 6 has the same and loses it.
    store = small(tmp_path, Setting.MTMT, lost=((3, "visual"), (6, "visual")), images=[*IMAGES[:6], IMAGES[1]])
    export(store, tmp_path / "out")
    first, second = array(tmp_path / "out", "image_feat_missing_all")[5]
    assert (first != 1.0, first, second) == (True, pytest.approx(1.0, abs=1e-6), 2.0)
    assert brought_back(tmp_path / "out", Setting.MTMT) == split_of(store)


def split_of(store: Path, *, name: str = "said"):
    """Interactions by key and part, vectors of the split's items, losses and natural gaps of a split; nothing else of the store."""
    with Store(store, mode="read") as opened:
        items = (
            "(SELECT item_idx, item_key, part, split_id FROM split_items JOIN splits USING (split_id) JOIN items USING (item_idx) WHERE name = $name)"
        )
        pairs = opened.query(
            f"SELECT user_key, item_key, part FROM {items} JOIN interactions USING (item_idx) JOIN users USING (user_idx)", name=name
        )
        cells = opened.query(f"SELECT item_key, modality, present, lost FROM {items} JOIN split_availability USING (split_id, item_idx)", name=name)
        with_vector = f"FROM {items} AS s JOIN features_{{}} AS f USING (item_idx)"
        shown = {
            modality: [(key, *vector) for key, vector in opened.query(f"SELECT s.item_key, vector {sql} ORDER BY ALL", name=name).rows()]
            for modality in Modality
            if (sql := with_vector.format(modality))
        }
        order = opened.query(f"SELECT item_key FROM {items} ORDER BY item_idx", name=name).to_series().to_list()
        assert [rule for rule, rows in opened.violations().items() if rows.height] == []
    return set(pairs.rows()), shown, set(cells.rows()), order


def brought_back(folder: Path, setting: Setting):
    """The same of a store into which the folder was pulled."""
    store = folder.parent / f"{folder.name}-again.duckdb"
    prepared.pull_folder(store, folder, variant=VARIANTS[setting], split_name="said", reporter=Silent())
    return split_of(store)


@pytest.mark.parametrize("setting", list(Setting))
def test_a_split_of_three_modalities_comes_back_with_interactions_parts_vectors_and_losses(setting, tmp_path):
    store = planted.fill(tmp_path / "s.duckdb", n_users=12, n_items=40, n_themes=2, per_user=8)
    splits.build(store, setting=setting, seed=1, cold_fraction=0.4, name="said")
    export(store, tmp_path / "out")
    before, after = split_of(store), brought_back(tmp_path / "out", setting)
    assert any(lost for *_, lost in before[2]) == (setting is not Setting.FTFT)
    assert after == before


def test_lists_are_the_same_however_few_pairs_are_written_at_once(tmp_path, monkeypatch):
    store = planted.fill(tmp_path / "s.duckdb", n_users=12, n_items=40, n_themes=2, per_user=8)
    splits.build(store, setting=Setting.FTFT, seed=1, cold_fraction=0.4, name="said")
    export(store, tmp_path / "whole")
    monkeypatch.setattr("milkprep.exporters.milk.PAIRS_AT_ONCE", 3)
    export(store, tmp_path / "pieces")
    for part in Part:
        assert (tmp_path / "whole" / f"{part}.txt").read_bytes() == (tmp_path / "pieces" / f"{part}.txt").read_bytes()


def test_keys_come_back_whatever_they_are_made_of(tmp_path):
    store, keys = small(tmp_path), ['a"b', "tab\there", "two\nlines", "007", "ключ", "x,y", "null"]
    with Store(store, mode="update") as opened:
        for item, key in enumerate(keys):
            opened.run("UPDATE items SET item_key = $key WHERE item_idx = $item", key=key, item=item)
            opened.run("UPDATE users SET user_key = $key WHERE user_idx = $item", key=key, item=item)
    export(store, tmp_path / "out")
    assert brought_back(tmp_path / "out", Setting.FTMT) == split_of(store)


def test_what_the_authors_evaluation_cannot_rank_is_said_before_it_is_tried(tmp_path):
    # Three new items; the longest training list has two.
    assert any("there are 3 new items: give it none above 1." in note for note in export(small(tmp_path), tmp_path / "out").notes)


def test_items_and_users_outside_the_split_have_no_number_and_do_not_come_back(tmp_path):
    store = small(tmp_path)
    with Store(store, mode="update") as opened:
        opened.run("DELETE FROM split_items WHERE item_idx = 6")
        opened.run("DELETE FROM split_availability WHERE item_idx = 6")
        opened.run("DELETE FROM interactions WHERE user_idx = 3 AND item_idx = 0")  # user 3 touched nothing else of the split
    report = export(store, tmp_path / "out")
    assert (report.n_users, report.n_items) == (3, 5)
    assert (tmp_path / "out" / "test.txt").read_text() == "2 4\n"
    assert brought_back(tmp_path / "out", Setting.FTMT)[3] == ["0", "1", "3", "4", "5"]


@st.composite
def catalogues(draw):
    """Pairs, vectors on a coarse grid (so that some are equal, some the mean, some none), parts and losses that a setting allows."""
    n_items = draw(st.integers(4, 8))
    names = draw(st.sampled_from([(Modality.VISUAL,), (Modality.VISUAL, Modality.AUDIO), tuple(Modality)]))
    numbers = st.sampled_from([0.0, 1.0, 2.0, -1.0])
    vectors = {m: draw(st.lists(st.tuples(numbers, numbers), min_size=n_items, max_size=n_items)) for m in names}
    part = [*Part, *(draw(st.sampled_from(Part)) for _ in range(n_items - 4))]
    parts = {item: str(name) for item, name in enumerate(draw(st.permutations(part)))}  # the last item is in none
    touching = {item: draw(st.sets(st.integers(0, 5), min_size=1)) for item in parts}
    setting = draw(st.sampled_from(Setting))
    lost = set()
    for item, its in parts.items():
        present = [m for m in names if any(vectors[m][item])]
        if (setting.training_loses if its == "train" else setting.test_loses) and len(present) > 1:
            lost |= {(item, m.value) for m in draw(st.sets(st.sampled_from(present), max_size=len(present) - 1))}
    return [(user, item) for item, users in touching.items() for user in users], vectors, parts, setting, lost


@settings(max_examples=8, deadline=None)
@given(catalogues())
def test_whatever_the_catalogue_the_split_comes_back_or_lacks_a_mean(drawn):
    pairs, vectors, parts, setting, lost = drawn
    trained = {m: [item for item, its in parts.items() if its == "train" and any(vectors[m][item]) and (item, m.value) not in lost] for m in vectors}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not all(any(map(any, rows)) for rows in vectors.values()):  # no vector at all: there is nothing to pull
            return
        store = store_of(folder, pairs, vectors, setting=setting, lost=lost, parts=parts)
        if not all(trained.values()):
            with pytest.raises(FeatureMissing, match="so there is no mean to stand in"):
                export(store, folder / "out")
            assert not (folder / "out").exists()
            return
        export(store, folder / "out")
        assert brought_back(folder / "out", setting) == split_of(store)
