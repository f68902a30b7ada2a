"""Published visual features of Amazon: records without header or line ends."""

import struct

import numpy as np
import polars as pl
import pytest

from milkprep.pull import items
from milkprep.sources import _amazon_features
from schemas.errors import SourceError
from schemas.reporting import Silent
from schemas.store import Store

WIDTH = 4096


def record(asin, value):
    """One record, packed by the format's own description."""
    return asin.ljust(10)[:10] + struct.pack(f"<{WIDTH}f", value, *[0.5] * (WIDTH - 1))


def written(folder, *records):
    file = folder / "image_features_Toys.b"
    file.write_bytes(b"".join(records))
    return file


def test_records_reach_their_items_by_asin_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(_amazon_features, "MOST_ROWS", 2)
    path = written(
        tmp_path,
        record(b"B000000003", 3.0),
        record(b"0000000001", 1.0),
        record(b"B00000000X", 9.0),
        record(b"B00\x00000004", 4.0),
        record(b"B000000003", 8.0),
        record(b"B00 000005", 5.0),
    )
    file = _amazon_features.open_file(path, label="image_features_Toys.b")
    assert file.n_records == 6
    with Store(":memory:", mode="write") as store:
        items.create_tables(store)
        kept = pl.DataFrame({"item_idx": [0, 1, 2], "item_key": ["0000000001", "B000000002", "B000000003"]}, schema_overrides={"item_idx": pl.Int32})
        store.append("kept_items", kept)
        store.append("items", kept.with_columns(categories=pl.lit([], dtype=pl.List(pl.String)), in_metadata=True))
        _amazon_features.write(store, file, sha256="5", reporter=Silent())
        found = store.query("SELECT item_key, vector FROM features_visual ORDER BY item_idx")
        assert found["item_key"].to_list() == ["0000000001", "B000000003"]
        expected = np.full((2, WIDTH), 0.5, dtype="float32")
        expected[:, 0] = [1.0, 3.0]
        assert np.array_equal(found["vector"].to_numpy(), expected)
        assert store.query("SELECT line, reason, detail FROM staged_rejects ORDER BY line").rows() == [
            (3, "without_item", "item B00000000X is not taken"),
            (4, "malformed", r"its first 10 bytes are b'B00\x00000004', which is no ASIN"),
            (5, "duplicate_item", "item B000000003 has the row of line 1"),
            (6, "malformed", "its first 10 bytes are b'B00 000005', which is no ASIN"),
        ]
        assert store.query("SELECT visual_reason FROM modality_availability WHERE NOT visual").rows() == [("not in image_features_Toys.b",)]
        assert {name for name, rows in store.violations().items() if rows.height} == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08\x00" + bytes(100), "is compressed with gzip"),
        (record(b"B000000001", 1.0)[:-1], r"has 16393 bytes, no multiple of 16394"),
        (record(b"B000000001", 1.0) + b"B000000002", r"no multiple of 16394: it is cut short"),
        (b'{"asin": "' + bytes(16384), "does not begin with an ASIN"),
        (b"\x93NUMPY\x01\x00" + bytes(16386), "does not begin with an ASIN"),
        (b"B00000000", "no multiple of 16394"),
    ],
    ids=["empty", "gzip", "one byte short", "cut", "text", "numpy", "shorter than an ASIN"],
)
def test_a_file_of_another_kind_is_refused_before_it_is_read(tmp_path, content, words):
    with pytest.raises(SourceError, match=words):
        _amazon_features.open_file(written(tmp_path, content), label="f.b")


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    path = written(tmp_path, record(b"B000000001", 1.0))
    file = _amazon_features.open_file(path, label="f.b")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SourceError, match="had 1 records and now has 2"):
        list(_amazon_features.batches(file))
