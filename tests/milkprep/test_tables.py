"""Tables in any of four formats: the same values with honest line numbers, and no line lost."""

import csv
import datetime
import gzip
import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep.pull import delimited, tables
from schemas.errors import BadValue, SourceError


def read(path, *, columns=None, lists=()):
    """Rows as (line, values...), and refused lines as (line, reason)."""
    table = tables.opened(path, label=path.name)
    batches = list(tables.read(table, columns=list(columns or table.columns), lists=lists))
    return [row for batch in batches for row in batch.frame.rows()], sorted((r.line, r.reason.value) for batch in batches for r in batch.refused)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_row_that_quotes_line_ends_is_numbered_by_its_first_line(tmp_path):
    file = write(tmp_path / "t.csv", 'item,title\na,"one\ntwo, ""three"""\nb,5" disk\n')
    assert read(file) == ([(2, "a", 'one\ntwo, "three"'), (4, "b", '5" disk')], [])


def test_a_quote_that_never_closes_costs_its_own_line_only(tmp_path):
    file = write(tmp_path / "t.csv", 'item,title\na,"open\nb,x\nc,y\n')
    assert read(file) == ([(3, "b", "x"), (4, "c", "y")], [(2, "malformed")])


def test_a_quote_that_closes_in_another_row_costs_its_own_line_only(tmp_path):
    file = write(tmp_path / "t.csv", 'item,title\na,"open\n"b",x\nc,y\n')
    assert read(file) == ([(3, "b", "x"), (4, "c", "y")], [(2, "malformed")])


def test_every_kind_of_bad_line_is_refused_by_itself(tmp_path):
    lines = [b"item,title", b"a,x", b"", b"b", b"c,x,y", b"\xff,x", b"   ", b"d,y"]
    file = write(tmp_path / "t.csv", b"\n".join(lines) + b"\n")
    assert read(file) == ([(2, "a", "x"), (8, "d", "y")], [(3, "malformed"), (4, "malformed"), (5, "malformed"), (6, "not_utf8"), (7, "malformed")])


def test_byte_order_mark_windows_line_ends_and_a_missing_last_one_change_nothing(tmp_path):
    file = write(tmp_path / "t.tsv", b"\xef\xbb\xbfitem\ttitle\r\na\tx\r\nb\t")
    assert read(file) == ([(2, "a", "x"), (3, "b", "")], [])


def test_a_header_may_be_quoted_over_two_lines(tmp_path):
    file = write(tmp_path / "t.csv", 'item,"the\ntitle"\na,x\n')
    assert tables.opened(file, label="t").columns == ("item", "the\ntitle")
    assert read(file) == ([(3, "a", "x")], [])


def test_rows_and_line_numbers_are_the_same_however_blocks_end(tmp_path, monkeypatch):
    rows = [[f"i{n}", f'line "{n}"\nmore' if n % 7 == 0 else "plain" * (n % 3)] for n in range(300)]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([["item", "title"], *rows])
    file = write(tmp_path / "t.csv", stream.getvalue())
    whole = read(file)
    assert [row[1:] for row in whole[0]] == [tuple(row) for row in rows]
    monkeypatch.setattr("milkprep.pull.lines.CHUNK_BYTES", 97)
    assert read(file) == whole


def test_whole_blocks_and_single_rows_read_the_same(tmp_path, monkeypatch):
    lines = [b"item,title,brand", b"a,x,", b"b,\xc3\xa9,z ", b",,", b"c,1|2,", b"d,\x00,x"]
    file = write(tmp_path / "t.csv", b"\n".join(lines))
    at_once = read(file)
    monkeypatch.setattr(delimited, "_whole", lambda *_: None)
    by_row = read(file)
    # A row of nothing but separators holds values, all of them empty, to both.
    assert at_once == by_row
    assert len(at_once[0]) == 5


def test_a_column_may_hold_several_values(tmp_path):
    rows = [{"item": "a", "tags": ["x", ["y|z", ""]]}, {"item": "b", "tags": "p | q"}, {"item": "c", "tags": None}, {"item": "d"}]
    file = write(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [tags for _, _, tags in read(file, lists=["tags"])[0]] == [["x", "y", "z"], ["p", "q"], [], []]
    file = write(tmp_path / "t.csv", "item,tags\na,x|y\nb, p | |q \nc,\n")
    assert [tags for _, _, tags in read(file, lists=["tags"])[0]] == [["x", "y"], ["p", "q"], []]
    pl.DataFrame({"item": ["a", "b", "c"], "tags": [["x", None, "y|z"], [], None]}).write_parquet(tmp_path / "t.parquet")
    assert [tags for _, _, tags in read(tmp_path / "t.parquet", lists=["tags"])[0]] == [["x", "y", "z"], [], []]


def test_numbers_and_times_have_one_text_in_every_format(tmp_path):
    values = {"item": [1, 22], "weight": [2.0, 2.5]}
    frame = pl.DataFrame(values)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    assert read(tmp_path / "t.parquet")[0] == [(1, "1", "2"), (2, "22", "2.5")]
    assert read(tmp_path / "t.jsonl")[0] == [(1, "1", "2"), (2, "22", "2.5")]
    noon = datetime.datetime(2020, 1, 1, 12)
    times = pl.DataFrame({"local": [noon, None]}).with_columns(
        pl.col("local").dt.replace_time_zone("Asia/Tokyo").alias("tokyo"), day=pl.col("local").dt.date()
    )
    times.write_parquet(tmp_path / "times.parquet")
    assert read(tmp_path / "times.parquet")[0] == [(1, "2020-01-01T12:00:00", "2020-01-01T03:00:00", "2020-01-01"), (2, "", "", "")]


def test_a_column_called_line_is_a_column_like_others(tmp_path):
    assert read(write(tmp_path / "t.csv", 'line,item\nx,a\ny,"b"\n')) == ([(2, "x", "a"), (3, "y", "b")], [])
    assert read(write(tmp_path / "t.jsonl", '{"line": "x", "item": "a"}\n')) == ([(1, "x", "a")], [])
    pl.DataFrame({"line": ["x"], "item": ["a"]}).write_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == ([(1, "x", "a")], [])


def test_a_json_line_that_is_no_object_of_texts_is_refused(tmp_path):
    lines = ['{"item": "a"}', "", "[1]", '{"item": {"x": 1}}', '{"item": true}', '{"item"', '{"item": "b"}']
    file = write(tmp_path / "t.jsonl", "\n".join(lines))
    assert read(file) == ([(1, "a"), (7, "b")], [(2, "malformed"), (3, "wrong_type"), (4, "wrong_type"), (5, "wrong_type"), (6, "malformed")])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,a\n1,2\n", "more than one column 'a'"),
        ("t.csv", b'"a,b\n1,2\n', "has to name the columns"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 9999, mtime=0)[:-9], "cut short"),
        ("t.csv", b"PK\x03\x04", "zip archive"),
        ("t.jsonl", b"a,b\n1,2\n", "None of the first lines"),
        ("t.parquet", b"PAR1 nothing", "cannot be read as Parquet"),
        ("t.parquet", b"", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_a_table_is_refused(tmp_path, name, content, words):
    with pytest.raises(SourceError, match=words):
        read(write(tmp_path / name, content))


def test_a_parquet_file_damaged_inside_is_refused(tmp_path):
    file = tmp_path / "t.parquet"
    pl.DataFrame({"item": [f"i{n}" for n in range(5000)]}).write_parquet(file, compression="zstd")
    data = bytearray(file.read_bytes())
    data[40:2000] = bytes(1960)
    file.write_bytes(data)
    with pytest.raises(SourceError, match="is damaged"):
        read(file)


def test_a_column_of_structs_is_refused_by_name(tmp_path):
    pl.DataFrame({"item": [{"a": 1}]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="column 'item' is of type Struct"):
        read(tmp_path / "t.parquet")


def test_two_tables_of_one_name_are_refused(tmp_path):
    write(tmp_path / "items.csv", "a")
    write(tmp_path / "Items.JSONL.gz", "a")
    with pytest.raises(BadValue, match=r"Items.JSONL.gz and items.csv. Leave one"):
        tables.find(tmp_path, "items")
    assert tables.find(tmp_path, "interactions") is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet='a,"\n\t |\r\x00é', max_size=9), max_size=12))
def test_no_line_is_lost_whatever_a_file_holds(tmp_path_factory, pieces):
    text = "item,title\n" + "\n".join(pieces) + "\n"
    file = write(tmp_path_factory.mktemp("t") / "t.csv", text)
    rows, refused = read(file)
    numbers = sorted([row[0] for row in rows] + [line for line, _ in refused])
    assert len(set(numbers)) == len(numbers)
    # Every line is the first of a row, refused, or inside the quotes of the row before it.
    inside = sum(value.count("\n") for row in rows for value in row[1:])
    assert len(numbers) + inside == text.count("\n") - 1


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(['"a"', "a", "", '""', '"a,b"', '"', '"x""y"', 'x"y', '"a"b', ' "a"', '"\n"', "\n", "\r", "é"]), max_size=12))
def test_a_block_with_quotes_reads_the_same_at_once_and_row_by_row(tmp_path_factory, values):
    text = "item,title\n" + "".join(f"{a},{b}\n" for a, b in zip(values[::2], values[1::2], strict=False))
    file = write(tmp_path_factory.mktemp("t") / "t.csv", text)
    at_once = read(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_whole", lambda *_: None)
        assert read(file) == at_once


@given(st.lists(st.tuples(st.text(alphabet='ab,"\n\t;é', max_size=8), st.text(alphabet='xy,"\n\t é', max_size=8)), min_size=1, max_size=30))
def test_what_a_csv_writer_writes_is_read_again(tmp_path_factory, rows):
    for suffix, separator in tables.SEPARATORS.items():
        file = tmp_path_factory.mktemp("t") / f"t.{suffix}"
        with file.open("w", newline="") as stream:
            csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("item", "title"), *rows])
        assert [row[1:] for row in read(file)[0]] == rows


def test_texts_that_are_not_utf8_in_parquet_are_an_error_in_words(tmp_path):
    texts = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    pq.write_table(pa.table({"item": texts}), tmp_path / "items.parquet")
    with pytest.raises(SourceError, match=r"items\.parquet is damaged: it cannot be read from the first row on"):
        list(tables.read(tables.opened(tmp_path / "items.parquet", label="items.parquet"), columns=["item"]))
