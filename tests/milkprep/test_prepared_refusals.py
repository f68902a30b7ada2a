"""Prepared files that cannot be meant or do not belong together: one clear error, and no store."""

import gzip
import json

import numpy as np
import pytest
from raw_files import pull_prepared, write_inter, write_vectors

from milkprep.pull import catalogue
from milkprep.sources import prepared
from schemas.contracts import Modality
from schemas.errors import BadValue, DataError, ShapeError, SourceError
from schemas.reporting import Silent

PAIRS = [(0, 0), (0, 1), (1, 2)]


@pytest.fixture(autouse=True)
def no_store_is_left(tmp_path):
    """Whatever is refused, nothing is made."""
    yield
    assert not list(tmp_path.glob("s.duckdb*"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user\titem\trating", r"toy\.inter has the columns 'user', 'item', 'rating'\. Needed, separated by tabs: userID, itemID;"),
        ("userID,itemID", "has the columns 'userID,itemID'"),
        ("userID\titemID\titemID", "Rename the columns"),
        ("user_id:token\titem_id:token", "Needed, separated by tabs: userID, itemID"),
    ],
)
def test_a_header_with_other_columns_is_answered_with_those_needed(tmp_path, header, message):
    with pytest.raises(SourceError, match=message):
        pull_prepared(tmp_path, PAIRS, header=header)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "toy.inter holds no interaction: it ends after the header"),
        ([("A1", "B2"), ("A2", "B3")], r"line 2 is refused: userID 'A1' is no whole number"),
        ([(0, "B2")], "line 2 is refused: itemID 'B2'"),
        ([(0, 0), (0, 3)], "names itemID 3 but never 1. Number items from 0 without gaps"),
        ([(0, 1), (0, 2)], "names itemID 2 but never 0"),
        ([(0, 0), (0, 1), (0, 1), (1, 3), (2, 5)], "names itemID 5 but never 2"),
        ([(0, 0), (0, 999_999_999)], "names itemID 999999999 but never 1"),  # ids are never counted through: that would take hours
        ([(0, 2**31)], "itemID '2147483648' is no whole number from 0 to 999999999"),
        ([(2**31, 0)], "userID '2147483648' is no whole number from 0 to 999999999"),
    ],
)
def test_ids_that_are_no_dense_numbers_are_refused(tmp_path, pairs, message):
    with pytest.raises(SourceError, match=message):
        pull_prepared(tmp_path, pairs)


@pytest.mark.parametrize("features", [False, True])
def test_a_file_whose_every_row_is_refused_only_when_read_whole_is_told_so(tmp_path, features):
    (tmp_path / "toy.inter").write_bytes(b"userID\titemID\tx_label\n" + b"0\t0\t\xff\n" * 3)
    given = {Modality.VISUAL: write_vectors(tmp_path / "v.npy", [[1, 2]])} if features else {}
    with pytest.raises(DataError, match=r"nothing was stored\. 3 lines of toy\.inter dropped: not UTF-8"):
        prepared.pull(tmp_path / "s.duckdb", interactions=tmp_path / "toy.inter", features=given, reporter=Silent())


def test_too_few_vectors_are_told_with_both_numbers(tmp_path):
    file = write_vectors(tmp_path / "v.npy", [[1, 2]] * 2)
    with pytest.raises(ShapeError, match=r"toy\.inter names itemID 2, so 3 items are needed, but v\.npy has only 2"):
        pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})


def test_vectors_of_different_length_are_refused(tmp_path):
    features = {m: write_vectors(tmp_path / f"{m}.npy", [[1, 2]] * n) for m, n in ((Modality.VISUAL, 3), (Modality.AUDIO, 4))}
    with pytest.raises(ShapeError, match=r"visual\.npy has 3 rows, audio\.npy has 4 rows"):
        pull_prepared(tmp_path, PAIRS, features=features)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"float64 values of shape \(3,\), but must hold floats of shape \(items, width\)"),
        (np.ones((3, 2), dtype="int64"), r"int64 values of shape \(3, 2\)"),
        (np.ones((3, 2), dtype="complex64"), "complex64 values"),
        (np.array([{"a": 1}] * 3), "cannot be read as .npy: it is cut short, holds no value, or holds Python objects"),
        (np.ones((3, 0)), "cannot be read as .npy|shape"),
    ],
)
def test_an_array_of_another_kind_is_refused(tmp_path, array, message):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(SourceError, match=message):
        pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: tmp_path / "v.npy"})


def test_a_cut_a_foreign_and_an_archive_file_are_refused_as_vectors(tmp_path):
    file = tmp_path / "v.npy"
    whole = write_vectors(file, [[1, 2]] * 300).read_bytes()
    contents = {
        whole[:-100]: "it is cut short",
        whole[:50]: "it is cut short",
        b"": "it is empty",
        b"not an array": "does not begin as a .npy file does",
        b"\x80\x04\x95pickle": "it is a Python pickle; pickles are not read.*save its array with numpy.save",
        b"PK\x03\x04and no more": "or another zip file",
        gzip.compress(whole): "compressed with gzip. Unpack it",
        b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    }
    for content, message in contents.items():
        file.write_bytes(content)
        with pytest.raises(SourceError, match=rf"v\.npy cannot be read as \.npy: .*{message}") as told:
            pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})
        assert "allow_pickle" not in str(told.value)
    np.savez(tmp_path / "v.npz", a=np.ones((3, 2)))
    with pytest.raises(SourceError, match="is an archive of several arrays"):
        pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: tmp_path / "v.npz"})


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ([{"name": "a"}], SourceError, "none of the columns itemID, item_id, mmrec_id, id, only name"),
        ([{"id": 0}, {"id": 0}, {"id": 1}], SourceError, "line 2: the id 0 is that of line 1 already"),
        ([{"id": n, "key": "same"} for n in range(3)], SourceError, "line 3: the key same is that of line 1 already"),
        ([{"id": n, "key": n or None} for n in range(3)], SourceError, "line 1: no key. Every item needs its own key"),
        ([{"id": 0}, {"id": 1}, {"id": 3}], ShapeError, "has 3 items but none with itemID 2"),
        ([{"id": 0}, {"id": 1}], ShapeError, "names itemID 2, so 3 items are needed, but items.jsonl has only 2"),
        ([{"id": 0}, {"id": "one"}], SourceError, "line 2: id is 'one', but must be a whole number"),
        ([{"id": -1}], SourceError, "must be a whole number from 0"),
        ([{"id": 0, "title": {"en": "x"}}], SourceError, "line 1: title is neither a text nor a list of texts"),
    ],
)
def test_a_table_of_items_that_does_not_fit_is_refused(tmp_path, lines, error, message):
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(error, match=message):
        pull_prepared(tmp_path, PAIRS, items=tmp_path / "items.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items.jsonl", b'{"id": 0}\n{"id": 1', "line 2 is no JSON object: Input data was truncated"),
        ("items.jsonl", b'{"id": 0}\n"\xff"', "line 2 is not UTF-8"),
        ("items.jsonl", b"\n", "describes no item"),
        ("items.csv", b"id,title\n0,a\n1\n", "line 3: 1 values where the header has 2"),
        ("items.csv", b'id,title\n0,"a\n', "line 2: a quote is opened and not closed"),
        ("items.csv", b"id,title\n", "describes no item"),
        ("items.csv", b"id,title,title\n0,a,b\n", "items.csv has more than one column 'title'. Rename or drop"),
    ],
)
def test_a_table_of_items_that_cannot_be_read_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        pull_prepared(tmp_path, PAIRS, items=tmp_path / name)


def test_items_and_vectors_must_agree_on_their_number(tmp_path):
    (tmp_path / "items.jsonl").write_text("".join(json.dumps({"id": n}) + "\n" for n in range(3)))
    file = write_vectors(tmp_path / "v.npy", [[1, 2]] * 4)
    with pytest.raises(ShapeError, match=r"disagree about the number of items: v\.npy has 4 and items\.jsonl has 3"):
        pull_prepared(tmp_path, PAIRS, items=tmp_path / "items.jsonl", features={Modality.VISUAL: file})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interactions": "nowhere.inter"}, "Check what --interactions names"),
        ({"features": {Modality.VISUAL: "nowhere.npy"}}, "Check what --features names"),
        ({"items": "nowhere.csv"}, "Check what --items names"),
        ({"items": "items.jsonl", "item_id_column": "sku"}, "has no column 'sku' for --item-id. It has: id"),
        ({"items": "items.jsonl", "item_key_column": "sku"}, "has no column 'sku' for --item-key"),
        ({"core": -1}, "--core -1 is below 0"),
    ],
)
def test_flags_that_cannot_be_meant_are_usage_errors(tmp_path, options, message):
    write_inter(tmp_path / "toy.inter", PAIRS)
    (tmp_path / "items.jsonl").write_text('{"id": 0}\n')
    given = {"interactions": "toy.inter", "features": {}, **options}
    given["features"] = {modality: tmp_path / name for modality, name in given["features"].items()}
    given |= {name: tmp_path / given[name] for name in ("interactions", "items") if name in given}
    with pytest.raises(BadValue, match=message):
        prepared.pull(tmp_path / "s.duckdb", **given, reporter=Silent())


def test_an_import_that_is_interrupted_leaves_neither_catalogue_nor_vectors(tmp_path, monkeypatch):
    def full_disk(store):
        assert store.query("SELECT count(*) FROM features_visual").item() == 3
        raise DataError("no space left")

    monkeypatch.setattr(catalogue, "catalogue_fingerprint", full_disk)
    file = write_vectors(tmp_path / "v.npy", [[1, 2]] * 3)
    with pytest.raises(DataError, match="no space left"):
        pull_prepared(tmp_path, PAIRS, features={Modality.VISUAL: file})


def test_vectors_wider_than_a_store_can_hold_are_refused_with_the_limit(tmp_path):
    features = {Modality.VISUAL: write_vectors(tmp_path / "wide.npy", [[1.0] * 100_000] * 3)}
    with pytest.raises(SourceError, match="100000 wide; a store holds vectors up to 99999"):
        pull_prepared(tmp_path, [(0, 0), (0, 1), (0, 2)], features=features)


def test_a_file_without_one_usable_vector_is_refused_and_nothing_is_stored(tmp_path):
    features = {Modality.VISUAL: write_vectors(tmp_path / "none.npy", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])}
    with pytest.raises(SourceError, match=r"No row of .*none.npy is a vector"):
        pull_prepared(tmp_path, [(0, 0), (0, 1), (0, 2)], features=features)
    assert not (tmp_path / "s.duckdb").exists()
