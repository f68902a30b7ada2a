"""Splits that a file says, on a store whose content is known: 120 items i0 ... i119, all with three modalities."""

import planted
import polars as pl
import pytest

from milkprep import splits
from schemas.contracts import Part, Setting
from schemas.errors import BadValue, SourceError
from schemas.store import Store


@pytest.fixture
def path(tmp_path):
    return planted.fill(tmp_path / "planted.duckdb")


def rows(**columns):
    """i0 ... i99 training, i100 ... i109 validation, the rest test."""
    part = ["train"] * 100 + ["val"] * 10 + ["test"] * 10
    return pl.DataFrame({"item_key": [f"i{i}" for i in range(120)], "part": part, **columns})


def ask(path, sql):
    with Store(path, mode="read") as store:
        return store.query(sql)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_parts_and_losses_are_those_of_the_file(path, tmp_path, form):
    lost = [i >= 115 for i in range(120)]
    frame = rows(lost_visual=lost, lost_audio=[int(i == 119) for i in range(120)]).sample(fraction=1, shuffle=True, seed=0)
    file = tmp_path / f"theirs.{form}"
    frame.write_csv(file) if form == "csv" else frame.write_parquet(file)
    report = splits.build_given(path, file)
    assert (report.name, report.setting, report.n_lost, report.notes) == ("theirs", Setting.FTMT, 6, ())
    items = ask(path, "SELECT part FROM split_items ORDER BY item_idx")["part"]
    assert items.to_list() == rows()["part"].to_list()
    found = ask(path, "SELECT item_idx, modality FROM split_availability WHERE lost ORDER BY ALL").rows()
    assert found == [(115, "visual"), (116, "visual"), (117, "visual"), (118, "visual"), (119, "audio"), (119, "visual")]
    assert not splits.build_given(path, file).changed
    with Store(path, mode="read") as store:
        assert all(frame.is_empty() for frame in store.violations().values())
        leaking = store.query("SELECT count(*) FROM split_items GROUP BY item_idx HAVING count(DISTINCT part) > 1")
    assert leaking.height == 0


def test_what_file_and_store_do_not_share_is_counted(path, tmp_path):
    with Store(path, mode="write") as store:
        store.run("DELETE FROM interactions WHERE item_idx = 3")
        store.run("DELETE FROM feature_rows WHERE feature_set_id = 1 AND item_idx = 119")
    frame = rows(lost_visual=[int(i == 119) for i in range(120)]).slice(2)
    more = pl.DataFrame({"item_key": ["i2", "elsewhere"], "part": ["train", "Test"], "lost_visual": [0, 0]})
    pl.concat([frame, more]).write_csv(tmp_path / "theirs.csv")
    report = splits.build_given(path, tmp_path / "theirs.csv", name="t")
    assert report.notes == (
        "1 rows of theirs.csv repeat another.",
        "1 items of theirs.csv are not in the store.",
        "1 items of theirs.csv have no interaction and are outside the split.",
        "2 items with interactions are not in theirs.csv; they and their interactions are outside the split.",
        "1 losses are of what the item never had, and change nothing.",
    )
    assert ask(path, "SELECT * FROM split_items").height == 117
    assert report.setting is Setting.FTFT


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("i5,test,0,0,0\n", "1 items in two parts, which leaks .line 122: 'i5'"),
        ("i5,train,1,0,0\n", "1 items twice, with other losses"),
        ("i5,cold,0,0,0\n,test,0,0,0\n", "1 rows whose part is none of train.*1 rows without item_key|1 rows without item_key.*1 rows whose part"),
        ("x,test,maybe,0,0\n", "1 rows whose lost_visual is neither 0 nor 1"),
        ("x,test,0\n", "1 rows that cannot be read"),
        ("\xff,\x00\n", "rows that cannot be read"),
    ],
    ids=["two parts", "two losses", "part and key", "flag", "short", "bytes"],
)
def test_mistakes_of_every_kind_are_counted_and_nothing_is_stored(path, tmp_path, lines, says):
    file = tmp_path / "theirs.csv"
    rows(lost_visual=0, lost_text=0, lost_audio=0).write_csv(file)
    file.write_bytes(file.read_bytes() + lines.encode("latin-1"))
    with pytest.raises(SourceError, match=says):
        splits.build_given(path, file)
    assert ask(path, "SELECT * FROM splits").height == 0


def test_an_item_that_would_lose_everything_is_refused(path, tmp_path):
    flags = [int(i == 110) for i in range(120)]
    rows(lost_visual=flags, lost_text=flags, lost_audio=flags).write_csv(tmp_path / "theirs.csv")
    with pytest.raises(SourceError, match=r"1 items that would lose everything they have .line 112: 'i110'"):
        splits.build_given(path, tmp_path / "theirs.csv")


@pytest.mark.parametrize("part", list(Part))
def test_a_part_without_an_item_is_refused(path, tmp_path, part):
    rows().filter(pl.col("part") != part.value).write_csv(tmp_path / "theirs.csv")
    with pytest.raises(SourceError, match=f"no item with interactions for {part}"):
        splits.build_given(path, tmp_path / "theirs.csv")


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a.csv", b"item,part\ni1,test\n", SourceError, "has no column item_key"),
        ("a.csv", b"item_key,part\n", SourceError, "holds no row"),
        ("a.csv", b"item_key,part,lost_smell\ni1,test,0\n", SourceError, "lost_smell"),
        ("a.parquet", b"PAR1 cut short", SourceError, "cannot be read as Parquet"),
        ("a.pkl", b"\x80\x04K\x01.", BadValue, "in no known format"),
        ("a b.csv", b"item_key,part\ni1,test\n", BadValue, "cannot name a split"),
    ],
    ids=["column", "empty", "smell", "parquet", "pickle", "name"],
)
def test_a_file_that_is_none_of_a_split_is_refused(path, tmp_path, name, content, error, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=says):
        splits.build_given(path, tmp_path / name)


def test_a_file_that_is_not_there_is_named(path, tmp_path):
    with pytest.raises(BadValue, match="There is no file"):
        splits.build_given(path, tmp_path / "nowhere.csv")
