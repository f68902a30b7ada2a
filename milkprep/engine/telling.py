"""How far an extraction is, for who watches: rows done on the bar, and beside it what each stage has behind it.

All counts are of assets, so that they can be compared: a content that ten items share counts ten times in every stage. Those that need
no computing are counted with the page they are on. Stages count from their own threads; who watches hears of it a few times a second.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from milkprep.engine.content import Page
from schemas.reporting import Progress

#: Seconds between two updates at least.
EVERY_S = 1 / 8
STAGES = ("read", "decoded", "encoded", "written")


class Telling:
    """Counts assets by stage and passes it on, not too often."""

    def __init__(self, progress: Progress, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at zero.

        Args:
            progress: told of what is encoded or has failed as done, and of every stage in a note.
            clock: seconds; for tests.
        """
        self._progress, self._clock = progress, clock
        self._counts = dict.fromkeys(STAGES, 0)
        self._sharers: Counter[str] = Counter()  # assets by content, from reading to encoding
        self._lock = threading.Lock()
        self._told, self._told_at = 0, clock() - EVERY_S

    def read(self, page: Page) -> None:
        """A page is read and on its way to the decoders."""
        with self._lock:
            self._sharers.update(sha256 for sha256 in page.rows["content_sha256"] if sha256 not in page.known)
        self._count("read", page.rows.height + page.refused.height)

    def assets_of(self, contents: Iterable[str]) -> int:
        """How many assets have one of these contents of a page that was read."""
        with self._lock:
            return sum(self._sharers[sha256] for sha256 in contents)

    def decoded(self, n_assets: int) -> None:
        """Contents of so many assets are decoded, or failed to be."""
        self._count("decoded", n_assets)

    def taken(self, page: Page) -> None:
        """A page's turn to be encoded has come: what has a vector, or cannot even be read, needs no more."""
        n = page.refused.height + sum(sha256 in page.known for sha256 in page.rows["content_sha256"])
        self._count("decoded", n)
        self._count("encoded", n)

    def encoded(self, content: str) -> None:
        """A content is encoded, or failed."""
        with self._lock:
            n = self._sharers.pop(content, 0)
        self._count("encoded", n)

    def written(self, page: Page) -> None:
        """What became of a page is in its place."""
        self._count("written", page.rows.height + page.refused.height)

    def flush(self) -> None:
        """Tell everything that has not been told."""
        with self._lock:
            self._tell()

    def _count(self, stage: str, n: int) -> None:
        with self._lock:
            self._counts[stage] += n
            if self._clock() - self._told_at >= EVERY_S:
                self._tell()

    def _tell(self) -> None:
        self._told_at = self._clock()
        self._progress.advance(self._counts["encoded"] - self._told)
        self._told = self._counts["encoded"]
        self._progress.note(", ".join(f"{stage} {n:,}" for stage, n in self._counts.items()))
