"""Decoding processes: what has arrived goes to them in batches, so that threads that fetch wait for no decoder.

A process that dies or hangs takes one content with it, and is replaced.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from milkprep.decode.limits import PATIENCE_S
from milkprep.decode.process import Lost, Process
from milkprep.media.cache import Cache
from milkprep.media.transport import Timer
from schemas.contracts import AssetStatus, Modality

#: Contents that wait for a decoder, and that one is given at a time, at most.
WAITING, BATCH = 256, 32
#: Seconds between looks for what has arrived.
NAP_S = 0.01
#: Contents known to be broken that are not decoded again, e.g. one page of apology at a thousand addresses.
REMEMBERED = 10_000

#: Status and reason in words; None where a content can be decoded.
Refusal = tuple[AssetStatus, str] | None
DEADLY: Refusal = (AssetStatus.DECODE_ERROR, "decoding it ends the decoder, or takes too long")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole answer.

    Args:
        address: where from.
        content: its bytes, or the file that holds them.
        sha256: of the content.
        n_bytes: of the content.
        place: where it belongs.
    """

    address: str
    content: bytes | Path
    sha256: str
    n_bytes: int
    place: Path


class Inspectors:
    """What has arrived, waiting to be decoded and kept.

    Args:
        modality: what it is decoded as.
        cache: where it is kept.
        timer: ends all waits when the run is stopped.
        done: told what became of each content, from the threads that `work`.
    """

    def __init__(self, modality: Modality, *, cache: Cache, timer: Timer, done: Callable[[Arrived, Refusal], None]) -> None:
        self._modality, self._cache, self._timer, self._done = modality, cache, timer, done
        self._waiting: deque[Arrived] = deque()
        self._closed = False
        self._broken: dict[str, tuple[AssetStatus, str]] = {}

    def put(self, arrived: Arrived) -> None:
        """Let a content wait.

        Raises:
            Stopped: if the run was stopped.
        """
        while len(self._waiting) >= WAITING:
            self._timer.sleep(NAP_S)
        self._waiting.append(arrived)

    def close(self) -> None:
        """No more will come."""
        self._closed = True

    def work(self) -> None:
        """Decode what arrives, by one process, until no more will come.

        Raises:
            Stopped: if the run was stopped.
            OSError: if the cache cannot be written to.
        """
        process = Process("milkprep.media.inspector", self._modality.value, str(self._cache.incoming), look=self._timer.left)
        try:
            for batch in self._batches():
                new = [content for content in batch if content.sha256 not in self._broken]
                for content in batch:
                    if (known := self._broken.get(content.sha256)) is not None:
                        self._settle(content, known)
                for content, answer in zip(new, _decoded(process, new), strict=True):
                    self._settle(content, answer)
        finally:
            process.end()

    def _settle(self, content: Arrived, answer: Refusal) -> None:
        if answer is not None:
            if len(self._broken) >= REMEMBERED:
                self._broken.clear()
            self._broken[content.sha256] = answer
        if isinstance(content.content, Path):
            content.content.unlink(missing_ok=True)  # refused, or another address had the same
        self._done(content, answer)

    def _batches(self) -> Iterator[list[Arrived]]:
        """What waits, some at a time: to be woken for each content would cost more than to fetch it."""
        while True:
            closed = self._closed  # asked for before looking, lest what comes in between is left behind
            if len(self._waiting) < BATCH and not closed:
                self._timer.sleep(NAP_S)
            batch: list[Arrived] = []
            with suppress(IndexError):
                while len(batch) < BATCH:
                    batch.append(self._waiting.popleft())
            if batch:
                yield batch
            elif closed:
                return


def _decoded(process: Process, batch: Sequence[Arrived]) -> list[Refusal]:
    """What became of contents; one that ends its process, or keeps it, is found by asking for each alone."""
    if not batch:
        return []
    if (answers := _asked(process, batch)) is not None:
        return answers
    return [DEADLY] if len(batch) == 1 else [answer for content in batch for answer in _asked(process, [content]) or [DEADLY]]


def _asked(process: Process, batch: Sequence[Arrived]) -> list[Refusal] | None:
    """Answers in the order of the batch; None where the process died or did not answer.

    Raises:
        Stopped: if the run was stopped.
        OSError: if the cache cannot be written to.
    """
    deadline = time.monotonic() + PATIENCE_S
    try:
        process.send([b"%d\n" % len(batch), *(_question(content) for content in batch)], within_s=PATIENCE_S)
        line = process.last_line(within_s=deadline - time.monotonic())
    except Lost:
        return None
    answers: list[Refusal] = []
    for found in json.loads(line):
        if isinstance(found, dict):
            raise OSError(found["errno"], os.strerror(found["errno"]), found["file"])
        answers.append(None if found is None else (AssetStatus(found[0]), str(found[1])))
    return answers


def _question(content: Arrived) -> bytes:
    body = content.content if isinstance(content.content, bytes) else b""
    named = None if isinstance(content.content, bytes) else str(content.content)
    return json.dumps({"content": named, "bytes": content.n_bytes, "place": str(content.place)}).encode() + b"\n" + body
