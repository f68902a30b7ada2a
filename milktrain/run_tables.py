"""Finished runs of a store as tables for SQL, beside its own.

    runs         a row a run: its identity, every setting, its metrics as `<part>_<metric>_<k>`; see `runs.frame`
    run_users    a row a run, part and user: the metrics of each user; read from the run folders as far as a statement needs them
    run_groups   a row a run, part and group of items or users: metrics of the group; see `groups`
    run_epochs   a row a run and epoch: losses, seconds, and validation where it was looked at

Those that a statement does not name are not read.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl

from milktrain import runs
from schemas import queries
from schemas.contracts import Part
from schemas.errors import BadValue
from schemas.store import Store

#: What DuckDB would take for a pattern in the path of a file.
PATTERN = "*?["
NO_USERS = {"run_id": pl.String, "part": pl.String, "user_idx": pl.Int64, "n_relevant": pl.Int64}
NO_GROUPS = {"run_id": pl.String, "part": pl.String, "by": pl.String, "group": pl.String, "n_users": pl.Int64}
NO_EPOCHS = {"run_id": pl.String, "epoch": pl.Int64, "seconds": pl.Float64, "loss": pl.Float64}


@contextmanager
def shown(store: Store, folder: Path, *, statement: str) -> Iterator[list[Path]]:
    """Let a statement read the runs of a folder that were trained on the store, by its file name.

    Args:
        store: open for reading.
        folder: holds the run folders; it need not be there.
        statement: what will be asked.

    Yields:
        The files that the statement reads besides the store, for `Store.confine`.

    Raises:
        BadValue: if the path of a file cannot be told to DuckDB.
        StoreError: if a file that the statement needs is damaged.
    """
    listed = runs.frame(folder, store=store.path.name)
    asked = statement.lower()
    with ExitStack() as stack:
        stack.enter_context(store.registered("runs", listed))
        if "run_epochs" in asked:
            stack.enter_context(store.registered("run_epochs", _epochs(folder, listed)))
        if "run_groups" in asked:
            stack.enter_context(store.registered("run_groups", _groups(folder, listed)))
        yield _show_users(store, folder, listed, stack) if "run_users" in asked else []


def _show_users(store: Store, folder: Path, listed: pl.DataFrame, stack: ExitStack) -> list[Path]:
    of = {folder.absolute() / run_id / f"users_{part}.parquet": (run_id, part.value) for run_id in listed["run_id"] for part in Part}
    files = [file for file in of if file.is_file()]
    if not files:
        stack.enter_context(store.registered("run_users", pl.DataFrame(schema=NO_USERS)))
        return []
    if odd := next((file for file in files if set(PATTERN) & set(str(file))), None):
        raise BadValue(f"{odd} has *, ? or [ in its path, which SQL takes for a pattern. Move the runs to another folder and name it with --runs.")
    named = pl.DataFrame([(str(file), *of[file]) for file in files], schema=["file", "run_id", "part"], orient="row")
    stack.enter_context(store.registered("run_files", named))
    sql = queries.load("milktrain.sql", "run_tables.sql")
    store.run(sql["name_files"], files=named["file"].to_list())
    store.run(sql["run_users"])
    return files


def _epochs(folder: Path, listed: pl.DataFrame) -> pl.DataFrame:
    rows = [
        {"run_id": run_id} | {name.replace("@", "_"): value for name, value in row.items()}
        for run_id in listed["run_id"]
        for row in runs.read_log(folder / run_id)
    ]
    return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(schema=NO_EPOCHS)


def _groups(folder: Path, listed: pl.DataFrame) -> pl.DataFrame:
    """All groups of the runs that have them; those of older runs are not there."""
    found = [
        runs.read_groups(folder / run_id).select(pl.lit(run_id).alias("run_id"), pl.all().name.replace("@", "_", literal=True))
        for run_id in listed["run_id"]
        if (folder / run_id / runs.GROUPS).is_file()
    ]
    return pl.concat(found, how="diagonal") if found else pl.DataFrame(schema=NO_GROUPS)
