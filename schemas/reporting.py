"""How libraries say how far they are, without knowing who listens.

The command line implements these with rich on a terminal and with `lines` elsewhere; everything else may pass `Silent()`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from schemas import wording

if TYPE_CHECKING:  # polars takes a third of a second to import, and --help needs none of it
    import polars as pl


class Progress(Protocol):
    """One task under way."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        ...

    def note(self, text: str) -> None:
        """Show a short remark beside the bar, replacing the one before."""
        ...


class Reporter(Protocol):
    """Where long work reports."""

    def progress(self, label: str, *, total: int | None, unit: str) -> AbstractContextManager[Progress]:
        """Open a task of `total` units (None where it is not known)."""
        ...


class Console(Reporter, Protocol):
    """What the command line offers its commands: talk goes to stderr, data to stdout."""

    def say(self, text: str) -> None:
        """One line of talk."""
        ...

    def table(self, frame: "pl.DataFrame", *, title: str) -> None:
        """A frame as a table for people."""
        ...

    def emit(self, value: object) -> None:
        """A JSON object for programs, the only thing on stdout."""
        ...


class _SilentProgress:
    def advance(self, n: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """A reporter that keeps quiet, for tests and scripts."""

    @contextmanager
    def progress(self, label: str, *, total: int | None, unit: str) -> Iterator[Progress]:
        """A task that shows nothing."""
        yield _SilentProgress()


#: Seconds between two lines about work under way, where no bar can be shown.
LINE_EVERY_S = 30.0


class Lines:
    """One task under way, told in lines."""

    def __init__(self, label: str, *, total: int | None, unit: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Start at zero.

        Args:
            label: what is done.
            total: units; None where it is not known.
            unit: what is counted; empty where nothing is.
            say: takes a line.
            clock: seconds; for tests.
        """
        self._label, self._total, self._unit, self._say, self._clock = label, total, wording.unit(total, unit), say, clock
        self._done, self._note = 0, ""
        self._started = self._told_at = clock()
        self._told = 0

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self._done += n

    def note(self, text: str) -> None:
        """Add a short remark to the next line."""
        self._note = text

    def tell(self) -> None:
        """Say how far it is. Rate and time left follow from what was done since the line before."""
        now, done = self._clock(), self._done
        rate = (done - self._told) / max(now - self._told_at, 1e-9)
        words = [f"{done:,} of {self._total:,} {self._unit}" if self._total else f"{done:,} {self._unit}", per_second(rate)] if self._unit else []
        words.append(f"{_duration(now - self._started)} so far")
        if self._total and rate:
            words.append(f"{_duration((self._total - done) / rate)} left")
        self._say(f"{self._label}: {', '.join(words)}" + (f" ({self._note})" if self._note else ""))
        self._told_at, self._told = now, done


@contextmanager
def lines(label: str, *, total: int | None, unit: str, say: Callable[[str], None]) -> Iterator[Progress]:
    """A task that says how far it is every half minute, however often it hears of progress; nothing, where it is done before.

    Args:
        label: what is done.
        total: units; None where it is not known.
        unit: what is counted; empty where nothing is.
        say: takes a line.
    """
    told, is_over = Lines(label, total=total, unit=unit, say=say), threading.Event()

    def watch() -> None:
        while not is_over.wait(LINE_EVERY_S):
            told.tell()

    watching = threading.Thread(target=watch, name="progress", daemon=True)
    watching.start()
    try:
        yield told
    finally:
        is_over.set()
        watching.join()


def per_second(rate: float) -> str:
    """Units a second, in as many digits as mean something.

    Example:
        >>> per_second(0.25), per_second(12.34), per_second(45678.9)
        ('0.25/s', '12.3/s', '45,679/s')
    """
    digits = 2 if rate < 10 else 1 if rate < 100 else 0
    return f"{rate:,.{digits}f}/s"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
