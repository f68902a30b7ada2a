"""SQL that a user wrote: it reads the store and can do nothing else."""

import pytest

from schemas.errors import QueryError, StoreError
from schemas.store import Store


@pytest.fixture
def confined(filled):
    """The filled store as the command line opens it for a user's SQL."""
    filled.close()
    with Store(filled.path, mode="read") as opened:
        opened.confine()
        yield opened


def test_a_select_is_answered(confined):
    assert confined.user_query("SELECT item_key FROM items ORDER BY item_idx;")["item_key"].to_list() == ["A", "B", "C", "D"]


@pytest.mark.parametrize("sql", ["DESCRIBE items", "SHOW TABLES", "SUMMARIZE users", "FROM users", "WITH u AS (FROM users) SELECT * FROM u"])
def test_statements_that_only_look_are_answered(confined, sql):
    assert confined.user_query(sql).height > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd', header = false)",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT * FROM duckdb_secrets()",
    ],
)
def test_files_outside_the_store_cannot_be_read(confined, sql):
    with pytest.raises(QueryError, match=r"file system operations are disabled"):
        confined.user_query(sql)


@pytest.mark.parametrize("sql", ["SELECT * FROM '/etc/passwd'", "SELECT getenv('HOME')", "SELECT * FROM sql", "SELECT * FROM self"])
def test_neither_paths_nor_variables_are_tables(confined, sql):
    with pytest.raises(QueryError, match=r"does not exist"):
        confined.user_query(sql)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("COPY users TO '{folder}/stolen.csv'", "COPY"),
        ("COPY users TO '{store}.wal'", "COPY"),  # the store's own log is a file that DuckDB would let us write
        ("EXPLAIN ANALYZE COPY users TO '{store}.wal'", "EXPLAIN"),
        ("EXPORT DATABASE '{folder}/stolen'", "EXPORT"),
        ("ATTACH '{folder}/other.duckdb'", "ATTACH"),
        ("SET enable_external_access = true", "SET"),
        ("INSTALL httpfs", "LOAD"),
        ("DROP TABLE users", "DROP"),
        ("SELECT 1 AS one; DROP TABLE users", "SELECT and DROP"),
        ("", "nothing"),
    ],
)
def test_anything_but_one_select_is_refused_and_leaves_no_file(confined, tmp_path, sql, kind):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(QueryError, match=f"Only one SELECT .* not {kind}"):
        confined.user_query(sql.format(folder=tmp_path, store=confined.path))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_confinement_itself_holds_without_the_rule_on_statements(confined, tmp_path):
    for sql in ("SET enable_external_access = true", "SET memory_limit = '64GB'", f"COPY users TO '{tmp_path}/stolen.csv'"):
        with pytest.raises(StoreError, match=r"locked|disabled"):
            confined.run(sql)
    assert not (tmp_path / "stolen.csv").exists()


def test_an_unconfined_store_would_have_read_the_file(filled, tmp_path):
    (tmp_path / "note.txt").write_text("open")
    assert filled.query("SELECT content FROM read_text($path)", path=str(tmp_path / "note.txt")).item() == "open"


def test_a_mistake_is_answered_in_the_words_of_duckdb(confined):
    with pytest.raises(QueryError, match=r'(?s)Referenced column "titel" not found.*title'):
        confined.user_query("SELECT titel FROM items")


def test_a_column_that_cannot_be_shown_is_named_as_such(confined):
    with pytest.raises(QueryError, match=r"cast it"):
        confined.user_query("SELECT INTERVAL 1 DAY AS wait")
    assert confined.user_query("SELECT (INTERVAL 1 DAY)::VARCHAR AS wait").item() == "1 day"
