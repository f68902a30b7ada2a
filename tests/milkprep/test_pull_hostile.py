"""Inputs and places that stand in the way of a pull: each ends in one clear error and exit code, and the store is as it was before."""

import os
import zipfile
from contextlib import contextmanager
from pathlib import Path

import full_disk
import own_folders
import pytest
from raw_files import metadata, pull_amazon, review, table, write_lines

from milkprep.pull import lines, staging
from milkprep.sources import amazon, folder
from schemas.errors import DataError, MilkError, SourceError
from schemas.reporting import Silent

ROOT = Path(__file__).parents[2]
ITEMS = [metadata(f"I{n}", title=f"Title {n}") for n in range(300)]
REVIEWS = [review(f"U{n}", f"I{n % 300}") for n in range(6000)]


def command_line(place: Path, *arguments: object, most_bytes: int = full_disk.UNLIMITED) -> tuple[int, str]:
    """Exit code of a pull and what it said."""
    return full_disk.command_line("pull", *arguments, most_bytes=most_bytes, place=place)


@pytest.fixture
def raw(tmp_path):
    write_lines(tmp_path / "meta.json.gz", ITEMS)
    write_lines(tmp_path / "reviews.json.gz", REVIEWS)
    return tmp_path


FILES = ("amazon", "--metadata", "meta.json.gz", "--reviews", "reviews.json.gz", "--core", 0, "--store")


@pytest.mark.parametrize("place", ["nowhere/s.duckdb", "reviews.json.gz/s.duckdb", ".", "/dev/full", "n" * 300, "/proc/s.duckdb", "reviews.json.gz"])
def test_a_store_that_cannot_be_written_is_named(raw, place):
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    code, said = command_line(raw, *FILES, place)
    assert code == 1
    assert said.startswith("Error: ")
    assert place.removesuffix("/s.duckdb") in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


@pytest.mark.parametrize("kib", [1, 8, 40, 200])
def test_a_full_disk_leaves_no_store(raw, kib):
    code, said = command_line(raw, *FILES, "s.duckdb", most_bytes=kib << 10)
    assert code == 1
    assert "s.duckdb" in said
    assert "File too large" in said
    assert "Traceback" not in said
    assert {path.name for path in raw.iterdir()} == {"meta.json.gz", "reviews.json.gz"}


@pytest.mark.parametrize("kib", [40, 200])
def test_a_full_disk_leaves_what_was_to_be_replaced(raw, kib):
    pull_amazon(raw, ITEMS, REVIEWS[:500])
    write_lines(raw / "reviews.json.gz", REVIEWS)
    held = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM interactions), catalogue_fingerprint FROM pulls"
    before = table(raw, held)
    code, said = command_line(raw, *FILES, "s.duckdb", "--replace", most_bytes=kib << 10)
    assert code == 1
    assert "Traceback" not in said
    assert table(raw, held) == before
    assert command_line(raw, *FILES, "s.duckdb", "--replace")[0] == 0
    assert table(raw, held)[0][:2] == (6000, 6000)


@pytest.mark.parametrize("device", ["a pipe", "/dev/zero", "/dev/stdin"])
def test_what_is_no_file_is_not_waited_for(raw, device):
    if device == "a pipe":
        os.mkfifo(raw / device)
    code, said = command_line(raw, "amazon", "--reviews", device, "--store", "s.duckdb")
    assert (code, "There is no file" in said) == (2, True)
    assert not (raw / "s.duckdb").exists()


def test_a_pipe_in_place_of_a_table_is_refused_and_among_pictures_passed_over(tmp_path):
    shop = own_folders.write(tmp_path / "shop")
    (shop / "images").mkdir()
    os.mkfifo(shop / "images" / "a.jpg")
    assert own_folders.pull(tmp_path, shop).n_items == 2
    assert {row[1:] for row in own_folders.assets(tmp_path, "visual")} == {(0, "", "absent", "no picture and no video")}
    (shop / "items.csv").unlink()
    os.mkfifo(shop / "items.csv")
    with pytest.raises(MilkError, match=r"items\.csv has the name of a table, but is no file"):
        folder.pull(tmp_path / "other.duckdb", folder=shop, reporter=Silent())


@pytest.mark.parametrize("name", ["interactions.csv", "items.csv", "interactions.jsonl", "interactions.parquet"])
def test_a_zip_in_place_of_a_table_is_refused_and_never_unpacked(tmp_path, name):
    shop = own_folders.write(tmp_path / "in" / "shop")
    if name.startswith("interactions"):
        (shop / "interactions.csv").unlink()
    with zipfile.ZipFile(shop / name, "w") as archive:
        for inside in ("../escaped.csv", "/tmp/escaped.csv", "interactions.csv"):
            archive.writestr(inside, own_folders.PAIRS)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SourceError, match=rf"{name} (is a zip archive|cannot be read as Parquet)"):
        own_folders.pull(tmp_path, shop)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("line", ["", "u1", "x" * 50])
def test_a_table_of_nothing_but_refused_lines_is_given_up(tmp_path, monkeypatch, line):
    monkeypatch.setattr(staging, "HOPELESS_LINES", 1_000)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 4_096)
    shop = own_folders.write(tmp_path / "shop", interactions=own_folders.PAIRS + f"{line}\n" * 1_000_000)
    with pytest.raises(SourceError, match=r"Of the first [\d,]{5,7} lines of .*interactions\.csv [\d,]{5,7} are refused"):
        own_folders.pull(tmp_path, shop)
    assert not (tmp_path / "s.duckdb").exists()


class Meddler(Silent):
    """Does something to a file at the moment its reading begins."""

    def __init__(self, file: Path, meddle) -> None:
        self.file, self.meddle = file, meddle

    @contextmanager
    def progress(self, what, **more):
        if what == f"reading {self.file.name}":
            self.meddle(self.file)
        with super().progress(what, **more) as progress:
            yield progress


def grow(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"\n")


def rewrite(file: Path) -> None:
    """The same number of bytes, a moment later."""
    written = file.stat().st_mtime_ns + 1_000_000_000
    file.write_bytes(file.read_bytes().replace(b"I1", b"I2"))
    os.utime(file, ns=(written, written))


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("meddle", [grow, rewrite, Path.unlink])
@pytest.mark.parametrize("name", ["meta.json", "reviews.json"])
def test_a_file_that_changes_while_it_is_read_stores_nothing(tmp_path, name, meddle, existed):
    files = {"metadata": write_lines(tmp_path / "meta.json", ITEMS), "reviews": write_lines(tmp_path / "reviews.json", REVIEWS)}
    if existed:
        pull_amazon(tmp_path, ITEMS[:5], [review("U", "I1")])
    with pytest.raises(DataError, match=rf"{name} (changed while|was there and|cannot be read)"):
        amazon.pull(tmp_path / "s.duckdb", **files, core=0, replace=True, reporter=Meddler(tmp_path / name, meddle))
    assert (tmp_path / "s.duckdb").exists() == existed
    if existed:
        assert table(tmp_path, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM items), count(*) FROM pulls") == [(1, 1, 1)]
