"""Ctrl-C while the store works.

Promises: whoever waits for a statement sees KeyboardInterrupt, whatever the database makes of the signal.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Run statements of DuckDB, which answers Ctrl-C with an error of its own: a RuntimeError.

    Raises:
        KeyboardInterrupt: in place of that error; others are raised as they are.
    """
    try:
        yield
    except RuntimeError as error:
        if "interrupted" not in str(error).lower():
            raise
        raise KeyboardInterrupt from error
