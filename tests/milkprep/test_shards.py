"""Shards of an extraction: merged, they leave the very tables that one run would have left."""

import json
import shutil

import polars as pl
import pytest
from media_samples import gradient, write_picture
from sharded import CATALOGUES, merge, part, parts, pictures, texts, whole
from small_catalogue import query, tables, violations, write_catalogue
from typer.testing import CliRunner

import cli
from milkprep.engine import content, decoders, shards
from milkprep.engine.embedding import Batcher
from milkprep.engine.shards import Shard
from milkprep.shards import extract_shard
from schemas.contracts import Modality, Several
from schemas.errors import BadValue, DataError, Stale
from schemas.reporting import Silent
from schemas.store import Store


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Six pages of a catalogue, and pictures decoded in a thread, for decoding processes take their time to start."""
    monkeypatch.setattr(decoders, "of", lambda encoder, n_workers: decoders.ThreadDecoder(encoder))
    for modality in Modality:
        monkeypatch.setitem(content.PAGE_ITEMS, modality, 8)


@pytest.mark.parametrize(("modality", "n"), [(Modality.TEXT, n) for n in (1, 2, 3, 9)] + [(Modality.VISUAL, n) for n in (2, 9)])  # 6 pages
def test_shards_that_are_merged_leave_what_one_run_leaves_and_merged_again_nothing_else(tmp_path, modality, n):
    alone, shared = CATALOGUES[modality](tmp_path, "alone.duckdb"), CATALOGUES[modality](tmp_path, "shared.duckdb")
    whole(alone, modality)
    before = shared.read_bytes()
    parts(shared, modality, n)
    assert shared.read_bytes() == before
    report = merge(shared)
    assert (report.n_shards, report.result.is_shown, report.result.n_embedded_now) == (n, True, 0)
    assert report.n_assets_now > 0
    assert tables(shared) == tables(alone)
    assert violations(shared) == {}
    assert merge(shared).n_assets_now == 0
    assert tables(shared) == tables(alone)


@pytest.mark.parametrize("modality", CATALOGUES)
def test_what_the_set_has_is_not_embedded_by_a_shard(tmp_path, modality, monkeypatch):
    alone, shared = CATALOGUES[modality](tmp_path, "alone.duckdb"), CATALOGUES[modality](tmp_path, "shared.duckdb")
    whole(alone, modality)
    with monkeypatch.context() as patched:
        embed, pages = Batcher.embed, []
        patched.setattr(Batcher, "embed", lambda *a, **k: pages.append(1) or (_interrupt() if len(pages) > 3 else embed(*a, **k)))
        whole(shared, modality)
    done = {sha256 for (sha256,) in query(shared, "SELECT content_sha256 FROM feature_rows")}
    rows = pl.concat(pl.read_parquet(file) for folder in parts(shared, modality, 2) for file in folder.glob("*.parquet"))
    now = set(rows.filter(pl.col("vector").list.len() > 0)["content_sha256"])
    assert done
    assert now
    assert not done & now
    merge(shared)
    assert tables(shared) == tables(alone)


def _interrupt():
    raise KeyboardInterrupt


def test_a_shard_that_was_stopped_goes_on_where_it_was_and_ends_with_the_same_files(tmp_path, monkeypatch):
    path = pictures(tmp_path, "s.duckdb")
    (alone,) = parts(path, Modality.VISUAL, 1, out=tmp_path / "alone")
    with monkeypatch.context() as patched:
        embed, pages = Batcher.embed, []
        patched.setattr(Batcher, "embed", lambda *a, **k: pages.append(1) or (_interrupt() if len(pages) > 2 else embed(*a, **k)))
        stopped = part(path, Modality.VISUAL, "1/1")
    assert not stopped.finished
    assert stopped.n_embedded_now > 0
    with pytest.raises(DataError, match=r"not finished: 1/1"):
        merge(path)
    ended = part(path, Modality.VISUAL, "1/1")
    assert ended.finished
    assert ended.n_embedded_now > 0
    assert {file.name: file.read_bytes() for file in ended.folder.glob("*.parquet")} == {f.name: f.read_bytes() for f in alone.glob("*.parquet")}
    assert part(path, Modality.VISUAL, "1/1").n_embedded_now == 0


def test_a_page_whose_file_was_deleted_is_made_again(tmp_path):
    alone, path = texts(tmp_path, "alone.duckdb"), texts(tmp_path, "s.duckdb")
    whole(alone, Modality.TEXT)
    (folder,) = parts(path, Modality.TEXT, 1)
    sorted(folder.glob("*.parquet"))[0].unlink()
    with pytest.raises(DataError, match=r"page-00000000.parquet cannot be merged: it is missing"):
        merge(path)
    shutil.rmtree(folder)
    parts(path, Modality.TEXT, 1)
    merge(path)
    assert tables(path) == tables(alone)


def test_a_shard_is_done_by_one_process_at_a_time(tmp_path):
    path = texts(tmp_path, "s.duckdb")
    (folder,) = parts(path, Modality.TEXT, 1)
    with shards.held(folder, Shard(1, 1)), pytest.raises(DataError, match="Another process works on shard 1/1"):
        part(path, Modality.TEXT, "1/1")


def test_shards_may_be_read_from_a_copy_of_the_store_and_lie_in_several_places(tmp_path):
    alone, path = pictures(tmp_path, "alone.duckdb"), pictures(tmp_path, "s.duckdb")
    whole(alone, Modality.VISUAL)
    copy = tmp_path / "copy.duckdb"
    shutil.copy(path, copy)
    there = part(copy, Modality.VISUAL, "1/2", out=tmp_path / "there").folder
    here = part(path, Modality.VISUAL, "2/2").folder
    merge(path, here, there.parent)
    assert tables(path) == tables(alone)


def test_merged_vectors_stand_beside_those_that_are_shown_until_they_are_asked_for(tmp_path):
    path = texts(tmp_path, "s.duckdb")
    whole(path, Modality.TEXT, fields=("title",))
    parts(path, Modality.TEXT, 2)
    assert not merge(path).result.is_shown
    assert merge(path, as_default=True).result.is_shown
    assert query(path, "SELECT is_current FROM feature_sets ORDER BY feature_set_id") == [(False,), (True,)]
    assert violations(path) == {}


def test_a_picture_put_right_after_the_merge_stays_right_when_it_is_merged_again(tmp_path):
    path = pictures(tmp_path, "s.duckdb")
    parts(path, Modality.VISUAL, 2)
    merge(path)
    write_picture(tmp_path / "3.png", gradient())
    whole(path, Modality.VISUAL, retry_failed=True)
    repaired = tables(path)
    assert query(path, "SELECT status FROM assets WHERE modality = 'visual' AND item_idx = 3") == [("ok",)]
    assert merge(path).n_assets_now == 0
    assert tables(path) == repaired


def test_texts_that_changed_since_are_not_merged(tmp_path):
    path = texts(tmp_path, "s.duckdb")
    parts(path, Modality.TEXT, 2)
    with Store(path, mode="write") as store:
        store.run("UPDATE items SET title = 'another' WHERE item_idx = 12")
    before = tables(path)
    with pytest.raises(Stale, match=r"item 12 has another text content at position 0"):
        merge(path)
    assert tables(path) == before


def test_another_catalogue_is_refused_by_the_merge_and_by_the_shard(tmp_path):
    path, other = texts(tmp_path, "s.duckdb"), write_catalogue(tmp_path / "o.duckdb", [("one", None)] * 9)
    (folder,) = parts(path, Modality.TEXT, 1)
    with pytest.raises(Stale, match="another catalogue than"):
        merge(other, folder)
    with pytest.raises(Stale, match="another catalogue than"):
        part(other, Modality.TEXT, "1/1", out=folder.parent.parent)
    assert query(other, "SELECT count(*) FROM feature_sets") == [(0,)]


def test_shards_that_rely_on_vectors_which_were_removed_are_refused(tmp_path, monkeypatch):
    path = texts(tmp_path, "s.duckdb")
    embed, pages = Batcher.embed, []
    with monkeypatch.context() as patched:
        patched.setattr(Batcher, "embed", lambda *a, **k: pages.append(1) or (_interrupt() if len(pages) > 3 else embed(*a, **k)))
        whole(path, Modality.TEXT)
    parts(path, Modality.TEXT, 2)
    with Store(path, mode="write") as store:
        for table in ("feature_rows", "feature_failures", "vectors_1", "feature_sets"):
            store.run(f"DELETE FROM {table}")
    with Store(path, mode="write") as store:
        store.run("DROP TABLE vectors_1")
    with pytest.raises(Stale, match="share content with items that"):
        merge(path)
    assert query(path, "SELECT count(*) FROM feature_sets") == [(0,)]


def test_where_nothing_can_be_embedded_the_failures_are_merged_and_the_error_says_why(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    files = {Modality.VISUAL: {0: [tmp_path / "a.png"], 9: [tmp_path / "b.png"]}}
    alone, path = (write_catalogue(tmp_path / name, [("a", None)] * 10, files=files) for name in ("alone.duckdb", "s.duckdb"))
    with pytest.raises(DataError, match="embedded none of the pictures"):
        whole(alone, Modality.VISUAL)
    parts(path, Modality.VISUAL, 2)
    with pytest.raises(DataError, match="embedded none of the pictures: 2 items failed"):
        merge(path)
    assert tables(path) == tables(alone)


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "1.0/2", "a/b", "²/3", "1/99999999"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(BadValue, match="write N/M with N from 1 to M"):
        Shard.parse(text)


def test_imported_vectors_have_no_parts(tmp_path):
    with pytest.raises(BadValue, match="--encoder imported computes nothing"):
        extract_shard(texts(tmp_path, "s.duckdb"), modality=Modality.TEXT, shard=Shard(1, 2), encoder="imported", reporter=Silent())


def test_the_command_line_tells_of_a_part_and_of_one_that_was_stopped(tmp_path, monkeypatch):
    path = texts(tmp_path, "s.duckdb")
    ask = ["extract", "--modality", "text", "--encoder", "hashed-ngrams", "--shards", "1/1", "--store", str(path)]
    with monkeypatch.context() as patched:
        patched.setattr(Batcher, "embed", lambda *_args, **_options: _interrupt())
        stopped = CliRunner().invoke(cli.app, [*ask, "--json"])
    assert stopped.exit_code == 130
    assert json.loads(stopped.stdout)["finished"] is False
    assert "Run the same command again to go on" in stopped.stderr
    told = CliRunner().invoke(cli.app, ask)
    assert told.exit_code == 0, told.stderr
    assert "shard 1/1, 22 contents embedded now" in told.stderr
    merged = CliRunner().invoke(cli.app, ["merge-shards", "--store", str(path), "--json"])
    assert {name: json.loads(merged.stdout)[name] for name in ("shards", "items", "contents", "assets_now")} == {
        "shards": 1, "items": 37, "contents": 22, "assets_now": 37,
    }  # fmt: skip
    assert "Nothing was left to merge" in CliRunner().invoke(cli.app, ["merge-shards", "--store", str(path)]).stderr


def test_a_folder_that_cannot_be_made_is_said_to_be_none(tmp_path):
    path = texts(tmp_path, "s.duckdb")
    with pytest.raises(BadValue, match=r"s.duckdb cannot hold shards: Not a directory. Name another folder with --out"):
        part(path, Modality.TEXT, "1/1", out=path)


def test_of_several_pictures_the_first_usable_one_is_not_found_by_parts(tmp_path):
    with pytest.raises(BadValue, match="--several first goes through all items several times"):
        part(pictures(tmp_path, "s.duckdb"), Modality.VISUAL, "1/2", several=Several.FIRST)


def test_a_finished_shard_does_not_hide_what_is_to_do_since(tmp_path):
    path = pictures(tmp_path, "s.duckdb")
    parts(path, Modality.VISUAL, 2)
    assert part(path, Modality.VISUAL, "1/2", retry_failed=True).n_embedded_now == 0  # not merged yet: all is as it was finished
    merge(path)
    assert part(path, Modality.VISUAL, "1/2").n_embedded_now == 0
    write_picture(tmp_path / "3.png", gradient())
    with pytest.raises(Stale, match=r"what the store lacks now is not what it holds.*merge-shards.*delete the folders"):
        part(path, Modality.VISUAL, "1/2", retry_failed=True)
    for folder in sorted((tmp_path / "s.duckdb.shards").glob("*/*")):
        shutil.rmtree(folder)
    parts(path, Modality.VISUAL, 2, retry_failed=True)
    merge(path)
    assert query(path, "SELECT status FROM assets WHERE modality = 'visual' AND item_idx = 3") == [("ok",)]
