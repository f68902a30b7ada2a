"""What the store knows of addresses: which wait to be visited, and what became of those that were.

The store is open for single short questions and transactions, never while the network is waited for.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from milkprep.media.visit import Visited
from schemas import queries
from schemas.contracts import AssetStatus, Modality
from schemas.reporting import Progress
from schemas.store import Mode, Store

#: Addresses read at a time, about.
PAGE = 20_000
#: Addresses a transaction, and seconds after which fewer are written too; what a kill can lose.
BATCH, BATCH_S = 5_000, 5.0
#: Seconds to wait for a reader of the store.
PATIENCE_S = 60.0
NOT_FETCHED = "address not fetched"
FETCHED = {
    "address": pl.String, "status": pl.String, "reason": pl.String, "content_sha256": pl.String, "bytes": pl.Int64, "file": pl.String,
}  # fmt: skip


class Ledger:
    """The addresses of one modality in a store, and the counts of this run.

    Args:
        store_path: the DuckDB file, with a catalogue in it.
        modality: visual or audio.
    """

    def __init__(self, store_path: Path, modality: Modality) -> None:
        self._path, self._modality = store_path, modality.value
        self._sql = queries.load("milkprep.sql", "media.sql")
        self._rows: list[Visited] = []
        self._written_at = time.monotonic()
        self.n_visited = self.n_ok = self.n_bytes = 0
        self.failures = Counter[str]()  # reasons of addresses that failed

    def prepare(self, *, retry_failed: bool) -> int:
        """Bring assets in line with what is known of their addresses.

        Contents that are not in their place any more count as never fetched.

        Args:
            retry_failed: whether addresses that failed count so, too.

        Returns:
            How many addresses wait.

        Raises:
            StoreError: if the store is not there, or is held by another process.
        """
        with self._open("update") as store:
            held = store.query(self._sql["files"], modality=self._modality)
            lost = held.filter(pl.Series([not _is_there(file, n_bytes) for _, file, n_bytes in held.iter_rows()], dtype=pl.Boolean))
            with store.transaction(), store.registered("lost", lost):
                forgotten = (["forget_lost", "drop_lost"] if lost.height else []) + (["forget_failed", "drop_failed"] if retry_failed else [])
                for name in forgotten:
                    reason = {"reason": NOT_FETCHED} if name.startswith("forget") else {}
                    store.run(self._sql[name], modality=self._modality, **reason)
                store.run(self._sql["apply_known"], modality=self._modality)
            return self._n_pending(store)

    def pages(self) -> Iterator[list[str]]:
        """Addresses that wait, each once, in an order that mixes hosts; about `PAGE` a page, and no more pages than are asked for."""
        with self._open("read") as store:
            n_pages = max(1, -(-self._n_pending(store) // PAGE))
        for number in range(n_pages):
            with self._open("read") as store:
                page = store.query(self._sql["pending"], modality=self._modality, n_pages=n_pages, page=number)
            yield page["location"].to_list()

    def take(self, rows: Sequence[Visited], progress: Progress) -> None:
        """Count what has been visited, and write it when it is time."""
        self._rows += rows
        self.n_visited += len(rows)
        self.n_ok += sum(row.status is AssetStatus.OK for row in rows)
        self.n_bytes += sum(row.n_bytes or 0 for row in rows)
        self.failures.update(row.reason or "" for row in rows if row.status in (AssetStatus.FETCH_ERROR, AssetStatus.DECODE_ERROR))
        if rows:
            progress.advance(len(rows))
            progress.note(f"{self.n_bytes / 1e6:.1f} MB, {self.n_visited - self.n_ok} without")
        if len(self._rows) >= BATCH or time.monotonic() - self._written_at >= BATCH_S:
            self.write()

    def write(self) -> None:
        """Write what is not written yet, in one transaction.

        Raises:
            StoreLocked: if another process holds the store for longer than a minute.
        """
        if self._rows:
            values = [(r.address, r.status.value, r.reason, r.content_sha256, r.n_bytes, r.file) for r in self._rows]
            fetched = pl.DataFrame(values, schema=FETCHED, orient="row")
            with self._open("update") as store, store.transaction(), store.registered("fetched", fetched):
                store.run(self._sql["record"], modality=self._modality)
                store.run(self._sql["record_assets"], modality=self._modality)
            self._rows = []
        self._written_at = time.monotonic()

    def summary(self) -> tuple[pl.DataFrame, int]:
        """How the modality's addresses stand, and how many wait.

        Returns:
            `status`, `reason`, `addresses`, `items`, runs before included, most frequent first; and the number that nobody has visited.
        """
        with self._open("read") as store:
            return store.query(self._sql["summary"], modality=self._modality), self._n_pending(store)

    def _n_pending(self, store: Store) -> int:
        return int(store.query(self._sql["count_pending"], modality=self._modality)["n"].item())

    def _open(self, mode: Mode) -> Store:
        return Store(self._path, mode=mode, wait_s=PATIENCE_S)


def _is_there(file: str, n_bytes: int) -> bool:
    try:
        return os.stat(file).st_size == n_bytes  # noqa: PTH116 - of a million files; a Path each takes longer than the look
    except OSError:
        return False
