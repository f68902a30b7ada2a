"""`pull folder`: tables in somebody's own columns."""

import csv
import gzip
import json
from datetime import datetime

import own_folders
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_folders import pull, write
from raw_files import count, rejects, table

from milkprep.sources import _folder_survey, folder
from schemas.errors import BadValue, DataError, SourceError
from schemas.store import Store


def test_a_catalogue_in_its_own_columns_is_read_whole(tmp_path):
    items = 'SKU,Name,Text,Manufacturer,Category,price\nb,Salt &amp; Pepper,"Two\nlines.",Clay & Co,Kitchen|Mugs,3\na,,,,,\n'
    pairs = "customer,sku,stars,date\nu2,b,4.5,2020-05-09\nu1,b,,1589012345678\n"
    report = pull(tmp_path, write(tmp_path / "shop", items=items, interactions=pairs))
    assert table(tmp_path, "SELECT item_idx, item_key, title, description, brand, categories, in_metadata FROM items ORDER BY 1") == [
        (0, "a", None, None, None, [], True),
        (1, "b", "Salt & Pepper", "Two\nlines.", "Clay & Co", ["Kitchen", "Mugs"], True),
    ]
    assert table(tmp_path, "SELECT user_key, rating, timestamp FROM interactions JOIN users USING (user_idx) ORDER BY 1") == [
        ("u1", None, datetime(2020, 5, 9, 8, 19, 5)),
        ("u2", 4.5, datetime(2020, 5, 9)),
    ]
    assert report.notes == (
        "items.csv: item is 'SKU', title is 'Name', description is 'Text', brand is 'Manufacturer', categories is 'Category'; not used: 'price'.",
        "interactions.csv: user is 'customer', item is 'sku', rating is 'stars', timestamp is 'date'. "
        "Times were read by their size: 1 as dates and 1 as milliseconds since 1970.",
    )


def test_items_that_nobody_bought_are_kept_unless_only_the_others_are_wanted(tmp_path):
    shop = write(tmp_path / "shop", interactions="user,item\nu,a\nu,stranger\n")
    report = pull(tmp_path, shop)
    assert table(tmp_path, "SELECT item_key, in_metadata FROM items ORDER BY 1") == [("a", True), ("b", True), ("stranger", False)]
    assert count(report, "items.csv", "not_in_metadata") == 1
    report = pull(tmp_path, shop, keep_all_items=False, replace=True)
    assert table(tmp_path, "SELECT item_key FROM items ORDER BY 1") == [("a",), ("stranger",)]
    assert rejects(tmp_path, "items.csv") == [(3, "no_interactions")]
    assert count(report, "items.csv", "taken") == 1


def test_without_a_table_of_items_they_are_those_of_the_interactions(tmp_path):
    pull(tmp_path, write(tmp_path / "shop", items=None))
    assert table(tmp_path, "SELECT item_key, title, in_metadata FROM items ORDER BY 1") == [("a", None, False), ("b", None, False)]


def test_every_bad_row_is_a_reject_and_the_counts_add_up(tmp_path):
    items = b'item,title\na,A\n,no key\na,A\na,another\nb\n"b,open\n\xff,x\n\nb,B\n'
    pairs = "user,item,rating,time\nu1,a,5,1\n,a,,\nu1,,,\n,,,\nu1,b,five,\nu1,b,1e39,\nu1,b,,soon\nu1,a,5,1\nu1,a,4,9\nu2,b,1,\n\nu2\n"
    report = pull(tmp_path, write(tmp_path / "shop", items=items, interactions=pairs))
    assert rejects(tmp_path, "items.csv") == [
        (3, "missing_key"), (4, "duplicate_line"), (5, "duplicate_item"), (6, "malformed"), (7, "malformed"), (8, "not_utf8"), (9, "malformed"),
    ]  # fmt: skip
    assert rejects(tmp_path, "interactions.csv") == [
        (3, "missing_key"), (4, "missing_key"), (5, "missing_key"), (6, "wrong_type"), (7, "wrong_type"), (8, "wrong_type"),
        (9, "duplicate_line"), (10, "duplicate_pair"), (12, "malformed"), (13, "malformed"),
    ]  # fmt: skip
    assert [count(report, "items.csv", rule) for rule in ("read", "taken")] == [9, 2]
    assert [count(report, "interactions.csv", rule) for rule in ("read", "taken")] == [12, 2]
    details = dict(table(tmp_path, "SELECT line, detail FROM rejects WHERE source = 'interactions.csv'"))
    assert details[5] == "no user and no item"
    assert details[6] == "rating 'five' is no number"
    assert details[8].startswith("timestamp 'soon' is no time")


UNKNOWN = {
    "csv": "user,item,rating,time\nu1,a,NA,2020-01-01\nu2,a,nan,NaT\nu3,a,,null\nu4,a,2,N/A\n",
    "jsonl": '{"user":"u1","item":"a","rating":null,"time":"2020-01-01"}\n{"user":"u2","item":"a"}\n'
    '{"user":"u3","item":"a","rating":"None"}\n{"user":"u4","item":"a","rating":2}\n',
}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_rating_or_a_time_that_is_not_known_costs_no_row_whatever_the_format(tmp_path, form):
    shop = write(tmp_path / "shop", interactions=UNKNOWN.get(form), items=None, suffix=form)
    if form == "parquet":
        rows = {"user": ["u1", "u2", "u3", "u4"], "item": ["a"] * 4, "rating": [float("nan"), None, float("nan"), 2.0]}
        pl.DataFrame({**rows, "time": [datetime(2020, 1, 1), None, None, None]}).write_parquet(shop / "interactions.parquet")
    pull(tmp_path, shop)
    assert table(tmp_path, "SELECT user_key, rating, timestamp FROM interactions JOIN users USING (user_idx) ORDER BY 1") == [
        ("u1", None, datetime(2020, 1, 1)), ("u2", None, None), ("u3", None, None), ("u4", 2.0, None),
    ]  # fmt: skip
    assert rejects(tmp_path) == []


@pytest.mark.parametrize(("separator", "words"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_than_the_name_says_is_recognised_and_told(tmp_path, separator, words):
    items = f'item{separator}title\na{separator}"Apples, green, red"\nb{separator}"Bread{separator}"\n'
    report = pull(tmp_path, write(tmp_path / "shop", items=items, interactions=own_folders.PAIRS.replace(",", separator)))
    assert table(tmp_path, "SELECT item_key, title FROM items ORDER BY 1") == [
        ("a", "Apples, green, red"),
        ("b", f"Bread{separator}".strip()),
    ]
    assert [note.partition(":")[0] for note in report.notes] == [f"{name}.csv (values separated by {words})" for name in ("items", "interactions")]


def test_a_column_name_that_holds_a_semicolon_stays_one_where_commas_separate(tmp_path):
    pull(tmp_path, write(tmp_path / "shop", items='item,"title; long"\na,A\nb,B\n'), said=("title=title; long",))
    assert table(tmp_path, "SELECT title FROM items ORDER BY item_idx") == [("A",), ("B",)]


def test_a_table_of_one_column_is_read_as_it_is(tmp_path):
    pull(tmp_path, write(tmp_path / "shop", items="item\na\nc\n"))
    assert table(tmp_path, "SELECT item_key, in_metadata FROM items ORDER BY 1") == [("a", True), ("b", False), ("c", True)]


def test_a_whole_number_of_json_lines_or_parquet_is_its_shortest_text_and_of_csv_the_text_it_is(tmp_path):
    for form, keys in (("csv", ["7", "7.0"]), ("jsonl", ["7"]), ("parquet", ["7"])):
        place = tmp_path / form
        rows = {"csv": "user,item\nu,7\nv,7.0\n", "jsonl": '{"user":"u","item":7}\n{"user":"v","item":7.0}\n'}
        shop = write(place / "shop", interactions=rows.get(form), items=None, suffix=form)
        if form == "parquet":
            pl.DataFrame({"user": ["u", "v"], "item": [7.0, 7.0]}).write_parquet(shop / "interactions.parquet")
        pull(place, shop)
        assert table(place, "SELECT item_key FROM items ORDER BY 1") == [(key,) for key in keys]


@pytest.mark.parametrize("empty", ["items", "interactions"])
def test_a_survey_of_a_table_without_rows_ends_as_the_pull_does(tmp_path, empty):
    shop = write(tmp_path / "shop", **{empty: "user,item\n"})
    with pytest.raises(SourceError, match=f"{empty}.csv names its columns but holds no row"):
        _folder_survey.survey(shop, folder.look(shop))


def test_a_core_is_kept_when_asked_for(tmp_path):
    pairs = "user,item\n" + "".join(f"u{u},{i}\n" for u in (1, 2) for i in "ab") + "u3,a\n"
    report = pull(tmp_path, write(tmp_path / "shop", interactions=pairs), core=2)
    assert (report.n_users, report.n_items, report.n_interactions) == (2, 2, 4)
    assert rejects(tmp_path, "interactions.csv") == [(6, "below_core")]


def test_columns_can_be_said(tmp_path):
    shop = write(tmp_path / "shop", items="code,what\na,Apple\n", interactions="who,code\nu1,a\n")
    with pytest.raises(SourceError, match=r"items.csv has no column that looks like an item. It has: 'code', 'what'"):
        pull(tmp_path, shop)
    with pytest.raises(BadValue, match=r"no column 'kode' for it. items.csv has code, what; interactions.csv has who, code"):
        pull(tmp_path, shop, said=("item=kode",))
    assert not (tmp_path / "s.duckdb").exists()
    pull(tmp_path, shop, said=("item=code,title=what", "user=who"))
    assert table(tmp_path, "SELECT item_key, title FROM items") == [("a", "Apple")]


def test_the_same_again_changes_nothing_and_another_content_or_column_is_another_pull(tmp_path):
    shop = write(tmp_path / "shop", items="item,title,name\na,Apple,Pomme\nb,Bread,Pain\n")
    pull(tmp_path, shop)
    assert not pull(tmp_path, shop).changed
    with pytest.raises(DataError, match=r"--replace"):
        pull(tmp_path, shop, said=("title=name",))
    write(shop, items="item,title\na,Apple\nb,Butter\n")
    with pytest.raises(DataError, match=r"items.csv has other content"):
        pull(tmp_path, shop)
    pull(tmp_path, shop, replace=True)
    assert table(tmp_path, "SELECT title FROM items ORDER BY item_idx") == [("Apple",), ("Butter",)]


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"interactions": b""}, SourceError, "is empty"),
        ({"interactions": "user,item\n"}, SourceError, "names its columns but holds no row"),
        ({"items": "item,title\n"}, SourceError, "names its columns but holds no row"),
        ({"interactions": "u1,a\nu2,b\n"}, SourceError, "the first line has to name the columns"),
        ({"interactions": None}, BadValue, r"holds no interactions.csv .*only items.csv. Put a table there that says who took what"),
        ({"interactions": gzip.compress(own_folders.PAIRS.encode() * 999, mtime=0)[:20]}, SourceError, "ends before the first line"),
        ({"interactions": "user,item\n,a\n"}, DataError, "No interaction is left"),
        ({"interactions": gzip.compress(own_folders.PAIRS.encode() * 999, mtime=0)[:-9]}, SourceError, "cut short"),
    ],
)
def test_a_folder_that_cannot_be_a_catalogue_is_refused_and_nothing_is_stored(tmp_path, files, error, words):
    with pytest.raises(error, match=words):
        pull(tmp_path, write(tmp_path / "shop", **files))
    assert not (tmp_path / "s.duckdb").exists()


def test_a_table_under_another_name_is_named_when_the_interactions_are_missing(tmp_path):
    shop = write(tmp_path / "shop", interactions=None)
    (shop / "orders.csv").write_text(own_folders.PAIRS)
    (shop / "readme.txt").write_text("hello")
    with pytest.raises(BadValue, match=r"only items.csv, orders.csv, readme.txt. Where orders.csv says who took what, rename it so"):
        pull(tmp_path, shop)


def test_an_archive_and_a_file_are_no_folder(tmp_path):
    (tmp_path / "shop.zip").write_bytes(b"PK\x03\x04../../evil")
    with pytest.raises(BadValue, match="Unpack it first"):
        pull(tmp_path, tmp_path / "shop.zip")
    with pytest.raises(BadValue, match="There is no folder"):
        pull(tmp_path, tmp_path / "nowhere")
    with pytest.raises(BadValue, match="--core -1"):
        pull(tmp_path, write(tmp_path / "shop"), core=-1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop.zip"]


def test_a_survey_tells_what_would_be_taken_and_writes_nothing(tmp_path):
    shop = write(tmp_path / "shop", items="sku,Name,image,price\na,A,pics/1.jpg|../x.jpg,1\nb,B,https://shop.example/b.jpg,2\nb\n")
    own_folders.media(shop, "pics/1.jpg", "images/a.jpg", "images/z.jpg")
    before = sorted(tmp_path.rglob("*"))
    seen = _folder_survey.survey(shop, folder.look(shop))
    assert seen.columns.rows() == [
        ("items.csv", "sku", "item"), ("items.csv", "Name", "title"), ("items.csv", "image", "image"), ("items.csv", "price", ""),
        ("interactions.csv", "user", "user"), ("interactions.csv", "item", "item"),
    ]  # fmt: skip
    assert seen.counts.rows() == [
        ("items.csv", 2, "rows"), ("items.csv", 1, "lines that are no rows"), ("items.csv", 2, "different items"),
        ("interactions.csv", 2, "rows"), ("interactions.csv", 0, "lines that are no rows"), ("interactions.csv", 2, "different items"),
        ("images/", 2, "files ending in jpg, jpeg, png, webp, gif"), ("images/", 1, "of them named like an item that was seen"),
        ("column image", 1, "files that are there"), ("column image", 1, "not taken: path outside the folder"), ("column image", 1, "addresses"),
    ]  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == before


def test_a_survey_of_a_long_table_says_how_far_it_looked(tmp_path, monkeypatch):
    monkeypatch.setattr("milkprep.pull.lines.CHUNK_BYTES", 4096)
    monkeypatch.setattr(_folder_survey, "ROWS_LOOKED_AT", 100)
    shop = write(tmp_path / "shop", interactions="user,item\n" + "u1,a\n" * 10_000)
    counts = _folder_survey.survey(shop, folder.look(shop)).counts.filter(pl.col("what") == "interactions.csv")
    assert "rows among the first" in counts["in_words"][0]
    assert 100 <= counts["count"][0] < 2000


KEYS = st.text(alphabet='ab12,"\n\té|;& ', min_size=1, max_size=6).filter(str.strip)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # each makes four stores
@given(
    st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=10, unique=True),
    st.dictionaries(
        KEYS, st.tuples(st.text(alphabet='xy,"\n &', max_size=8), st.lists(st.sampled_from(["p", "q r", "é"]), max_size=3)), min_size=1, max_size=6
    ),
)
def test_a_catalogue_is_the_same_in_every_format(tmp_path_factory, pairs, described):
    items = [(key, title, categories) for key, (title, categories) in described.items()]
    found = set()
    for form in ("csv", "tsv", "jsonl", "parquet"):
        place = tmp_path_factory.mktemp("t")
        _write_as(form, place / "shop", pairs, items)
        pull(place, place / "shop")
        found.add(table(place, "SELECT catalogue_fingerprint FROM pulls")[0])
    assert len(found) == 1


def _write_as(form, shop, pairs, items):
    shop.mkdir()
    frames = {
        "interactions": pl.DataFrame(pairs, schema=["user", "item"], orient="row"),
        "items": pl.DataFrame(items, schema={"item": pl.String, "title": pl.String, "categories": pl.List(pl.String)}, orient="row"),
    }
    for stem, frame in frames.items():
        file = shop / f"{stem}.{form}"
        if form == "parquet":
            frame.write_parquet(file)
        elif form == "jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
        else:
            with file.open("w", newline="") as stream:
                writer = csv.writer(stream, delimiter="," if form == "csv" else "\t", lineterminator="\n")
                writer.writerow(frame.columns)
                writer.writerows([["|".join(v) if isinstance(v, list) else v for v in row] for row in frame.rows()])


def test_what_is_stored_breaks_no_rule(tmp_path):
    shop = write(tmp_path / "shop", items="item,title,image\na,A,x.jpg\nb,,\n")
    pull(tmp_path, shop)
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert {rule: frame.height for rule, frame in store.violations().items() if frame.height} == {}
