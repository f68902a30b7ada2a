"""Decoding processes: what has arrived goes to them in batches, so that threads that fetch wait for no decoder.

A process that dies or hangs takes one content with it, and is replaced.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

import milkprep
from milkprep.media.cache import Cache
from milkprep.media.transport import Timer
from schemas.contracts import AssetStatus, Modality

#: Contents that wait for a decoder, and that one is given at a time, at most.
WAITING, BATCH = 256, 32
#: Seconds a content may take to decode, and between looks whether the run was stopped.
PATIENCE_S, LOOK_S = 120.0, 0.5
#: Contents known to be broken that are not decoded again, e.g. one page of apology at a thousand addresses.
REMEMBERED = 10_000
HOME = Path(milkprep.__file__).parents[1]

#: Status and reason in words; None where a content can be decoded.
Refusal = tuple[AssetStatus, str] | None


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
        self._waiting: Queue[Arrived | None] = Queue(WAITING)
        self._broken: dict[str, tuple[AssetStatus, str]] = {}

    def put(self, arrived: Arrived | None) -> None:
        """Let a content wait; None, once for each thread that works, says that no more will come.

        Raises:
            Stopped: if the run was stopped.
        """
        while True:
            self._timer.left()
            try:
                return self._waiting.put(arrived, timeout=LOOK_S)
            except Full:
                continue

    def work(self) -> None:
        """Decode what arrives, by one process, until no more will come.

        Raises:
            Stopped: if the run was stopped.
            OSError: if the cache cannot be written to.
        """
        process: subprocess.Popen[bytes] | None = None
        try:
            for batch in self._batches():
                for content in [content for content in batch if content.sha256 in self._broken]:
                    self._done(content, self._broken[content.sha256])
                rest = [content for content in batch if content.sha256 not in self._broken]
                while rest:
                    process = process or self._started()
                    answers = list(self._answers(process, rest))
                    if len(answers) < len(rest):  # the one after the last answer ended the process, or keeps it
                        answers.append((AssetStatus.DECODE_ERROR, "decoding it ends the decoder, or takes too long"))
                        _end(process)
                        process = None
                    for content, answer in zip(rest, answers, strict=False):
                        self._settle(content, answer)
                    rest = rest[len(answers) :]
        finally:
            if process:
                _end(process)

    def _settle(self, content: Arrived, answer: Refusal) -> None:
        if answer is not None:
            if len(self._broken) >= REMEMBERED:
                self._broken.clear()
            self._broken[content.sha256] = answer
            if isinstance(content.content, Path):
                content.content.unlink(missing_ok=True)
        self._done(content, answer)

    def _batches(self) -> Iterator[list[Arrived]]:
        while True:
            batch: list[Arrived] = []
            try:
                while len(batch) < BATCH:
                    arrived = self._waiting.get_nowait() if batch else self._waiting.get(timeout=LOOK_S)
                    if arrived is None:
                        if batch:
                            yield batch
                        return
                    batch.append(arrived)
            except Empty:
                self._timer.left()
            if batch:
                yield batch

    def _answers(self, process: subprocess.Popen[bytes], batch: Sequence[Arrived]) -> Iterator[Refusal]:
        """Answers in the order of the batch; fewer where the process died or does not answer."""
        assert process.stdin
        assert process.stdout
        with suppress(BrokenPipeError):  # what it answered before is read all the same
            process.stdin.write(b"".join(_question(content) for content in batch))
            process.stdin.flush()
        for line in self._lines(process.stdout.fileno(), len(batch)):
            found = json.loads(line)
            if isinstance(found, dict):
                raise OSError(found["errno"], os.strerror(found["errno"]), found["file"])
            yield None if found is None else (AssetStatus(found[0]), str(found[1]))

    def _lines(self, descriptor: int, n: int) -> Iterator[bytes]:
        """So many lines, or fewer where they end or are too long in coming."""
        held, waited = b"", 0.0
        while n and waited < PATIENCE_S:
            if not select.select([descriptor], [], [], LOOK_S)[0]:
                self._timer.left()
                waited += LOOK_S
                continue
            waited, block = 0.0, os.read(descriptor, 1 << 16)
            if not block:
                return
            *lines, held = (held + block).split(b"\n")
            n -= len(lines)
            yield from lines

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(part for part in (str(HOME), os.environ.get("PYTHONPATH")) if part)
        return subprocess.Popen(  # noqa: S603 - this interpreter, a module of this package, and words of our own
            [sys.executable, "-m", "milkprep.media.inspector", self._modality.value, str(self._cache.incoming)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the process that knows what to do about it
        )


def _question(content: Arrived) -> bytes:
    body = content.content if isinstance(content.content, bytes) else b""
    named = None if isinstance(content.content, bytes) else str(content.content)
    return json.dumps({"content": named, "bytes": content.n_bytes, "place": str(content.place)}).encode() + b"\n" + body


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, whatever it does; it holds nothing that is not written."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe
        with suppress(BrokenPipeError):  # of what it did not read any more
            pipe.close()
