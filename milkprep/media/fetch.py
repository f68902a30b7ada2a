"""The engine of `fetch-media`: every address of a modality once, politely, resumable; each ends as a row with its reason.

Threads visit addresses; the first thread lists them page by page and writes what became of them, some thousands in one short
transaction, so a run killed at any time loses at most those, and what it kept in the cache is found there.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import polars as pl

from milkprep.decode import MAX_FILE_BYTES
from milkprep.media.cache import Cache
from milkprep.media.inspectors import Arrived, Inspectors, Refusal
from milkprep.media.ledger import Ledger
from milkprep.media.queue import Queue
from milkprep.media.transport import GuardedTransport, Timer
from milkprep.media.visit import Visited, Visitor
from schemas.contracts import AssetStatus, Modality
from schemas.errors import BadValue
from schemas.reporting import Progress, Reporter

#: More addresses are read when fewer than this wait.
LOW = 5_000
#: Seconds between looks for what has been visited.
LOOK_S = 0.03
MAX_CONCURRENCY = 256


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch.

    Args:
        cache: folder of contents; None: `<store>.media`, beside the store.
        concurrency: addresses asked for at a time.
        per_host: of these, at one host.
        deadline_s: seconds an address may take, repetitions included.
        max_bytes: of one content; None: what the modality's decoder takes.
        allow_private: whether addresses may lead into this machine or a private network.
        retry_failed: whether addresses that failed before are tried again.
    """

    cache: Path | None = None
    concurrency: int = 16
    per_host: int = 4
    deadline_s: float = 60.0
    max_bytes: int | None = None
    allow_private: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise BadValue(f"--concurrency {self.concurrency} is out of range: give 1 to {MAX_CONCURRENCY}.")
        if self.per_host < 1:
            raise BadValue(f"--per-host {self.per_host} is out of range: give 1 or more.")
        if not 0 < self.deadline_s < float("inf"):
            raise BadValue(f"--deadline {self.deadline_s:g} is out of range: give seconds above 0.")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise BadValue(f"--max-bytes {self.max_bytes} is out of range: give 1 or more.")


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a run did, and how the addresses stand after it.

    Args:
        n_visited: addresses that this run visited.
        n_ok: of these, with content that can be decoded.
        n_bytes: received by this run.
        failures: addresses that this run visited and that failed, by reason; absent ones are answers, and none of them.
        n_left: addresses not visited, because the run was interrupted.
        summary: `status`, `reason`, `addresses`, `items` of the modality, those of runs before included.
        cache: where contents lie.
        seconds: of this run.
        interrupted: whether it was stopped from outside.
    """

    n_visited: int
    n_ok: int
    n_bytes: int
    failures: Mapping[str, int]
    n_left: int
    summary: pl.DataFrame
    cache: Path
    seconds: float
    interrupted: bool

    @property
    def all_failed(self) -> bool:
        """Whether this run visited addresses, and every one of them failed."""
        return self.n_visited > 0 and sum(self.failures.values()) == self.n_visited


def fetch_media(store_path: Path, *, modality: Modality, options: FetchOptions, reporter: Reporter) -> FetchReport:
    """Fetch the content of every asset that is located at an address nobody has visited.

    Args:
        store_path: the DuckDB file, with a catalogue in it.
        modality: visual or audio.
        options: how.
        reporter: told counts, rate and bytes.

    Raises:
        BadValue: if the modality has no files.
        StoreError: if the store is not there, or is held by another process.
        OSError: if the cache cannot be written to. What was visited before is recorded.
    """
    if modality is Modality.TEXT:
        raise BadValue("Texts have no addresses. Give --modality visual or --modality audio.")
    started, interrupted = time.monotonic(), False
    folder = (options.cache or store_path.with_name(f"{store_path.name}.media")).absolute()
    ledger = Ledger(store_path, modality)
    if n_waiting := ledger.prepare(retry_failed=options.retry_failed):
        with reporter.progress(f"{modality} by address", total=n_waiting, unit="addresses") as progress:
            try:
                _visit_all(modality, options, folder, ledger, progress)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                ledger.write()
    summary, n_left = ledger.summary()
    return FetchReport(
        ledger.n_visited, ledger.n_ok, ledger.n_bytes, dict(ledger.failures), n_left, summary, cache=folder, seconds=time.monotonic() - started,
        interrupted=interrupted,
    )  # fmt: skip


def _visit_all(modality: Modality, options: FetchOptions, folder: Path, ledger: Ledger, progress: Progress) -> None:
    from httpx2 import create_ssl_context

    timer, visited, trusted = Timer(), SimpleQueue[Visited](), create_ssl_context()
    queue = Queue(per_host=options.per_host, timer=timer)
    n_decoders = min(options.concurrency, os.cpu_count() or 1)

    def decoded(content: Arrived, refusal: Refusal) -> None:
        status, reason = refusal or (AssetStatus.OK, None)
        visited.put(Visited(content.address, status, reason, content.sha256, content.n_bytes, None if refusal else str(content.place)))

    def visit() -> None:
        with GuardedTransport(timer=timer, allow_private=options.allow_private, trusted=trusted) as transport:
            for turn in queue.turns():
                outcome = visitor.visit(turn, transport)
                if isinstance(outcome, Visited):
                    visited.put(outcome)
                else:
                    inspectors.put(outcome)

    with (
        _cache(folder) as cache,
        ThreadPoolExecutor(options.concurrency + n_decoders, thread_name_prefix="fetch") as pool,
    ):
        inspectors = Inspectors(modality, cache=cache, timer=timer, done=decoded)
        visitor = Visitor(
            timer=timer, queue=queue, cache=cache, deadline_s=options.deadline_s,
            max_bytes=options.max_bytes or MAX_FILE_BYTES[modality],
        )  # fmt: skip
        decoders = [pool.submit(inspectors.work) for _ in range(n_decoders)]
        visitors = [pool.submit(visit) for _ in range(options.concurrency)]
        take = partial(_take, visited, ledger, progress)
        try:
            _feed(queue, ledger.pages(), [*visitors, *decoders], take)
            _until_done(visitors, [*visitors, *decoders], take)
            inspectors.close()
            _until_done(decoders, decoders, take)
        finally:
            timer.stopped.set()
            take()


def _feed(queue: Queue, pages: Iterator[list[str]], threads: Sequence[Future[None]], take: Callable[[], None]) -> None:
    """Keep enough addresses waiting until all are handed over."""
    for page in pages:
        queue.add(page)
        while queue.n_waiting >= LOW:
            _look(threads, take)
    queue.close()


def _until_done(awaited: Sequence[Future[None]], threads: Sequence[Future[None]], take: Callable[[], None]) -> None:
    while not all(thread.done() for thread in awaited):
        _look(threads, take)


def _look(threads: Sequence[Future[None]], take: Callable[[], None]) -> None:
    """Note what threads have brought; whatever ended one of them early ends the run."""
    time.sleep(LOOK_S)
    take()
    for thread in threads:
        if thread.done():
            thread.result()


def _take(visited: SimpleQueue[Visited], ledger: Ledger, progress: Progress) -> None:
    ledger.take(_drained(visited), progress)


def _drained(visited: SimpleQueue[Visited]) -> list[Visited]:
    rows: list[Visited] = []
    try:
        while True:
            rows.append(visited.get_nowait())
    except Empty:
        return rows


@contextmanager
def _cache(folder: Path) -> Iterator[Cache]:
    cache = Cache(folder)
    try:
        yield cache
    finally:
        cache.close()
