"""Raw lines: every one comes once and numbered, in bounded memory, and a broken file says how far it was read."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull import lines
from milkprep.pull.lines import read_blocks
from schemas.errors import SourceError


def all_lines(path, **options):
    """Every line with its number."""
    return [(number, line) for block in read_blocks(path, **options) for number, line in enumerate(block.lines, block.first_line)]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_last_line_counts_with_and_without_its_line_end(tmp_path, end):
    file = tmp_path / "f"
    file.write_bytes(b"one\n\nthree" + end)
    assert all_lines(file) == [(1, b"one"), (2, b""), (3, b"three")]


def test_gzip_is_recognised_by_content_and_members_follow_each_other(tmp_path):
    file = tmp_path / "not_named_so.txt"
    file.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n") + b"\0\0\0")
    assert all_lines(file) == [(1, b"one"), (2, b"two"), (3, b"three")]


def test_zeros_that_fill_a_block_after_the_last_member_are_no_damage(tmp_path):
    file = tmp_path / "f.gz"
    file.write_bytes(gzip.compress(b"one\n") + b"\0" * (3 << 20))
    assert all_lines(file) == [(1, b"one")]


def test_the_first_lines_are_taken_across_blocks_and_no_more_of_them_than_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 5)
    file = tmp_path / "f"
    file.write_bytes(b"one\ntwo\nthree\nfour")
    assert [lines.first_lines(file, n=n) for n in (1, 3, 9)] == [[b"one"], [b"one", b"two", b"three"], [b"one", b"two", b"three", b"four"]]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbf{}\n")
    assert all_lines(file) == [(1, b"{}")]


@pytest.mark.parametrize("compress", [False, True])
def test_lines_do_not_depend_on_where_chunks_end(tmp_path_factory, monkeypatch, compress):
    file = tmp_path_factory.mktemp("chunks") / "f"
    monkeypatch.setattr(lines, "CHUNK_BYTES", 7)
    monkeypatch.setattr(lines, "COMPRESSED_BYTES", 5)

    @given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), min_size=1, max_size=20))
    def holds(expected):
        data = b"".join(line + b"\n" for line in [b"first", *expected])
        file.write_bytes(gzip.compress(data) if compress else data)
        assert all_lines(file) == list(enumerate([b"first", *expected], 1))

    holds()


def test_a_line_beyond_the_limit_comes_as_its_start_and_its_neighbours_whole(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"a\n" + b"x" * 5000 + b"\nb\n" + b"y" * 1000 + b"\n")
    blocks = list(read_blocks(file, limit=1000))
    assert [line for block in blocks for line in block.lines] == [b"a", b"x" * 512, b"b", b"y" * 1000]
    assert {number for block in blocks for number in block.too_long} == {2}


def test_an_endless_line_in_a_small_gzip_takes_little_memory(tmp_path):
    file = tmp_path / "f.gz"
    with gzip.open(file, "wb") as stream:
        for _ in range(100):
            stream.write(b"z" * (1 << 20))
    tracemalloc.start()
    blocks = list(read_blocks(file, limit=2 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [block.too_long for block in blocks] == [frozenset({1})]
    assert peak < 20 << 20


def test_bytes_read_reach_the_size_of_the_file(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"line\n" * 10 + b"rest")
    assert list(read_blocks(file))[-1].bytes_read == file.stat().st_size


def test_gzip_that_is_cut_short_names_the_last_line_that_came_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 1000)
    file = tmp_path / "f.gz"
    data = gzip.compress(b"".join(b"%06d\n" % n for n in range(10_000)))
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"f\.gz is cut short: its gzip data ends somewhere after line [1-9]\d+\. Download"):
        list(read_blocks(file))


def test_gzip_with_a_changed_byte_is_called_damaged(tmp_path):
    file = tmp_path / "f.gz"
    data = bytearray(gzip.compress(b"".join(b"%06d\n" % n for n in range(10_000))))
    data[-6] ^= 1  # of the checksum
    file.write_bytes(data)
    with pytest.raises(SourceError, match="is damaged"):
        list(read_blocks(file))


def test_other_text_after_the_gzip_data_is_called_damaged(tmp_path):
    file = tmp_path / "f.gz"
    file.write_bytes(gzip.compress(b"one\n") + b"two\n")
    with pytest.raises(SourceError, match="is damaged"):
        list(read_blocks(file))


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)], ids=["plain", "gzip"])
def test_an_empty_file_is_refused(tmp_path, data):
    file = tmp_path / "f"
    file.write_bytes(data)
    with pytest.raises(SourceError, match="is empty"):
        list(read_blocks(file))


def test_another_kind_of_archive_is_named(tmp_path):
    file = tmp_path / "f.zip"
    file.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(SourceError, match="is a zip archive"):
        list(read_blocks(file))


def test_a_gzip_file_that_expands_beyond_belief_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BOMB_BYTES", 10 << 20)
    file = tmp_path / "f.gz"
    with gzip.open(file, "wb") as stream:
        for _ in range(40):
            stream.write(b"\n" * (1 << 20))
    with pytest.raises(SourceError, match=r"f\.gz expands to more than 200 times its size"):
        list(read_blocks(file))
