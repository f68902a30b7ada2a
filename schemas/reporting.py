"""How libraries say how far they are, without knowing who listens.

The command line implements these with rich; everything else may pass `Silent()`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

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
