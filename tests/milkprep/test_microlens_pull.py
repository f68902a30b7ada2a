"""`pull microlens`: pairs, titles with commas, and folders of covers, videos and sound."""

from datetime import datetime

import pytest
from own_folders import assets
from raw_files import count, rejects, table

from milkprep.sources import microlens
from schemas.errors import BadValue, DataError, SourceError
from schemas.reporting import Silent

PAIRS = "1,10,1583378629552\n1,11,1583378629553\n2,10,1583378629\n"


def write(folder, *, pairs="user,item,timestamp\n" + PAIRS, titles='item,title\n10,"A title, with commas"\n11,Rain\n12,Lonely\n'):
    folder.mkdir()
    (folder / "MicroLens-tiny_pairs.csv").write_text(pairs)
    if titles is not None:
        (folder / "MicroLens-tiny_titles.csv").write_text(titles)
    for name in ("covers/10.jpg", "covers/12.jpg", "videos/10.mp4", "videos/11.mp4", "audio/11.mp3"):
        file = folder / f"MicroLens-tiny_{name}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return folder


def pull(place, folder, **options):
    return microlens.pull(place / "s.duckdb", files=microlens.files_of(folder), reporter=Silent(), **options)


def test_the_parts_are_found_by_name_and_read(tmp_path):
    folder = write(tmp_path / "ml")
    report = pull(tmp_path, folder)
    assert (report.source, report.n_users, report.n_items, report.n_interactions) == ("microlens", 2, 2, 3)
    assert table(tmp_path, "SELECT item_key, title FROM items ORDER BY 1") == [("10", "A title, with commas"), ("11", "Rain")]
    second = datetime(2020, 3, 5, 3, 23, 49)  # given in milliseconds and in seconds
    assert table(tmp_path, 'SELECT DISTINCT "timestamp" FROM interactions') == [(second,)]
    start = f"{folder}/MicroLens-tiny_"
    assert [(key, location) for key, _, location, *_ in assets(tmp_path, "visual")] == [
        ("10", f"{start}covers/10.jpg"), ("10", f"{start}videos/10.mp4"), ("11", f"{start}videos/11.mp4"),
    ]  # fmt: skip
    assert [(key, location) for key, _, location, *_ in assets(tmp_path, "audio")] == [
        ("10", f"{start}videos/10.mp4"), ("11", f"{start}audio/11.mp3"),
    ]  # fmt: skip
    assert rejects(tmp_path) == [(4, "no_interactions")]
    assert count(report, "media", "media_without_item") == 1
    assert not pull(tmp_path, folder).changed


@pytest.mark.parametrize(
    "titles",
    [
        'item,title\n10,"A ""b"", c"\n11,Rain\n',
        '10,"A ""b"", c"\n11,Rain\n',
        '10,A "b", c\n11,Rain\n',
        'item,title\r\n10,A "b", c\r\n11,Rain\r\n',
    ],
    ids=["header and quotes", "quotes", "neither", "header, no quotes"],
)
def test_titles_are_read_with_and_without_header_and_quotes(tmp_path, titles):
    pull(tmp_path, write(tmp_path / "ml", titles=titles))
    assert table(tmp_path, "SELECT item_key, title FROM items ORDER BY 1") == [("10", 'A "b", c'), ("11", "Rain")]
    assert rejects(tmp_path) == []


def test_pairs_may_lack_their_header_and_titles_may_be_missing(tmp_path):
    report = pull(tmp_path, write(tmp_path / "ml", pairs=PAIRS, titles=None))
    assert count(report, "MicroLens-tiny_pairs.csv", "read") == 3
    assert table(tmp_path, "SELECT item_key, title FROM items ORDER BY 1") == [("10", None), ("11", None)]


def test_items_with_a_title_only_are_kept_on_request_and_a_core_is_kept(tmp_path):
    folder = write(tmp_path / "ml")
    assert pull(tmp_path, folder, keep_all_items=True).n_items == 3
    with pytest.raises(DataError, match="No interaction is left"):
        pull(tmp_path, folder, core=3, replace=True)


def test_parts_that_are_named_go_before_those_that_are_found(tmp_path):
    folder = write(tmp_path / "ml")
    other = tmp_path / "other.csv"
    other.write_text("user,item,timestamp\n9,10,1\n")
    (folder / "second_titles.csv").write_text("10,x\n")
    with pytest.raises(BadValue, match=r"MicroLens-tiny_titles.csv and second_titles.csv. Say which one with --titles"):
        microlens.files_of(folder, pairs=other)
    files = microlens.files_of(folder, pairs=other, titles=folder / "second_titles.csv")
    assert microlens.pull(tmp_path / "s.duckdb", files=files, reporter=Silent()).n_users == 1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "There are no pairs to read"),
        ({"pairs": "gone.csv"}, "There is no file .*--pairs"),
        ({"pairs": "x.csv", "titles": "gone.csv"}, "There is no file .*--titles"),
        ({"pairs": "x.csv", "covers": "gone"}, "There is no folder .*--covers"),
    ],
)
def test_a_part_that_is_not_there_is_named(tmp_path, parts, words):
    (tmp_path / "x.csv").write_text(PAIRS)
    named = {part: tmp_path / name for part, name in parts.items()}
    with pytest.raises(BadValue, match=words):
        microlens.pull(tmp_path / "s.duckdb", files=microlens.files_of(None, **named), reporter=Silent())
    assert not (tmp_path / "s.duckdb").exists()


def test_a_file_of_other_columns_is_refused(tmp_path):
    folder = write(tmp_path / "ml", pairs="who,item,when\n1,10,5\n")
    with pytest.raises(SourceError, match="no column that looks like a user"):
        pull(tmp_path, folder)


def test_a_first_row_that_repeats_itself_is_no_header_with_a_fault(tmp_path):
    folder = write(tmp_path / "m", pairs="10,10,1589012345678\n11,10,1589012345679\n", titles="10,no, no, no\n")
    pull(tmp_path, folder)
    assert table(tmp_path, "SELECT item_key, title FROM items") == [("10", "no, no, no")]
    assert table(tmp_path, "SELECT user_key FROM users") == [("10",), ("11",)]


def test_columns_that_are_missing_are_asked_for_without_a_flag_that_is_not_there(tmp_path):
    folder = write(tmp_path / "ml", pairs="item,when\n10,1\n")
    with pytest.raises(
        SourceError, match=r"no column that looks like a user. It has: 'item', 'when'. Let the first line name the columns user,item,time"
    ) as told:
        pull(tmp_path, folder)
    assert "--columns" not in str(told.value)
    folder = write(tmp_path / "other", titles="item,words\n10,A\n")
    with pytest.raises(SourceError, match="name the columns item,title, or leave it out where they are in this order"):
        pull(tmp_path, folder)
