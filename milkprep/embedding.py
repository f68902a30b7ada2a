"""The mapper of an extraction: contents to vectors, decoded one by one and encoded in batches of similar length.

Contents are decoded until the encoder's budget is full, sorted longest first, and encoded batch by batch. Which contents
share a batch follows from the contents alone, so a page embedded again gives the same vectors. Whatever fails is kept with
its reason; nothing stops the run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.decode import DecodeFailure, undecodable
from milkprep.encoder import Encoder
from milkprep.stages import Stages

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


def embed(
    contents: Mapping[str, str | Path], encoder: Encoder[Any, Any], *, batch_size: int, stages: Stages, done: Callable[[str], None]
) -> Embedded:
    """Embed contents.

    Args:
        contents: by digest.
        encoder: for their modality.
        batch_size: most contents a batch.
        stages: told the time that decoding and encoding take.
        done: called with each digest once it is embedded or has failed.
    """
    outcome = _Outcome(encoder.identity.width, done)
    waiting = _decoded(contents, encoder, stages=stages, outcome=outcome)
    for window in windows(waiting, budget=encoder.budget):
        for batch in batches(window, batch_size=batch_size, budget=encoder.budget):
            with stages.measure("encoding"):
                vectors = encoder.encode([content.value for content in batch])  # (B, width)
            outcome.take([content.sha256 for content in batch], vectors)
    return outcome.frames()


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


def _decoded(contents: Mapping[str, str | Path], encoder: Encoder[Any, Any], *, stages: Stages, outcome: _Outcome) -> Iterator[Waiting]:
    for sha256, content in contents.items():
        try:
            with stages.measure("decoding"):
                value = encoder.decode(content)
                size = encoder.size_of(value)
        except DecodeFailure as failure:
            outcome.fail(sha256, failure)
            continue
        yield Waiting(sha256, value, size)
