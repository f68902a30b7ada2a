"""New-item splits on stores whose content is known."""

import planted
import polars as pl
import pytest

from milkprep import splits
from schemas.contracts import Modality, Setting
from schemas.errors import BadValue, DataError, FeatureMissing, StoreError
from schemas.store import Store


@pytest.fixture
def path(tmp_path):
    return planted.fill(tmp_path / "planted.duckdb")


def _rows(path, table):
    with Store(path, mode="read") as store:
        return store.query(f"SELECT * FROM {table}")


def _lost_share(path, part):
    with Store(path, mode="read") as store:
        return store.query(
            "SELECT count(DISTINCT item_idx) FILTER (WHERE lost) / count(DISTINCT item_idx) AS share FROM split_availability "
            "JOIN split_items USING (split_id, item_idx) WHERE part = $part",
            part=part,
        ).item()


@pytest.mark.parametrize(
    ("setting", "train", "test"), [(Setting.FTFT, 0, 0), (Setting.FTMT, 0, 0.5), (Setting.MTFT, 0.3, 0), (Setting.MTMT, 0.3, 0.5)]
)
def test_each_setting_loses_where_it_says(path, setting, train, test):
    splits.build(path, setting=setting, seed=0)
    assert _lost_share(path, "train") == pytest.approx(train, abs=0.01)
    assert _lost_share(path, "val") == test
    assert _lost_share(path, "test") == test


def test_a_fifth_of_the_items_is_new_half_of_them_validation(path):
    splits.build(path, setting=Setting.FTFT, seed=0)
    counts = dict(_rows(path, "split_items")["part"].value_counts().iter_rows())
    assert counts == {"train": 96, "val": 12, "test": 12}


def test_building_twice_changes_nothing(path):
    first = splits.build(path, setting=Setting.MTMT, seed=3)
    before = [_rows(path, table) for table in ("splits", "split_items", "split_availability")]
    second = splits.build(path, setting=Setting.MTMT, seed=3)
    after = [_rows(path, table) for table in ("splits", "split_items", "split_availability")]
    assert (first.changed, second.changed) == (True, False)
    assert first.fingerprint == second.fingerprint
    assert all(a.equals(b) for a, b in zip(before, after, strict=True))


def test_the_same_seed_on_another_machine_gives_the_same_rows(path, tmp_path):
    other = planted.fill(tmp_path / "other.duckdb")
    assert splits.build(path, setting=Setting.FTMT, seed=5).fingerprint == splits.build(other, setting=Setting.FTMT, seed=5).fingerprint


@pytest.mark.parametrize(
    ("setting", "fingerprint"),
    [
        (Setting.FTFT, "946184506adae6cb319214e04571ec66bc8ce623588aef662f3e2a11bece374d"),
        (Setting.FTMT, "bfe0c85ebc009190e60c85b95be1d2573e42b87ad151af6481422c64eee012f9"),
        (Setting.MTFT, "fbc0dd20edf5a1d88bc1558687c5a4fc9848a38f972c3fa527deeffaba4d73a8"),
        (Setting.MTMT, "b29b99e88a79e9c6eb08d04cf5c7351ef611cafa4935dff0a5a5405072f6a31e"),
    ],
)
def test_splits_of_the_settings_stay_what_they_were_when_first_recorded(path, setting, fingerprint):
    with Store(path, mode="write") as store:
        store.run("DELETE FROM feature_rows WHERE feature_set_id = 1 AND item_idx < 60")
    assert splits.build(path, setting=setting, seed=7).fingerprint == fingerprint
    test = _rows(path, "split_items").filter(pl.col("part") == "test")["item_idx"].sort().to_list()
    assert test == [3, 13, 30, 34, 53, 66, 70, 87, 100, 112, 115, 119]


def test_another_seed_gives_other_parts(path):
    assert splits.build(path, setting=Setting.FTFT, seed=0).fingerprint != splits.build(path, setting=Setting.FTFT, seed=1).fingerprint
    parts = _rows(path, "split_items").partition_by("split_id")
    assert not parts[0].sort("item_idx")["part"].equals(parts[1].sort("item_idx")["part"])


def test_the_settings_of_one_seed_share_their_parts(path):
    for setting in Setting:
        splits.build(path, setting=setting, seed=0)
    parts = [frame.sort("item_idx")["part"] for frame in _rows(path, "split_items").partition_by("split_id")]
    assert len(parts) == 4
    assert all(part.equals(parts[0]) for part in parts)


def test_another_split_of_the_same_name_needs_to_be_asked_for(path):
    splits.build(path, setting=Setting.FTMT, seed=0)
    with pytest.raises(DataError, match="already has another split 'ftmt-0'"):
        splits.build(path, setting=Setting.FTMT, seed=0, test_loss=0.2)
    replaced = splits.build(path, setting=Setting.FTMT, seed=0, test_loss=0.2, replace=True)
    assert replaced.changed
    assert _rows(path, "splits").height == 1
    assert _rows(path, "split_items").height == 120


def test_items_nobody_touched_are_outside_every_split(path):
    with Store(path, mode="write") as store:
        store.run("DELETE FROM interactions WHERE item_idx = 7")
    splits.build(path, setting=Setting.FTFT, seed=0)
    assert 7 not in _rows(path, "split_items")["item_idx"].to_list()


def test_natural_absence_and_simulated_loss_are_kept_apart(path):
    with Store(path, mode="write") as store:
        store.run("DELETE FROM feature_rows WHERE feature_set_id = 1 AND item_idx < 60")  # half the items have no picture
    report = splits.build(path, setting=Setting.FTMT, seed=0, test_loss=1.0)
    cells = _rows(path, "split_availability")
    visual = cells.filter(pl.col("modality") == "visual")
    assert visual.filter(~pl.col("present"))["item_idx"].sort().to_list() == list(range(60))
    assert cells.filter(pl.col("lost") & ~pl.col("present")).height == 0
    assert cells.filter("lost").height == 24  # every new item has two modalities or three, and loses one
    train = report.statistics.row(0, named=True)
    assert train["no visual %"] == train["visual lost or none %"]
    with Store(path, mode="read") as store:
        assert all(frame.is_empty() for frame in store.violations().values())


def test_statistics_count_what_each_part_holds(path):
    report = splits.build(path, setting=Setting.FTMT, seed=0)
    assert report.statistics["part"].to_list() == ["train", "val", "test"]
    assert report.statistics["items"].to_list() == [96, 12, 12]
    assert report.statistics["interactions"].sum() == 900


def test_statistics_leave_out_modalities_that_nobody_embedded(tmp_path):
    path = planted.fill(tmp_path / "one.duckdb", modalities=(Modality.TEXT,))
    columns = splits.build(path, setting=Setting.FTFT, seed=0).statistics.columns
    assert [name for name in columns if "no " in name] == ["no text %"]


def test_a_store_without_vectors_says_to_extract(tmp_path):
    path = planted.fill(tmp_path / "bare.duckdb", modalities=())
    with pytest.raises(FeatureMissing, match="has no vectors yet"):
        splits.build(path, setting=Setting.FTMT, seed=0)


def test_too_few_items_are_refused(tmp_path):
    path = planted.fill(tmp_path / "tiny.duckdb", n_items=8, n_themes=2, per_user=3, modalities=(Modality.TEXT,))
    with pytest.raises(DataError, match="8 items with interactions are too few"):
        splits.build(path, setting=Setting.FTMT, seed=0)


@pytest.mark.parametrize("share", [{"cold_fraction": 0.0}, {"cold_fraction": 1.0}, {"test_loss": 1.5}, {"train_loss": -0.1}])
def test_shares_out_of_range_are_refused(path, share):
    with pytest.raises(BadValue, match="Shares lie between 0 and 1"):
        splits.build(path, setting=Setting.MTMT, seed=0, **share)


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "x" * 101, "a\x00b", "a b"])
def test_a_name_that_could_be_a_path_is_refused(path, name):
    with pytest.raises(BadValue, match="cannot name a split"):
        splits.build(path, setting=Setting.FTFT, seed=0, name=name)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_the_store_cannot_hold_is_refused(path, seed):
    with pytest.raises(BadValue, match="it must be 0 to"):
        splits.build(path, setting=Setting.FTFT, seed=seed)


def test_a_mistyped_store_is_not_created(tmp_path):
    with pytest.raises(StoreError, match="There is no store"):
        splits.build(tmp_path / "typo.duckdb", setting=Setting.FTFT, seed=0)
    assert list(tmp_path.iterdir()) == []
