"""Ctrl-C while the store works.

Promises: whoever waits for a statement sees KeyboardInterrupt, soon, whatever the database makes of the signal.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(interrupt: Callable[[], None], *, errors: type[Exception]) -> Iterator[None]:
    """Run one statement of DuckDB, which answers Ctrl-C with an error of its own, a RuntimeError, and not at once.

    It stops asking for results then, and waits for its other threads, which nobody told: for a statement of an hour, an hour.

    Args:
        interrupt: tells all that work on the statement to stop.
        errors: what one that was stopped may raise besides.

    Raises:
        KeyboardInterrupt: in place of those errors; others are raised as they are.
    """
    pressed: list[int] = []
    try:
        with _told(interrupt, pressed):
            yield
    except (RuntimeError, errors) as error:
        if not pressed and not (isinstance(error, RuntimeError) and "interrupted" in str(error).lower()):
            raise
        raise KeyboardInterrupt from error


@contextmanager
def _told(interrupt: Callable[[], None], pressed: list[int]) -> Iterator[None]:
    """Have `interrupt` called, and the number of the signal noted, before whoever handles Ctrl-C now is."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):  # only there signals arrive; or Ctrl-C is ignored
        yield
        return

    def tell(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        interrupt()
        before(number, frame)

    signal.signal(signal.SIGINT, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
