"""The first stages of an extraction: pages are read and their new contents decoded, ahead of who asks.

What waits is bounded in number and bytes. Contents that two pages share are decoded for the first.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from milkprep.engine.content import AT_ONCE, Page
from milkprep.engine.decoders import Answer, Decoders
from milkprep.engine.telling import Telling
from milkprep.engine.work import UnderWay, Work

#: Contents that may be decoded ahead of the encoder, and their bytes; one chunk for each worker may come on top. Then half of it is used up
#: before more is decoded, by all workers at a time: one that works alone takes turns with one thread of the encoder, which all others wait for.
MOST_AHEAD, BYTES_AHEAD = 1024, 128 << 20
#: What the reading thread tells the encoding one, in order: a page; the contents of a chunk and their answers; None at the end of a
#: page; and what became of reading itself, which is an error or nothing.
Event = Page | tuple[Sequence[str], Future[list[Answer]]] | None


class Reading:
    """Reads pages and has their new contents decoded, ahead of who asks."""

    def __init__(self, work: Work, using: Decoders, under_way: UnderWay, telling: Telling) -> None:
        self._work, self._using, self._under_way, self._telling = work, using, under_way, telling
        self._events: queue.SimpleQueue[Event | Future[None]] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._n_ahead = self._bytes_ahead = 0
        self._stopped = self._is_full = False
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")

    def start(self) -> None:
        """Begin; whoever calls it stops it, whatever happens, for a reader that waits for room keeps its process from ending."""
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
