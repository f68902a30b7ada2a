"""The mapper of an extraction: decoded contents to vectors, in batches of similar length.

Contents are taken until the encoder's budget is full, sorted longest first, and encoded batch by batch. Which contents
share a batch follows from the contents alone, so a page embedded again gives the same vectors. Whatever fails is kept with
its reason; nothing stops the run.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.decode import DecodeFailure, undecodable
from milkprep.encoder import Encoder, OutOfMemory
from milkprep.engine.stages import Stages

logger = logging.getLogger(__name__)

FAILURES = {"content_sha256": pl.String, "status": pl.String, "reason": pl.String}


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of some contents; every one is in exactly one of the two.

    Args:
        vectors: `content_sha256`, `vector` Array(Float32, width); finite and not all zeros.
        failures: `content_sha256`, `status`, `reason`.
    """

    vectors: pl.DataFrame
    failures: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Waiting:
    """One decoded content on its way to the encoder; `size` is what its batch is padded to."""

    sha256: str
    value: Any
    size: int


class Batcher:
    """Drives an encoder: windows of decoded contents, batches of similar length, halves of what the device does not hold.

    Args:
        encoder: for the contents.
        batch_size: most contents a batch.
        stages: told the time that encoding takes.
    """

    def __init__(self, encoder: Encoder[Any, Any], *, batch_size: int, stages: Stages) -> None:
        self.batch_size = batch_size
        self._encoder, self._stages = encoder, stages

    def embed(self, decoded: Iterable[tuple[str, Any]], *, done: Callable[[str], None]) -> Embedded:
        """Embed the contents of a page.

        Args:
            decoded: by digest, in the order of the page: what the encoder's `decode` gave, or the failure.
            done: called with each digest once it is embedded or has failed.
        """
        outcome = _Outcome(self._encoder.identity.width, done)
        for window in windows(self._waiting(decoded, outcome), budget=self._encoder.budget):
            for batch in batches(window, batch_size=self.batch_size, budget=self._encoder.budget):
                self._encode(batch, outcome)
        return outcome.frames()

    def _waiting(self, decoded: Iterable[tuple[str, Any]], outcome: "_Outcome") -> Iterator[Waiting]:
        for sha256, value in decoded:
            if isinstance(value, DecodeFailure):
                outcome.fail(sha256, value)
            else:
                yield Waiting(sha256, value, self._encoder.size_of(value))

    def _encode(self, batch: Sequence[Waiting], outcome: "_Outcome") -> None:
        """Encode a batch; where memory is full, in halves, and no later batch is larger than what fitted."""
        try:
            with self._stages.measure("encoding"):
                vectors = self._encoder.encode([content.value for content in batch])  # (B, width)
        except OutOfMemory:
            if len(batch) == 1:
                outcome.fail(batch[0].sha256, undecodable("the device has no memory to embed it"))
                return
            half = (len(batch) + 1) // 2
            logger.warning("the device has no memory for %d contents at a time; %d from now on", len(batch), half)
            self.batch_size = min(self.batch_size, half)
            self._encode(batch[:half], outcome)
            self._encode(batch[half:], outcome)
            return
        outcome.take([content.sha256 for content in batch], vectors)


def windows(waiting: Iterable[Waiting], *, budget: int) -> Iterator[list[Waiting]]:
    """Consecutive contents, as many as fit the budget together; one that is larger alone has a window of its own.

    Example:
        >>> [[w.size for w in window] for window in windows([Waiting("a", 0, 3), Waiting("b", 0, 2), Waiting("c", 0, 9)], budget=5)]
        [[3, 2], [9]]
    """
    held: list[Waiting] = []
    total = 0
    for content in waiting:
        if held and total + content.size > budget:
            yield held
            held, total = [], 0
        held.append(content)
        total += content.size
    if held:
        yield held


def batches(window: Sequence[Waiting], *, batch_size: int, budget: int) -> Iterator[list[Waiting]]:
    """A window sorted longest first and cut, so that a batch, padded to its longest, fits the budget.

    Example:
        >>> window = [Waiting("a", 0, 2), Waiting("b", 0, 5), Waiting("c", 0, 4), Waiting("d", 0, 1)]
        >>> [[w.size for w in batch] for batch in batches(window, batch_size=3, budget=10)]
        [[5, 4], [2, 1]]
    """
    ordered = sorted(window, key=lambda content: (-content.size, content.sha256))
    while ordered:
        n = max(1, min(batch_size, budget // max(1, ordered[0].size)))
        yield ordered[:n]
        ordered = ordered[n:]


class _Outcome:
    """Gathers vectors and failures."""

    def __init__(self, width: int, done: Callable[[str], None]) -> None:
        self._width = width
        self._done = done
        self._embedded: list[str] = []
        self._blocks: list[NDArray[np.float32]] = []
        self._failures: list[tuple[str, str, str]] = []

    def fail(self, sha256: str, failure: DecodeFailure) -> None:
        self._failures.append((sha256, failure.status.value, failure.reason))
        self._done(sha256)

    def take(self, batch: Sequence[str], vectors: NDArray[np.float32]) -> None:
        assert vectors.shape == (len(batch), self._width), f"{vectors.shape} vectors for {len(batch)} contents"
        finite = np.asarray(np.isfinite(vectors).all(axis=1))
        usable = np.asarray(finite & vectors.any(axis=1))
        self._blocks.append(vectors[usable])
        for sha256, is_finite, is_usable in zip(batch, finite.tolist(), usable.tolist(), strict=True):
            if is_usable:
                self._embedded.append(sha256)
                self._done(sha256)
            else:
                self.fail(sha256, undecodable(f"the encoder's vector is {'all zeros' if is_finite else 'not finite'}"))

    def frames(self) -> Embedded:
        matrix = np.concatenate([np.empty((0, self._width), dtype=np.float32), *self._blocks])
        vectors = {"content_sha256": self._embedded, "vector": pl.Series(matrix, dtype=pl.Array(pl.Float32, self._width))}
        return Embedded(
            pl.DataFrame(vectors, schema_overrides={"content_sha256": pl.String}), pl.DataFrame(self._failures, schema=FAILURES, orient="row")
        )
