"""The end of every pull: one catalogue into one store, wholly or not at all.

Promises: a store that did not exist before a failed pull does not exist after it; a store that already holds exactly this
pull is left alone; one that holds another is refused; users, items, interactions, assets, rejects and the record of the pull
appear in one transaction.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import polars as pl

from milkprep.pull import input_files, pull_report, replacing
from milkprep.pull.input_files import PullRequest
from milkprep.pull.pull_report import PullReport
from schemas import __version__, fingerprint, queries
from schemas.errors import DataError, SourceError, StoreLocked
from schemas.store import Store

#: Rows that are fingerprinted at once; part of what the fingerprint means.
SLICE_ROWS = 100_000
#: What `pulls.inputs` says of a file.
INPUT_COLUMNS = ("path", "bytes", "sha256")


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """A store open for writing; on an error a file that was not there before is taken away again.

    Raises:
        StoreError: if it cannot be opened.
    """
    created = not path.exists()
    try:
        opening = Store(path, mode="write")
    except StoreLocked:
        raise
    except BaseException:
        if created:
            _remove(path)
        raise
    with opening as store:
        _forget_leftovers(path)
        # Another process may have filled it since: what is not empty is not taken away.
        created = created and not store.query(_sql()["holds_anything"]).item()
        try:
            yield store
        except BaseException:
            store.close()
            if created:
                _remove(path)
            raise


def _forget_leftovers(path: Path) -> None:
    """Take away what a killed process sorted on disk, up to gigabytes. Whoever has the store open for writing is alone with it."""
    folder = path.with_name(f"{path.name}.tmp")
    for left in folder.glob("duckdb_temp_*"):
        left.unlink(missing_ok=True)
    with suppress(OSError):  # it is not there, or holds something else
        folder.rmdir()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def pulled(store_path: Path, request: PullRequest, *, replace: bool = False, read: Callable[[Store], PullReport]) -> PullReport:
    """The whole of a pull: look whether the store holds it, else read it.

    Args:
        store_path: the DuckDB file; made when absent.
        request: what is being pulled.
        replace: take the place of another pull that the store holds.
        read: stages the files in the open store and ends in `write`.

    Returns:
        What `read` did; an unchanged report when the store already holds this pull.

    Raises:
        DataError: if the store holds another pull and is not to be replaced.
        SourceError: if a file cannot be read.
    """
    with opened(store_path) as store:
        try:
            return earlier_report(store, request, replace=replace) or read(store)
        except OSError as error:
            raise SourceError(f"{error.filename or request.source} cannot be read: {error.strerror or error}. Is it still there?") from error


def earlier_report(store: Store, request: PullRequest, *, replace: bool = False) -> PullReport | None:
    """The report of this very pull if the store holds it, None if the store is empty.

    Raises:
        DataError: if the store holds another pull.
    """
    earlier = store.query(_sql()["latest_pull"]).to_dicts()
    if not earlier:
        if store.query(_sql()["holds_anything"]).item() and not replace:
            raise DataError(f"{store.path} already holds a catalogue that no pull made. Name another file with --store, or give --replace.")
        return None
    held = earlier[0]
    if held["fingerprint"] == request.fingerprint:
        return pull_report.from_json(str(held["source"]), json.loads(held["report"]), changed=False)
    if replace:
        return None
    differing = "; ".join(replacing.differences(held, request))
    raise DataError(
        f"{store.path} already holds {held['source']}, of another pull: {differing}. To take its place give --replace (vectors of content "
        "that is still there stay, splits go); to keep both name another file with --store."
    )


def write(
    store: Store, request: PullRequest, *, n_lines: Mapping[str, int], extra: Mapping[tuple[str, str], int], write_items: Callable[[], None],
    notes: Sequence[str] = (), then: Callable[[], Sequence[str]] | None = None,
) -> PullReport:  # fmt: skip
    """Everything staged into the catalogue, in one transaction; what the store held before gives way.

    Args:
        store: open for writing, with `pairs`, `kept_items`, `staged_items` and `staged_rejects` ready.
        request: what is being pulled.
        n_lines: lines read of each file, by label.
        extra: further counts for the report, by label and rule.
        write_items: writes items, assets and whatever else the source has; called inside the transaction.
        notes: sentences for the report.
        then: does what needs the whole catalogue, the record of the pull included, inside the transaction; returns further notes.

    Raises:
        DataError: if no interaction is left.
        SourceError: if a file changed since it was described.
    """
    sql = _sql()
    with store.transaction():
        replaced = replacing.clear(store) if store.query(sql["holds_anything"]).item() else None
        store.run(sql["number_kept_users"])
        store.run(sql["write_users"])
        write_items()
        store.run(sql["write_interactions"])
        store.run(sql["write_rejects"])
        catalogue = catalogue_fingerprint(store)  # of what the pull itself brings, whatever was extracted before
        told = [*notes, *(replacing.restore(store, replaced) if replaced else [])]
        steps = pull_report.steps(n_lines, extra, store.query(sql["count_rejects"]))
        report = {**store.query(sql["count_tables"]).to_dicts()[0], "steps": steps.to_dicts(), "notes": list(notes)}
        input_files.require_unchanged(request.inputs)
        if not report["n_interactions"]:
            raise DataError(f"No interaction is left, so nothing was stored. {pull_report.why_nothing(steps)}")
        store.run(
            sql["record_pull"], source=request.source, parameters=json.dumps(dict(request.parameters)),
            inputs=json.dumps([{name: asdict(file)[name] for name in INPUT_COLUMNS} for file in request.inputs]), fingerprint=request.fingerprint,
            catalogue_fingerprint=catalogue, report=json.dumps(report), toolkit_version=__version__,
        )  # fmt: skip
        told += then() if then else []
    return pull_report.from_json(request.source, {**report, "notes": told}, changed=True)


def catalogue_fingerprint(store: Store) -> str:
    """Digest of users, items, interactions and assets as stored, whatever the order of their rows; bounded memory."""
    tables = ("fingerprint_users", "fingerprint_items", "fingerprint_interactions", "fingerprint_assets")
    streams = (store.stream(_sql()[table], rows=SLICE_ROWS) for table in tables)
    return fingerprint.of_value([[fingerprint.of_frame(piece) for piece in _slices(stream, SLICE_ROWS)] for stream in streams])


def _slices(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of exactly `rows` rows, so that a digest does not depend on how they were delivered."""
    held: list[pl.DataFrame] = []
    n_held = 0
    for frame in frames:
        held.append(frame)
        n_held += frame.height
        while n_held >= rows:
            whole = pl.concat(held)
            yield whole.head(rows)
            held, n_held = [whole.slice(rows)], n_held - rows
    if n_held:
        yield pl.concat(held)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "catalogue.sql")
