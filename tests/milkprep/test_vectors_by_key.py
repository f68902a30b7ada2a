"""Ready-made vectors that name their item: which row is taken, what becomes of the others, and what the store then holds."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep.pull import items, vectors
from milkprep.pull.vectors import Refused, VectorRows
from schemas.contracts import Modality, RejectReason
from schemas.errors import SourceError
from schemas.reporting import Silent
from schemas.store import Store

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def store():
    """A store with the items a, b, c and d kept, in memory."""
    with Store(":memory:", mode="write") as opened:
        keep(opened, "abcd")
        yield opened


def keep(store, keys):
    items.create_tables(store)
    kept = pl.DataFrame({"item_idx": range(len(keys)), "item_key": list(keys)}, schema={"item_idx": pl.Int32, "item_key": pl.String})
    store.append("kept_items", kept)
    store.run("DELETE FROM items")
    store.append("items", kept.with_columns(categories=pl.lit([], dtype=pl.List(pl.String)), in_metadata=True))


def batch(*rows, first=1, refused=()):
    """Rows of (key, values), numbered from `first`."""
    values = np.array([row for _, row in rows], dtype="float32").reshape(len(rows), 2)
    return VectorRows(range(first, first + len(rows)), [key for key, _ in rows], values, refused)


def write(store, *batches, modality=Modality.VISUAL, **more):
    identity = vectors.imported("v.b", sha256="5", width=2)
    return vectors.write(store, modality, identity, batches=batches, label="v.b", reporter=Silent(), **more)


def shown(store, modality="visual"):
    return store.query(f"SELECT item_key, vector FROM features_{modality} ORDER BY item_idx").rows()


def rejects(store):
    return store.query("SELECT line, reason, detail FROM staged_rejects ORDER BY line").rows()


def assets(store):
    return store.query("SELECT item_idx, position, location, status, reason FROM assets ORDER BY ALL").rows()


def test_vectors_find_their_items_by_key_in_whatever_order_they_come(store):
    done = write(store, batch(("d", [7, 8]), ("a", [1, 2])), batch(("b", [3, 4]), ("c", [5, 6]), first=3))
    assert shown(store) == [("a", [1, 2]), ("b", [3, 4]), ("c", [5, 6]), ("d", [7, 8])]
    assert done == vectors.Imported(n_rows=4, n_items=4, n_failed=0)
    assert rejects(store) == []
    assert assets(store) == [(n, 0, "v.b", "ok", None) for n in range(4)]


def test_every_row_that_is_not_used_says_why_and_so_does_every_item_without_a_vector(store):
    done = write(
        store,
        batch(("a", [1, 2]), ("x", [3, 4]), ("b", [0, -0.0]), ("a", [5, 6])),
        batch(("c", [NAN, 1]), ("c", [0, INF]), ("a", [0, 0]), ("x", [0, 0]), first=5),
    )
    assert rejects(store) == [
        (2, "without_item", "item x is not taken"),
        (3, "all_zero", "the row of item b is all zeros"),
        (4, "duplicate_item", "item a has the row of line 1"),
        (5, "not_finite", "the row of item c holds values that are not finite"),
        (6, "not_finite", "the row of item c holds values that are not finite"),
        (7, "all_zero", "the row of item a is all zeros"),
        (8, "without_item", "item x is not taken"),
    ]
    assert assets(store) == [
        (0, 0, "v.b", "ok", None),
        (1, 0, "v.b", "absent", "its row in v.b is all zeros"),
        (2, 0, "v.b", "decode_error", "its row in v.b holds values that are not finite"),
        (3, 0, "v.b", "absent", "not in v.b"),
    ]
    assert shown(store) == [("a", [1, 2])]
    assert done == vectors.Imported(n_rows=8, n_items=1, n_failed=2)
    assert store.query("SELECT n_items, n_contents, n_failed FROM feature_sets").rows() == [(1, 1, 2)]
    assert {name for name, rows in store.violations().items() if rows.height} == set()


def test_the_first_row_that_can_be_used_is_taken(store):
    write(store, batch(("a", [0, 0]), ("a", [1, 2]), ("a", [3, 4])), batch(("a", [5, 6]), first=4))
    assert shown(store) == [("a", [1, 2])]
    assert [row[:2] for row in rejects(store)] == [(1, "all_zero"), (3, "duplicate_item"), (4, "duplicate_item")]
    assert assets(store)[0] == (0, 0, "v.b", "ok", None)


def test_what_a_reader_refuses_is_told_in_its_words(store):
    short = Refused(2, "b", RejectReason.WRONG_WIDTH, "has 1 value, not 2")
    listed = Refused(3, "c", RejectReason.LISTED_MISSING, "is listed as missing in m.csv")
    nobody = Refused(4, "", RejectReason.MALFORMED, "its first bytes are no key")
    other = Refused(5, "x", RejectReason.WRONG_WIDTH, "has 1 value, not 2")
    done = write(store, batch(("a", [1, 2]), refused=[short, listed, nobody, other]))
    assert rejects(store) == [
        (2, "wrong_width", "the row of item b has 1 value, not 2"),
        (3, "listed_missing", "the row of item c is listed as missing in m.csv"),
        (4, "malformed", "its first bytes are no key"),
        (5, "without_item", "item x is not taken"),
    ]
    assert [row[3:] for row in assets(store)[1:3]] == [
        ("decode_error", "its row in v.b has 1 value, not 2"),
        ("absent", "its row in v.b is listed as missing in m.csv"),
    ]
    assert (done.n_rows, done.n_failed) == (5, 2)


def test_equal_vectors_are_one_content_within_a_batch_and_across(store):
    write(store, batch(("a", [1, 2]), ("b", [1, 2])), batch(("c", [1, 2]), ("d", [3, 4]), first=3))
    digests = [hashlib.sha256(np.array(row, dtype="<f4").tobytes()).hexdigest() for row in ([1, 2], [3, 4])]
    assert store.query("SELECT content_sha256 FROM vectors_1")["content_sha256"].to_list() == digests
    assert len(shown(store)) == 4


def test_assets_come_after_those_an_item_has_already(store):
    store.run("INSERT INTO assets VALUES (0, 'visual', 0, 'http://e.org/a.jpg', NULL, 'not_fetched', 'address not fetched')")
    store.run("INSERT INTO assets VALUES (0, 'visual', 1, 'http://e.org/b.jpg', NULL, 'not_fetched', 'address not fetched')")
    store.run("INSERT INTO assets VALUES (1, 'audio', 0, 'b.wav', NULL, 'pending', 'file not read yet')")
    write(store, batch(("a", [1, 2]), ("b", [3, 4])))
    found = store.query("SELECT item_idx, position FROM assets WHERE location = 'v.b' ORDER BY ALL").rows()
    assert found == [(0, 2), (1, 0), (2, 0), (3, 0)]
    assert shown(store) == [("a", [1, 2]), ("b", [3, 4])]
    assert {name for name, rows in store.violations().items() if rows.height} == set()


def test_a_set_that_is_there_already_takes_only_contents_it_lacks_and_drops_those_no_item_has(store):
    write(store, batch(("a", [1, 2]), ("b", [3, 4])))
    store.run("DELETE FROM assets")
    keep(store, "bxy")  # another catalogue, the same file
    write(store, batch(("x", [5, 6]), ("b", [3, 4])))
    assert shown(store) == [("b", [3, 4]), ("x", [5, 6])]
    assert store.query("SELECT count(*), count(DISTINCT content_sha256) FROM vectors_1").row(0) == (2, 2)
    assert store.query("SELECT count(*) FROM feature_sets").item() == 1
    assert {name for name, rows in store.violations().items() if rows.height} == set()


@pytest.mark.parametrize(
    ("row", "words"), [(("a", [0, 0]), r"No row of v\.b is a vector"), (("x", [1, 2]), r"No row of v\.b belongs to an item that is taken")]
)
def test_a_file_of_which_nothing_can_be_used_is_refused(store, row, words):
    with pytest.raises(SourceError, match=words):
        write(store, batch(row))


def test_words_of_where_and_why_not_can_be_the_callers(store):
    write(store, batch(("a", [1, 2])), location="title_words", absent="no title")
    assert assets(store)[:2] == [(0, 0, "title_words", "ok", None), (1, 0, "title_words", "absent", "no title")]


def test_a_batch_of_wide_vectors_has_fewer_rows():
    assert vectors.batch_rows(128, most=10_000) == 10_000
    assert vectors.batch_rows(4096, most=10_000) == 4096  # 64 MiB
    assert vectors.batch_rows(vectors.WIDEST, most=10_000) == 167


ROWS = st.lists(st.tuples(st.sampled_from("abcdxy"), st.sampled_from([(1, 2), (3, 4), (0, 0), (NAN, 1), (2, 0)])), min_size=1, max_size=12)


@settings(deadline=None, max_examples=15)  # each makes a store
@given(rows=ROWS, cut=st.integers(0, 12))
def test_rows_are_taken_or_rejected_wherever_batches_end(rows, cut):
    # By hand: of each item the first sound row.
    expected: dict[str, list[float]] = {}
    for key, row in rows:
        if key in "abcd" and all(np.isfinite(row)) and any(row):
            expected.setdefault(key, list(row))
    with Store(":memory:", mode="write") as store:
        keep(store, "abcd")
        if not expected:
            with pytest.raises(SourceError):
                write(store, batch(*rows[:cut]), batch(*rows[cut:], first=cut + 1))
            return
        write(store, batch(*rows[:cut]), batch(*rows[cut:], first=cut + 1))
        assert shown(store) == sorted(expected.items())
        assert len(rejects(store)) + len(expected) == len(rows)
        assert {name for name, found in store.violations().items() if found.height} == set()
