"""One extraction under way: what is to be done, where it goes, and which contents are taken care of already."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from milkprep.encoder import Encoder
from milkprep.engine.content import Page, Reader
from milkprep.engine.embedding import Embedded
from milkprep.engine.stages import Stages
from schemas.contracts import FeatureSet

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


class UnderWay:
    """Contents that no other page has to embed: those of pages that are not written yet, and those that failed in this run."""

    def __init__(self) -> None:
        self._unwritten: set[str] = set()
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def all(self) -> frozenset[str]:
        """Digests of these contents, as of now."""
        with self._lock:
            return frozenset(self._unwritten | self._failed)

    def add(self, contents: Iterable[str]) -> None:
        """Contents of a page that is handed out now, by digest."""
        with self._lock:
            self._unwritten.update(contents)

    def settle(self, contents: Iterable[str], *, failed: Iterable[str]) -> None:
        """Contents of a page that is written now: the store knows their vectors, and their failures by item."""
        with self._lock:
            self._unwritten.difference_update(contents)
            if len(self._failed) < FAILURES_KNOWN:  # one that is forgotten is only tried again
                self._failed.update(failed)
