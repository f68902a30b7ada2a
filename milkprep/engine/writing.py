"""The last stage of an extraction: pages are written in the order they were read, several in one transaction where that is the slower."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from milkprep.engine.content import Page
from milkprep.engine.embedding import Embedded
from milkprep.engine.telling import Telling
from milkprep.engine.work import UnderWay, Work

#: Pages that may wait to be written, all in one transaction, and the bytes of their vectors, where there are several.
PAGES_UNWRITTEN, BYTES_UNWRITTEN = 8, 32 << 20


class Writing:
    """Writes pages in their order, in a thread of its own; all that wait go into one transaction."""

    def __init__(self, work: Work, under_way: UnderWay, telling: Telling) -> None:
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
