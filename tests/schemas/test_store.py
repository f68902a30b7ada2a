"""The store's promises within one process: migrations, modes, transactions, appending, streaming."""

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from schemas import feature_sets, queries
from schemas.contracts import Modality
from schemas.errors import QueryError, StoreError
from schemas.queries import documents
from schemas.store import Store


def count(store, table):
    return store.query(f"SELECT count(*) AS n FROM {table}").item()


@pytest.fixture
def migrations(monkeypatch):
    """Replaces the migrations that the store believes in: call with a function of the true list."""

    def replace(change):
        def changed(package):
            return change(documents(package)) if package == "schemas.ddl" else documents(package)

        monkeypatch.setattr(queries, "documents", changed)

    return replace


def test_a_new_store_records_every_migration_once(tmp_path):
    for _ in range(2):
        with Store(tmp_path / "s.duckdb", mode="write") as store:
            applied = store.query("SELECT version, file FROM schema_migrations ORDER BY version")
    assert applied["version"].to_list() == list(range(1, len(documents("schemas.ddl")) + 1))
    assert applied["file"].to_list() == [name for name, _ in documents("schemas.ddl")]


def test_opening_a_current_store_for_writing_changes_no_byte(tmp_path):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    before = path.read_bytes()
    Store(path, mode="write").close()
    assert path.read_bytes() == before


def test_a_changed_migration_is_refused_in_both_modes(tmp_path, migrations):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    migrations(lambda true: [(true[0][0], true[0][1] + "-- edited"), *true[1:]])
    for mode in ("write", "read"):
        with pytest.raises(StoreError, match=r"written by another version of this toolkit"):
            Store(path, mode=mode)


def test_a_store_from_a_newer_version_is_refused(tmp_path, migrations):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    migrations(lambda true: true[:-1])
    with pytest.raises(StoreError, match=r"another version"):
        Store(path, mode="write")


def test_an_older_store_is_refused_for_reading_and_brought_up_to_date_by_writing(tmp_path, migrations):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    migrations(lambda true: [*true, ("0999_later", "CREATE TABLE later (x INTEGER);")])
    with pytest.raises(StoreError, match=r"older schema"):
        Store(path, mode="read")
    with Store(path, mode="write") as store:
        assert count(store, "later") == 0
    with Store(path, mode="read") as store:
        assert count(store, "schema_migrations") == len(documents("schemas.ddl")) + 1


def test_a_later_migration_leaves_the_current_features_in_view(filled, tmp_path, migrations):
    before = filled.query("SELECT * FROM features_text ORDER BY item_idx")
    filled.close()
    migrations(lambda true: [*true, ("0999_later", "CREATE TABLE later (x INTEGER);")])
    with Store(filled.path, mode="write") as store:
        assert store.query("SELECT * FROM features_text ORDER BY item_idx").equals(before)
        assert count(store, "features_audio") == 0


def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path, migrations):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    migrations(lambda true: [*true, ("0998_good", "CREATE TABLE good (x INTEGER);"), ("0999_bad", "CREATE TABLE items (x INTEGER);")])
    with pytest.raises(StoreError, match=r"already exists"):
        Store(path, mode="write")
    with duckdb.connect(str(path), read_only=True) as raw:
        assert raw.sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'good'").fetchall() == [(0,)]


def test_a_duckdb_file_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as raw:
        raw.sql("CREATE TABLE somebody_elses (x INTEGER)")
    before = path.read_bytes()
    for mode in ("write", "read"):
        with pytest.raises(StoreError, match=r"something else .it holds somebody_elses"):
            Store(path, mode=mode)
    assert path.read_bytes() == before


def test_a_file_that_is_no_duckdb_file_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "blocks"  # a path with 'lock' in it is not therefore locked
    folder.mkdir()
    path = folder / "notes.txt"
    path.write_text("no database " * 1000)
    with pytest.raises(StoreError, match=r"is not a store but another kind of file. Name another file") as caught:
        Store(path, mode="write")
    assert type(caught.value) is StoreError
    assert path.read_text() == "no database " * 1000


def test_reading_an_absent_store_says_how_to_make_one_and_makes_nothing(tmp_path):
    with pytest.raises(StoreError, match=r"There is no store at .*none\.duckdb.*pull"):
        Store(tmp_path / "none.duckdb", mode="read")
    assert list(tmp_path.iterdir()) == []


def test_an_absent_folder_is_named_and_not_created(tmp_path):
    with pytest.raises(StoreError, match=r"The folder .*absent of the store does not exist"):
        Store(tmp_path / "absent" / "s.duckdb", mode="write")
    assert not (tmp_path / "absent").exists()


def test_a_store_open_for_reading_refuses_to_write(tmp_path):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    before = path.read_bytes()
    with Store(path, mode="read") as store, pytest.raises(StoreError, match=r"read-only"):
        store.run("INSERT INTO users VALUES ($idx, $key)", idx=0, key="anna")
    assert path.read_bytes() == before


def test_a_transaction_that_fails_leaves_nothing(catalogue):
    def fail():
        with catalogue.transaction():
            catalogue.run("INSERT INTO users VALUES (2, 'carl')")
            assert count(catalogue, "users") == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert count(catalogue, "users") == 2


def test_a_transaction_that_breaks_a_constraint_leaves_nothing_and_the_store_usable(catalogue):
    def fail():
        with catalogue.transaction():
            catalogue.run("INSERT INTO users VALUES (2, 'carl')")
            catalogue.run("INSERT INTO users VALUES (0, 'twice')")

    with pytest.raises(StoreError, match=r"(?i)constraint"):
        fail()
    assert catalogue.query("SELECT user_key FROM users ORDER BY user_idx")["user_key"].to_list() == ["anna", "ben"]


def test_a_finished_transaction_is_there_when_the_file_is_opened_again(tmp_path):
    with Store(tmp_path / "s.duckdb", mode="write") as store, store.transaction():
        store.run("INSERT INTO users VALUES (0, 'anna')")
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert count(store, "users") == 1


def test_values_are_bound_and_never_read_as_sql(store):
    hostile = "x'); DROP TABLE users; --"
    store.run("INSERT INTO users VALUES ($idx, $key)", idx=0, key=hostile)
    assert store.query("SELECT user_key FROM users WHERE user_key = $key", key=hostile).item() == hostile


def test_append_matches_columns_by_name_and_fills_the_absent_with_null(store):
    frame = pl.DataFrame({"reason": ["malformed"], "detail": ["no brace"], "source": ["meta.json"]})
    store.append("rejects", frame)
    assert store.query("SELECT source, line, reason, detail, text_start FROM rejects").row(0) == ("meta.json", None, "malformed", "no brace", None)


@pytest.mark.parametrize("frame", [pl.DataFrame({"user_idx": [0], "usr_key": ["a"]}), pl.DataFrame({"user_idx": ["x"], "user_key": ["a"]})])
def test_append_refuses_a_column_or_type_that_does_not_fit(store, frame):
    with pytest.raises(StoreError, match=r"usr_key|Could not convert"):
        store.append("users", frame)
    assert count(store, "users") == 0


def test_what_was_appended_is_let_go_of_before_the_transaction_ends(store):
    store.run("CREATE TEMP TABLE numbers (number BIGINT)")
    with store.transaction():
        before = pa.total_allocated_bytes()
        for _ in range(5):
            store.append("numbers", pl.DataFrame(pl.from_arrow(pa.table({"number": pa.array(list(range(100_000)))}))))
        assert pa.total_allocated_bytes() - before < 100_000 * 8  # one of the five would be as much
    assert store.query("SELECT count(*) FROM numbers").item() == 500_000


def test_append_to_a_table_that_is_not_there_is_our_own_mistake(store):
    with pytest.raises(AssertionError, match=r"no table 'user'"):
        store.append("user", pl.DataFrame({"user_idx": [0]}))


def test_a_registered_frame_is_readable_by_name_and_only_inside(store):
    with store.registered("given", pl.DataFrame({"x": [1, 2]})):
        assert store.query("SELECT sum(x)::BIGINT AS n FROM given").item() == 3
    with pytest.raises(StoreError, match=r"given"):
        store.query("SELECT * FROM given")


def test_a_variable_of_the_calling_code_is_no_table(store):
    frame = pl.DataFrame({"x": [1]})
    with pytest.raises(StoreError, match=r"frame does not exist"):
        store.query("SELECT * FROM frame")
    assert frame.height == 1


def test_streaming_gives_every_row_once_in_small_frames(store):
    frames = list(store.stream("SELECT i FROM range($n) AS t (i) ORDER BY i", rows=1000, n=10_000))
    assert pl.concat(frames)["i"].to_list() == list(range(10_000))
    assert len(frames) > 1


def test_another_question_while_streaming_is_refused_not_cut_short(store):
    stream = store.stream("SELECT i FROM range(100000) AS t (i)", rows=1000)
    next(stream)
    with pytest.raises(StoreError, match=r"open result"):
        store.query("SELECT 1 AS one")
    stream.close()


def test_a_refused_statement_names_the_store(store):
    with pytest.raises(StoreError, match=r"test\.duckdb: .*nowhere"):
        store.query("SELECT * FROM nowhere")


def test_closing_twice_is_harmless(tmp_path):
    store = Store(tmp_path / "s.duckdb", mode="write")
    store.close()
    store.close()
    with Store(tmp_path / "s.duckdb", mode="read") as again:
        assert again.query("SELECT count(*) AS n FROM items").item() == 0


def test_a_store_copied_to_another_place_is_the_same_store(filled, tmp_path):
    expected = feature_sets.current(filled)
    filled.close()
    shutil.copy(filled.path, tmp_path / "copy.duckdb")
    with Store(tmp_path / "copy.duckdb", mode="read") as store:
        assert feature_sets.current(store) == expected
        assert list(expected) == [Modality.VISUAL, Modality.TEXT]


def test_a_changed_view_reaches_a_store_that_is_there_already(tmp_path):
    path = tmp_path / "older.duckdb"
    with Store(path, mode="write") as store:
        store.run("CREATE OR REPLACE VIEW modality_availability AS SELECT 1 AS before")
        store.run("UPDATE schema_views SET sha256 = 'of another text'")
    with pytest.raises(StoreError, match="has an older schema"):
        Store(path, mode="read")
    with Store(path, mode="update") as store:
        assert "text_reason" in store.query("SELECT * FROM modality_availability").columns
    Store(path, mode="read").close()


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.parquet", "rows.json.gz", "notes.txt"])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b'{"a": 1}' * 10)
    for mode in ("read", "write", "update"):
        with pytest.raises(StoreError, match="is not a store but another kind of file"):
            Store(file, mode=mode)
    assert file.read_bytes() == b'{"a": 1}' * 10


def test_a_path_is_a_file_whatever_its_name_means_to_duckdb(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store(Path(":memory:"), mode="write").close()
    assert (tmp_path / ":memory:").stat().st_size > 0


def test_the_first_error_of_a_transaction_is_told_even_where_rolling_back_fails_too(store):
    def fail_twice():
        with store.transaction():
            store.run("ROLLBACK")
            raise RuntimeError("the first")

    with pytest.raises(RuntimeError, match="the first"):
        fail_twice()


def test_a_statement_that_is_no_text_is_refused(store):
    with pytest.raises(QueryError, match="not UTF-8"):
        store.user_query("SELECT '\udcff'")
