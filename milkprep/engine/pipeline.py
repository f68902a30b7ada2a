"""The pages of an extraction, through all its stages at a time: one reads, some decode, one encodes, one writes.

A page is read and its new contents are given to the decoders while earlier ones are encoded; finished pages are written in the
order they were read, several in one transaction where writing is the slower. What waits between the stages is bounded in number
and bytes. Contents that two pages share are embedded for the first. An error in any stage ends the run with that error; what is
whole is written before it is raised.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from milkprep.encoder import Encoder
from milkprep.engine import decoders
from milkprep.engine.content import AT_ONCE, Page, Reader
from milkprep.engine.decoders import Answer, Decoders
from milkprep.engine.embedding import Batcher, Embedded
from milkprep.engine.stages import Stages
from milkprep.engine.telling import Telling
from schemas.contracts import FeatureSet
from schemas.reporting import Progress

#: Contents that may be decoded ahead of the encoder, and their bytes; one chunk for each worker may come on top. Then half of it is used up
#: before more is decoded, by all workers at a time: one that works alone takes turns with one thread of the encoder, which all others wait for.
MOST_AHEAD, BYTES_AHEAD = 1024, 128 << 20
#: Pages that may wait to be written, all in one transaction, and the bytes of their vectors, where there are several.
PAGES_UNWRITTEN, BYTES_UNWRITTEN = 8, 32 << 20
#: Contents that failed which are remembered, lest a placeholder at a thousand items is tried as often.
FAILURES_KNOWN = 100_000


class Destination(Protocol):
    """Where pages go."""

    def holds(self, contents: Iterable[str]) -> frozenset[str]:
        """Which of these contents it has vectors of besides those in the store; they are not embedded again."""
        ...

    def record(self, pages: Sequence[tuple[Page, Embedded]], *, seconds: float) -> None:
        """Write what became of pages: all of it or nothing.

        Args:
            pages: what was read, and what became of its contents; those with neither vector nor failure were embedded, or failed,
                for an earlier page.
            seconds: spent since the record before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """One extraction under way: what reads, what embeds, what is filled.

    Args:
        path: the DuckDB file.
        reader: of its content.
        encoder: for its modality.
        feature_set: the set whose content the store is asked for.
        destination: takes what became of it.
        batch_size: most contents a batch.
        n_workers: decoding processes, where files are embedded.
        retry: whether content that failed before is tried again.
        pages: page numbers and how many rows each has to do.
        stages: told where time goes.
    """

    path: Path
    reader: Reader
    encoder: Encoder[Any, Any]
    feature_set: FeatureSet
    destination: Destination
    batch_size: int
    n_workers: int
    retry: bool
    pages: Sequence[tuple[int, int]]
    stages: Stages


@dataclass(frozen=True, slots=True)
class Embeddings:
    """How many contents were embedded, and whether Ctrl-C ended it before all were."""

    n: int
    interrupted: bool


def embed_pages(work: Work, progress: Progress) -> Embeddings:
    """Embed page after page.

    Args:
        work: what is to be done.
        progress: told of each item, and what each stage has behind it.
    """
    under_way, telling = _UnderWay(), Telling(progress)
    using = decoders.of(work.encoder, n_workers=work.n_workers)
    reading, writing = _Reading(work, using, under_way, telling), _Writing(work, under_way, telling)
    batcher = Batcher(work.encoder, batch_size=work.batch_size, stages=work.stages)
    n, interrupted = 0, False
    try:
        while (page := reading.next_page()) is not None:
            telling.taken(page)
            outcome = batcher.embed(reading.answers(), done=telling.encoded)
            writing.put(page, outcome)
            n += outcome.vectors.height
    except KeyboardInterrupt:
        interrupted = True
    finally:
        reading.stop()
        using.close()
        writing.close()
        telling.flush()
    writing.raise_error()
    return Embeddings(n, interrupted)


class _UnderWay:
    """Contents that no other page has to embed: those of pages that are not written yet, and those that failed in this run."""

    def __init__(self) -> None:
        self._unwritten: set[str] = set()
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def all(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._unwritten | self._failed)

    def add(self, contents: Iterable[str]) -> None:
        with self._lock:
            self._unwritten.update(contents)

    def settle(self, contents: Iterable[str], *, failed: Iterable[str]) -> None:
        """Contents of a page that is written now: the store knows their vectors, and their failures by item."""
        with self._lock:
            self._unwritten.difference_update(contents)
            if len(self._failed) < FAILURES_KNOWN:  # one that is forgotten is only tried again
                self._failed.update(failed)


#: What the reading thread tells the encoding one, in order: a page; the contents of a chunk and their answers; None at the end of a
#: page; and what became of reading itself, which is an error or nothing.
Event = Page | tuple[Sequence[str], Future[list[Answer]]] | None


class _Reading:
    """Reads pages and has their new contents decoded, ahead of who asks."""

    def __init__(self, work: Work, using: Decoders, under_way: _UnderWay, telling: Telling) -> None:
        self._work, self._using, self._under_way, self._telling = work, using, under_way, telling
        self._events: queue.SimpleQueue[Event | Future[None]] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._n_ahead = self._bytes_ahead = 0
        self._stopped = self._is_full = False
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._pool.submit(self._read).add_done_callback(self._events.put)

    def next_page(self) -> Page | None:
        """The next page; None after the last."""
        event = self._next()
        assert event is None or isinstance(event, Page)
        return event

    def answers(self) -> Iterator[tuple[str, Any]]:
        """What became of the new contents of the page that was taken last, by digest and in their order."""
        while (event := self._next()) is not None:
            assert isinstance(event, tuple)
            contents, future = event
            with self._work.stages.measure("waiting"):
                answers = future.result()
            with self._room:
                self._n_ahead -= len(contents)
                self._bytes_ahead -= sum(answer.n_bytes for answer in answers)
                self._room.notify()
            self._work.stages.add("decoding", sum(answer.seconds for answer in answers))
            yield from zip(contents, (answer.value for answer in answers), strict=True)

    def stop(self) -> None:
        """Read no more, and wait until that is so."""
        with self._room:
            self._stopped = True
            self._room.notify()
        self._pool.shutdown(wait=True)

    def _next(self) -> Event:
        with self._work.stages.measure("waiting"):
            event = self._events.get()
        return event.result() if isinstance(event, Future) else event

    def _read(self) -> None:
        numbers, n = [number for number, _ in self._work.pages], AT_ONCE[self._work.reader.modality]
        for start in range(0, len(numbers), n):
            earlier = self._under_way.all()  # asked for before reading: what is written in between is known by the store
            with self._work.stages.measure("reading"):
                pages = self._work.reader.read(numbers[start : start + n], self._work.feature_set, retry=self._work.retry)
            for page in pages:
                if self._stopped:
                    return
                held = self._work.destination.holds(page.contents)
                self._hand_out(replace(page, known=page.known | held | earlier.intersection(page.contents)))
                earlier |= page.contents.keys()

    def _hand_out(self, page: Page) -> None:
        new = [sha256 for sha256 in page.contents if sha256 not in page.known]
        self._under_way.add(new)
        self._telling.read(page)
        self._events.put(page)
        for start in range(0, len(new), self._using.chunk):
            chunk = new[start : start + self._using.chunk]
            with self._room:
                self._room.wait_for(self._has_room)
                if self._stopped:
                    return
                self._n_ahead += len(chunk)
            future = self._using.submit({sha256: page.contents[sha256] for sha256 in chunk})
            future.add_done_callback(partial(self._count, self._telling.assets_of(chunk)))
            self._events.put((chunk, future))
        self._events.put(None)

    def _has_room(self) -> bool:
        share = 2 if self._is_full else 1
        self._is_full = self._n_ahead * share >= MOST_AHEAD or self._bytes_ahead * share >= BYTES_AHEAD
        return self._stopped or not self._is_full

    def _count(self, n_assets: int, future: Future[list[Answer]]) -> None:
        if not future.cancelled() and future.exception() is None:
            with self._room:
                self._bytes_ahead += sum(answer.n_bytes for answer in future.result())
            self._telling.decoded(n_assets)


class _Writing:
    """Writes pages in their order, in a thread of its own; all that wait go into one transaction."""

    def __init__(self, work: Work, under_way: _UnderWay, telling: Telling) -> None:
        self._work, self._under_way, self._telling = work, under_way, telling
        self._waiting: list[tuple[Page, Embedded]] = []
        self._bytes_waiting = 0
        self._room = threading.Condition()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write")
        self._turn: Future[None] | None = None
        self._at_work = self._broken = False

    def put(self, page: Page, outcome: Embedded) -> None:
        """Have a page written, soon; what went wrong with one before is raised."""
        with self._work.stages.measure("waiting"), self._room:
            self._room.wait_for(self._has_room)
            if self._broken:
                self.raise_error()
            self._waiting.append((page, outcome))
            self._bytes_waiting += int(outcome.vectors.estimated_size())
            if not self._at_work:
                self._at_work = True
                self._turn = self._pool.submit(self._write)

    def close(self) -> None:
        """Wait until everything is written."""
        self._pool.shutdown(wait=True)

    def raise_error(self) -> None:
        """Raise what went wrong, if anything did; nothing is written after it."""
        if self._turn is not None:
            self._turn.result()

    def _has_room(self) -> bool:
        return self._broken or (len(self._waiting) < PAGES_UNWRITTEN and self._bytes_waiting < BYTES_UNWRITTEN)

    def _write(self) -> None:
        whole = False
        try:
            while pages := self._taken():
                self._record(pages)
            whole = True
        finally:
            with self._room:
                self._broken |= not whole
                self._room.notify()

    def _taken(self) -> list[tuple[Page, Embedded]]:
        """All that wait; where nothing does, the next page is given to another turn."""
        with self._room:
            pages, self._waiting, self._bytes_waiting = self._waiting, [], 0
            self._at_work = bool(pages)
            self._room.notify()
        return pages

    def _record(self, pages: Sequence[tuple[Page, Embedded]]) -> None:
        work = self._work
        with work.stages.measure("writing"):
            work.destination.record(pages, seconds=work.stages.lap())
        for page, outcome in pages:
            self._under_way.settle(page.contents, failed=outcome.failures["content_sha256"])
            self._telling.written(page)
