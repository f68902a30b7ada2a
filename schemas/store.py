"""The store: one DuckDB file that holds a dataset at every stage, readable with SQL.

Promises: opening for writing brings the file to this version's schema or changes nothing; opening for reading never changes it, but
for what a kill in the middle of writing left (`torn_blocks`); a transaction happens wholly or not at all; values are bound; results
come as polars frames. This is the only module that imports duckdb.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import duckdb
import polars as pl
import pyarrow as pa

from schemas import migrating, queries, torn_blocks
from schemas.errors import QueryError, StoreError, StoreLocked
from schemas.interrupts import interruptible
from schemas.store_files import OpenFiles, check_store_file

Mode = Literal["read", "write", "update"]

LOCK_POLL_S = 0.1
#: DuckDB's own working memory; larger sorts and joins go to disk beside the store.
WORKING_MEMORY = "1GB"
SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "max_vacuum_tasks": "0",  # row groups stay as written; merging those of vectors at checkpoints took 3x the time and 6x the memory
    "memory_limit": WORKING_MEMORY,
    "python_enable_replacements": "false",  # a table nobody made is an error, not a variable of the calling code
}
#: Of this process.
_OPEN = OpenFiles()


class Store:
    """An open store. Use as a context manager, and hold it for writing only as long as a transaction needs.

    Example:
        >>> with Store(":memory:", mode="write") as store:
        ...     store.query("SELECT count(*) AS items FROM items").item()
        0
    """

    def __init__(self, path: Path | str, *, mode: Mode, wait_s: float = 5.0) -> None:
        """Open a store.

        Args:
            path: the DuckDB file; created when absent and the mode is `write`. `:memory:` keeps everything in memory.
            mode: `read` changes nothing that the file holds; `write` creates or migrates it and excludes other processes; `update` does as
                `write`, to a file that is there already.
            wait_s: seconds to wait for another process to let go of the file.

        Raises:
            StoreLocked: if another process still holds it after `wait_s`.
            StoreError: if it is absent (unless for `write`), no DuckDB file, or of another schema version.
        """
        self.path = Path(path)
        self.mode = mode
        # Only the text ':memory:' means memory; a path is always a file, whatever DuckDB would read into its name.
        self._file = None if path == ":memory:" else OpenFiles.known_as(self.path)
        self._connection = _connect(self.path if self._file else None, mode=mode, wait_s=wait_s)
        self._is_open = True
        try:
            if mode == "read":
                migrating.refuse_other_version(self)
            else:
                migrating.migrate(self)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._connection.close()
        if self._is_open and self._file:
            _OPEN.remove(self._file)
        self._is_open = False

    def query(self, sql: str, /, **values: object) -> pl.DataFrame:
        """Rows of one SELECT.

        Args:
            sql: the statement, with `$name` where a value goes.
            values: the values to bind.

        Raises:
            StoreError: if DuckDB refuses the statement.
        """
        with self._named_errors():
            frame: pl.DataFrame = self._connection.sql(sql, params=values or None).pl()
        return frame

    def stream(self, sql: str, /, *, rows: int, **values: object) -> Iterator[pl.DataFrame]:
        """Rows of one SELECT in frames of at most about `rows` rows, never all in memory at once.

        Until the last frame has been taken, this store answers nothing else.

        Raises:
            StoreError: if DuckDB refuses the statement, or another one is asked for in between.
        """
        with self._named_errors():
            reader = self._connection.sql(sql, params=values or None).to_arrow_reader(rows)
        while True:
            with self._named_errors():
                batch = next(reader, None)
            if batch is None:
                return
            yield pl.DataFrame(pl.from_arrow(batch))

    def run(self, sql: str, /, **values: object) -> None:
        """One statement that returns nothing worth having.

        Raises:
            StoreError: if DuckDB refuses the statement, or the store is open for reading.
        """
        with self._named_errors():
            self._connection.sql(sql, params=values or None)

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows to a table, columns matched by name; columns the frame lacks become NULL.

        Args:
            table: a table of this store (temporary ones included).
            frame: the rows.

        Raises:
            StoreError: if a column or type does not fit, or a constraint is broken.
        """
        statements = queries.load("schemas.sql", "store.sql")
        known = self.query(statements["table_names"])["table_name"].to_list()
        assert table in known, f"no table {table!r} to append to"
        # As a stream: inside a transaction DuckDB lets go of a registered frame only at its end, and many appends would pile up.
        rows = frame.to_arrow()
        stream = pa.RecordBatchReader.from_batches(rows.schema, iter(rows.to_batches()))
        del rows
        with self._named_errors(), self.registered("incoming", stream):
            self._connection.sql(statements["append"].format(table=table))

    @contextmanager
    def registered(self, name: str, frame: pl.DataFrame | pa.RecordBatchReader) -> Iterator[None]:
        """Let statements read a frame under a name, without copying it into the file; a stream can be read once."""
        self._connection.register(name, frame)
        try:
            yield
        finally:
            self._connection.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or, on any error or kill, none of it."""
        with self._named_errors():
            self._connection.begin()
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # DuckDB may have rolled back by itself; the first error is the one to tell
                self._connection.rollback()
            raise
        with self._named_errors():
            self._connection.commit()

    def confine(self, *, readable: Sequence[Path] = ()) -> None:
        """Bar this connection from every file but its own and those that are named, for statements that a user wrote."""
        with self._named_errors():
            if readable:
                self._connection.sql("SET allowed_paths = $paths", params={"paths": [str(path) for path in readable]})
            self._connection.sql("SET enable_external_access = false")
            self._connection.sql("SET lock_configuration = true")

    def user_query(self, sql: str) -> pl.DataFrame:
        """Rows of a statement a user wrote.

        Only one SELECT is taken (DESCRIBE, SHOW and SUMMARIZE are such), because a confined connection can still write to
        the store's own files, e.g. with COPY.

        Raises:
            QueryError: with DuckDB's own words if it is refused; if it does not only read; if a column has no polars type.
        """
        try:
            sql.encode()
            kinds = [statement.type.name for statement in self._connection.extract_statements(sql)]
            if kinds != ["SELECT"]:
                raise QueryError(f"Only one SELECT (or DESCRIBE, SHOW, SUMMARIZE) is answered here, not {' and '.join(kinds) or 'nothing'}.")
            with self._interruptible():
                frame: pl.DataFrame = self._connection.sql(sql).pl()
        except UnicodeEncodeError as error:
            raise QueryError("The statement is not UTF-8 text. Type it anew, or set the terminal's language to a UTF-8 one.") from error
        except duckdb.Error as error:
            raise QueryError(f"DuckDB refused the statement: {error}") from error
        except pl.exceptions.PolarsError as error:
            raise QueryError(f"A column's type cannot be shown; cast it, e.g. to VARCHAR. ({error})") from error
        return frame

    def violations(self) -> dict[str, pl.DataFrame]:
        """The rows that break each invariant in `checks/`, by rule name; empty frames where all is well."""
        return {name: self.query(sql) for name, sql in queries.documents("schemas.checks")}

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            with self._interruptible():
                yield
        except duckdb.Error as error:
            raise StoreError.about(self.path, error) from error

    def _interruptible(self) -> AbstractContextManager[None]:
        return interruptible(self._connection.interrupt, errors=duckdb.Error)


def _connect(path: Path | None, *, mode: Mode, wait_s: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _opened(path, mode=mode)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise StoreError(f"{path} cannot be opened: {str(error).rstrip('.!')}. Name another file with --store.") from error
            if time.monotonic() >= deadline:
                raise StoreLocked(
                    f"{path} is held by another process ({_holder(error)}). Wait for it to finish or stop it, then run this again."
                ) from error
            time.sleep(LOCK_POLL_S)
        except duckdb.Error as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error


def _opened(path: Path | None, *, mode: Mode) -> duckdb.DuckDBPyConnection:
    connect = partial(duckdb.connect, read_only=mode == "read", config=dict(SETTINGS))
    if path is None:
        return connect(":memory:")
    # One thread at a time: of a file that another is opening, it is not known yet that this process has it open.
    with _OPEN.one_at_a_time:
        if path not in _OPEN:
            check_store_file(path, may_be_absent=mode == "write")
            torn_blocks.mend(path)
        connection = connect(str(path.absolute()))
        _OPEN.add(path)
        return connection


def _holder(error: duckdb.IOException) -> str:
    _, found, rest = str(error).partition("(PID ")
    return f"process {rest.partition(')')[0]}" if found else "unknown process"
