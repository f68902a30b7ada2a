"""Shards that are not what they should be: each is refused in words, and the store stays as it was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sharded import merge, parts, texts
from small_catalogue import query

from milkprep.engine import content
from milkprep.engine.shards import MANIFEST, SCHEMA, Manifest, described
from schemas import fingerprint
from schemas.contracts import Modality
from schemas.errors import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store and its two shards, that no test changes."""
    folder = tmp_path_factory.mktemp("made")
    path = texts(folder, "s.duckdb")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(content.PAGE_ITEMS, Modality.TEXT, 8)
        parts(path, Modality.TEXT, 2, out=folder / "shards")
    return folder


@pytest.fixture
def work(made, tmp_path, monkeypatch):
    """A copy of it: the store, and the folders of both shards."""
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 8)
    shutil.copytree(made, tmp_path / "work")
    (of_set,) = (tmp_path / "work" / "shards").iterdir()
    return tmp_path / "work" / "s.duckdb", of_set / "1-of-2", of_set / "2-of-2"


def refused(path: Path, *folders: Path, match: str) -> None:
    with pytest.raises(DataError, match=match):
        merge(path, *folders)
    assert [query(path, f"SELECT count(*) FROM {table}") for table in ("feature_sets", "feature_rows", "rejects")] == [[(0,)]] * 3


def describe_anew(folder: Path, **changes: object) -> None:
    """A manifest as whoever made the files would write it."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = [{"bytes": file.bytes, "sha256": file.sha256} for file in described(folder, manifest["pages"])]
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


def first_page(folder: Path) -> Path:
    return min(folder.glob("*.parquet"))


def test_a_missing_shard_is_named(work):
    path, first, _ = work
    refused(path, first, match=r"Not all 2 shards are there \(missing: 2/2\)")


def test_an_unfinished_shard_is_named(work):
    path, first, second = work
    describe_anew(second, files=None)
    refused(path, first, second, match=r"not finished: 2/2")


def test_a_shard_that_is_there_twice_is_named_and_a_folder_named_twice_is_one(work):
    path, first, second = work
    copy = shutil.copytree(first, first.parent.parent / "copy")
    refused(path, first, second, copy, match=r"Shard 1/2 is there twice: in .*1-of-2 and in .*copy")
    assert merge(path, first, second, first).n_shards == 2


def test_shards_of_different_work_are_refused(work):
    path, first, second = work
    describe_anew(second, fingerprint="0" * 64)
    refused(path, first, second, match="are parts of different work, by their feature set")
    manifest = json.loads((first / MANIFEST).read_text())
    (second / MANIFEST).write_text(json.dumps(manifest | {"shard": {"number": 2, "of": 3}, "pages": [], "files": []}))
    refused(path, first, second, match="are parts of different work, by their number of parts")


MANIFESTS = {
    "nothing": (b"", "cannot be read"),
    "no JSON": (b"\xff\xfe{", "cannot be read"),
    "deep JSON": (b"[" * 100_000, "cannot be read"),
    "another thing": (b'{"pages": "all"}', "cannot be read"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_is_none_is_refused(work, name):
    path, first, second = work
    written, words = MANIFESTS[name]
    (second / MANIFEST).write_bytes(written)
    refused(path, first, second, match=words)


CHANGES = {
    "another format": ({"format": "milk-shard-9"}, "is of the format 'milk-shard-9'"),
    "a page of the other shard": ({"pages": [0, 3, 5]}, "names pages that shard 2/2 does not have"),
    "a page twice": ({"pages": [1, 1, 5]}, "names pages that shard 2/2 does not have"),
    "a page less": ({"pages": [1, 3]}, "names 3 files for 2 pages"),
    "a page that is none": ({"pages": [-1, 3, 5]}, "cannot be read"),
    "a number beyond the last": ({"shard": {"number": 3, "of": 2}}, "says to be shard 3/2"),
    "a digest that is a path": ({"catalogue": "../../etc/passwd"}, "cannot be read"),
    "a modality nobody knows": ({"modality": "smell"}, "cannot be read"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_contradicts_itself_is_refused(work, name):
    path, first, second = work
    changes, words = CHANGES[name]
    manifest = json.loads((second / MANIFEST).read_text())
    (second / MANIFEST).write_text(json.dumps(manifest | changes))
    refused(path, first, second, match=words)


IDENTITIES = {
    "another encoder than its name says": ({"weights": "stolen"}, "named after another encoder"),
    "an encoder nobody knows": ({"encoder": "imported"}, "does not know"),
    "a width without end": ({"width": 1 << 40}, "does not know"),
    "texts of no columns": ({"parameters": {}}, "do not say which columns"),
    "texts of a column of others": ({"parameters": {"fields": ["title", "password"]}}, "do not say which columns"),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_encoder_that_did_not_make_these_vectors_is_refused(work, name):
    path, *folders = work
    changes, words = IDENTITIES[name]
    for folder in folders:
        manifest = json.loads((folder / MANIFEST).read_text())
        identity = manifest["identity"] | changes
        named = {key: identity[key] for key in ("encoder", "weights", "weights_sha256", "width", "pooling", "parameters")}
        told = manifest["fingerprint"] if "weights" in changes else fingerprint.of_value([manifest["modality"], *named.values()])
        describe_anew(folder, identity=identity, fingerprint=told)
    refused(path, *folders, match=words)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_file_that_was_cut_short_is_named(work, keep):
    path, first, second = work
    page = first_page(second)
    page.write_bytes(page.read_bytes()[:keep])
    refused(path, first, second, match=rf"{page.name} cannot be merged: it is not the file that was written")
    describe_anew(second)
    refused(path, first, second, match=rf"{page.name} cannot be merged")


def test_a_changed_byte_is_noticed(work):
    path, first, second = work
    page = first_page(second)
    written = bytearray(page.read_bytes())
    written[len(written) // 2] ^= 1
    page.write_bytes(written)
    refused(path, first, second, match="it is not the file that was written")


def rewritten(page: Path, table: pa.Table, **options: object) -> None:
    """Another table in a page's place, described as if it belonged there."""
    parquet.write_table(table, page, **{"compression": "none", "use_dictionary": False, **options})
    describe_anew(page.parent)


def changed(table: pa.Table, column: str, value: object, *, row: int) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    return table.set_column(table.column_names.index(column), SCHEMA.field(column), pa.array(values, SCHEMA.field(column).type))


VALUES = {
    "an item of another page": ("item_idx", 3, "another text content"),
    "an item that is none": ("item_idx", -5, "another text content"),
    "a missing item": ("item_idx", None, "an asset without a number"),
    "another position": ("position", 7, "another text content"),
    "another content": ("content_sha256", "0" * 64, "another text content"),
    "a digest that is none": ("content_sha256", "'; DROP TABLE items; --", "a digest that is none"),
    "no content": ("content_sha256", None, "neither content nor failure"),
    "another place": ("location", "x" * 100, "another text content"),
    "no place": ("location", None, "an asset without a number"),
    "a status that is none": ("status", "ok", "a status that is none"),
    "a reason without a status": ("reason", "because", "a failure without a reason"),
    "no list": ("vector", None, "an asset without a number"),
    "a vector that is too short": ("vector", [1.0] * 511, "a vector that is not 512 wide"),
    "a vector of no numbers": ("vector", [float("nan")] * 512, "a vector with a number that is none"),
    "an infinite vector": ("vector", [1.0] * 511 + [float("inf")], "a vector with a number that is none"),
    "a gap in a vector": ("vector", [1.0] * 511 + [None], "a vector with a number that is none"),
    "a vector of zeros": ("vector", [0.0] * 512, "a vector of zeros"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_no_shard_writes_is_refused(work, name):
    path, first, second = work
    column, value, words = VALUES[name]
    page = first_page(second)
    table = parquet.read_table(page)
    rewritten(page, changed(table, column, value, row=int(np.argmax([len(vector) for vector in table["vector"].to_pylist()]))))
    refused(path, first, second, match=words)


def test_an_asset_twice_and_more_assets_than_the_store_has_are_refused(work):
    path, first, second = work
    page = first_page(second)
    table = parquet.read_table(page)
    rewritten(page, pa.concat_tables([table.slice(1), table.slice(table.num_rows - 1)]))
    refused(path, first, second, match="holds an asset twice|a vector twice")
    rewritten(page, pa.concat_tables([table, table]))
    refused(path, first, second, match=rf"holds {2 * table.num_rows} assets where the store has {table.num_rows}")


def test_another_layout_and_compression_are_refused(work):
    path, first, second = work
    page = first_page(second)
    table = parquet.read_table(page)
    rewritten(page, table.drop_columns(["reason"]))
    refused(path, first, second, match="other columns than a shard")
    rewritten(page, table, compression="zstd")
    refused(path, first, second, match="it is compressed")
    rewritten(page, table, use_dictionary=True)
    refused(path, first, second, match="it is compressed")
    rewritten(page, table, store_schema=False)
    merge(path, first, second)


def test_a_file_that_is_far_too_large_is_not_even_opened(work):
    path, first, second = work
    page = first_page(second)
    with page.open("ab") as stream:
        stream.truncate(1 << 20)  # half a megabyte is what eight assets may take
    describe_anew(second)
    refused(path, first, second, match="it is too large for")


def test_a_manifest_is_what_it_was_when_it_is_read_again(work):
    _, first, _ = work
    manifest = Manifest.read(first)
    manifest.write(first)
    assert Manifest.read(first) == manifest
