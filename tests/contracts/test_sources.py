"""What every source promises, whatever it reads; a new file in `sources/` without a sample in `source_samples` fails here."""

import gzip
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from sample_files import Fixed, Sample
from source_samples import SAMPLES

from milkprep.pull import pull_report
from schemas import plugins
from schemas.contracts import Modality, RejectReason
from schemas.errors import DataError, MilkError
from schemas.store import Store

TABLES = "SELECT table_name FROM duckdb_tables() WHERE NOT temporary AND table_name <> 'schema_migrations' ORDER BY 1"


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture(scope="module")
def pulled(sample, tmp_path_factory):
    """The sample's folder and a store it was pulled into, with its report; for all tests that change neither."""
    folder = tmp_path_factory.mktemp("pulled")
    place, store = sample.write(folder / "raw"), folder / "s.duckdb"
    return place, store, sample.into(place, store)


def query(store: Path, sql: str) -> list[tuple[object, ...]]:
    with Store(store, mode="read") as opened:
        return opened.query(sql).rows()


def tables(path: Path) -> dict[str, list[str]]:
    """Every table of a store as sorted rows, without when and how fast they were written."""
    with Store(path, mode="read") as store:
        names = store.query(TABLES)["table_name"].to_list()
        frames = {name: store.query(f'SELECT * FROM "{name}"').select(pl.exclude("^(.*_at|seconds)$")) for name in names}
    return {name: sorted(map(repr, frame.rows())) for name, frame in frames.items()}


def catalogue(store: Path) -> object:
    return query(store, "SELECT catalogue_fingerprint FROM pulls")


def is_damaged(sample: Sample, store: Path, place: Path) -> str:
    """The error that a pull ends in; it has left nothing behind."""
    before = sorted(place.parent.iterdir())
    with pytest.raises(MilkError) as caught:
        sample.into(place, store)
    assert sorted(place.parent.iterdir()) == before
    assert not store.exists()
    return str(caught.value)


def test_every_source_has_a_sample():
    assert {sample.source for sample in SAMPLES.values()} == set(plugins.names("milkprep.sources"))


def test_two_pulls_into_two_stores_are_the_same(sample, pulled, tmp_path):
    place, store, report = pulled
    again = sample.into(place, tmp_path / "again.duckdb")
    assert (report.changed, again.changed) == (True, True)
    assert catalogue(store) == catalogue(tmp_path / "again.duckdb")
    assert tables(store) == tables(tmp_path / "again.duckdb")


def test_a_second_pull_changes_nothing(sample, pulled):
    place, store, report = pulled
    before = tables(store)
    again = sample.into(place, store)
    assert not again.changed
    assert again.steps.equals(report.steps)
    assert tables(store) == before


def test_keys_are_unique_and_ids_dense(pulled):
    _, store, report = pulled
    for table, n, column in (("users", report.n_users, "user"), ("items", report.n_items, "item")):
        rows = query(store, f"SELECT {column}_idx, {column}_key FROM {table} ORDER BY 1")
        assert [number for number, _ in rows] == list(range(n))
        assert len({key for _, key in rows}) == n > 0
    pairs = query(store, "SELECT user_idx, item_idx FROM interactions")
    assert len(set(pairs)) == len(pairs) == report.n_interactions
    assert {user for user, _ in pairs} == set(range(report.n_users))  # a user without interactions is none


def test_of_every_file_what_is_read_was_taken_or_refused_and_every_refusal_is_a_row(sample, pulled):
    _, store, report = pulled
    counts = {(row["file"], row["rule"]): row["count"] for row in report.steps.iter_rows(named=True)}
    reasons = {reason.value for reason in RejectReason}
    for file, (n_read, n_taken) in sample.taken.items():
        dropped = {rule: n for (of, rule), n in counts.items() if of == file and rule in reasons | set(pull_report.COUNTED_ONLY)}
        assert (counts[file, "read"], counts[file, "taken"]) == (n_read, n_taken)
        assert n_read == n_taken + sum(dropped.values())
        listed = Counter(reason for (reason,) in query(store, f"SELECT reason FROM rejects WHERE source = '{file}'"))
        assert listed == {rule: n for rule, n in dropped.items() if rule not in pull_report.COUNTED_ONLY}
    assert {file for file, rule in counts if rule == "read"} == set(sample.taken)


def test_every_refusal_says_of_which_line_and_why(sample, pulled):
    _, store, _ = pulled
    for source, line, reason, detail in query(store, "SELECT source, line, reason, detail FROM rejects"):
        assert RejectReason(reason)
        assert detail.strip()
        assert 1 <= line <= sample.taken[source][0] + getattr(sample.files[source], "header", 0)


def test_every_item_has_or_lacks_each_modality_for_a_stated_reason(pulled):
    _, store, report = pulled
    with Store(store, mode="read") as opened:
        assert {rule: rows.rows() for rule, rows in opened.violations().items() if rows.height} == {}
    for modality in Modality:
        shown = query(store, f"SELECT item_idx, {modality}, {modality}_reason FROM modality_availability")
        known = dict(query(store, f"SELECT item_idx, count(*) FROM assets WHERE modality = '{modality}' GROUP BY 1"))
        assert len(shown) == report.n_items
        for item, available, reason in shown:
            assert available == (reason is None)
            assert (item in known) == (reason != f"the source has no {modality} content")
    assert query(store, "SELECT * FROM assets WHERE status <> 'ok' AND coalesce(trim(reason), '') = ''") == []


def test_the_order_of_lines_does_not_matter(sample, pulled, tmp_path):
    _, store, _ = pulled
    for seed in range(2):
        shuffled = {name: file.shuffled(seed) for name, file in sample.files.items()}
        place = sample.write(tmp_path / f"shuffled {seed}", files=shuffled)
        sample.into(place, tmp_path / f"{seed}.duckdb")
        assert catalogue(tmp_path / f"{seed}.duckdb") == catalogue(store)


def test_what_a_store_holds_gives_way_only_when_told_to(sample, tmp_path):
    place, store = sample.write(tmp_path / "raw"), tmp_path / "s.duckdb"
    sample.into(place, store)
    before = tables(store)
    sample.write(place, files={sample.interactions: sample.files[sample.interactions].without_last()})
    with pytest.raises(DataError, match=rf"{sample.interactions} has other content.*--replace"):
        sample.into(place, store)
    assert tables(store) == before
    assert sample.into(place, store, replace=True).changed
    sample.into(place, tmp_path / "fresh.duckdb")
    assert tables(store) == tables(tmp_path / "fresh.duckdb")


@pytest.mark.parametrize("damage", ["empty", "cut", "folder", "gone"])
def test_nothing_is_stored_when_a_file_is_damaged(sample, tmp_path, damage):
    for at, (name, file) in enumerate(sample.files.items()):
        place = sample.write(tmp_path / str(at))
        if damage in sample.optional.get(name, ()):
            continue  # what has no such file is a sound input too
        if damage in ("folder", "gone"):
            (place / name).unlink()
        if damage == "folder":
            (place / name).mkdir()
        if damage == "empty":
            (place / name).write_bytes(b"")
        if damage == "cut":
            data = file.data if isinstance(file, Fixed) or name.endswith("parquet") else gzip.compress(file.data)
            (place / name).write_bytes(data[: len(data) // 2])
        said = is_damaged(sample, tmp_path / "s.duckdb", place)
        assert str(place) in said or name in said
