"""Contents to what an encoder takes: files in processes of their own, texts in a thread.

Answers come as futures, in the order of the questions. A process that ends or hangs on a file takes that file with it, which
fails with a reason, and is replaced; nothing is unpickled: arrays come as bytes with their type and shape.
"""

import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import milkprep
from milkprep.decode import DecodeFailure, undecodable
from milkprep.encoder import Encoder
from schemas.contracts import AssetStatus
from schemas.errors import DataError

#: Seconds one file may take; a long video on a slow machine takes a tenth of it.
PATIENCE_S = 120.0
#: Why a file failed that its process did not survive.
DEADLY = "decoding it ends the decoder, or takes too long"
HOME = Path(milkprep.__file__).parents[1]
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one content.

    Args:
        value: decoded, or the failure.
        seconds: spent on it.
    """

    value: Any
    seconds: float

    @property
    def n_bytes(self) -> int:
        """Memory that waiting for the encoder takes, as far as it is known."""
        return self.value.nbytes if isinstance(self.value, np.ndarray) else 0


class Decoders(Protocol):
    """Decodes contents somewhere else than in the thread that encodes."""

    #: How many contents are decoded at a time, and how many are asked for at once.
    n_workers: int
    chunk: int

    def submit(self, contents: Sequence[str | Path]) -> Future[list[Answer]]:
        """Decode contents; the answers are in their order."""
        ...

    def close(self) -> None:
        """Let go of threads and processes, whatever they do."""
        ...


class ThreadDecoder:
    """Decodes texts in one thread: tokenizers let go of the interpreter, and cannot end a process."""

    n_workers, chunk = 1, 32

    def __init__(self, encoder: Encoder[Any, Any]) -> None:
        self._encoder = encoder
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    def submit(self, contents: Sequence[str | Path]) -> Future[list[Answer]]:
        """Decode contents; the answers are in their order."""
        return self._pool.submit(lambda: [self._decoded(content) for content in contents])

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decoded(self, content: str | Path) -> Answer:
        started = time.perf_counter()
        try:
            value = self._encoder.decode(content)
        except DecodeFailure as failure:
            value = failure
        return Answer(value, time.perf_counter() - started)


class ProcessDecoders:
    """Decodes files in processes that know an encoder's preparation only."""

    chunk = 4

    def __init__(self, encoder: Encoder[Any, Any], *, n_workers: int) -> None:
        """Prepare to decode; processes start with the first file.

        Args:
            encoder: of files.
            n_workers: processes.
        """
        self.n_workers = n_workers
        known = json.dumps({"encoder": encoder.identity.encoder, "preparation": encoder.preparation}).encode() + b"\n"
        self._all = [_Process(known) for _ in range(n_workers)]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._all:
            self._idle.put(process)
        self._pool = ThreadPoolExecutor(max_workers=n_workers, thread_name_prefix="decode")

    def submit(self, contents: Sequence[str | Path]) -> Future[list[Answer]]:
        """Decode files; the answers are in their order."""
        return self._pool.submit(self._decoded, [str(content) for content in contents])

    def close(self) -> None:
        """End the processes, whatever they do; they hold nothing that is not known."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.end()
        self._pool.shutdown(wait=True)

    def _decoded(self, paths: list[str]) -> list[Answer]:
        """Answers for some files; the one that ends its process is the first that has no answer."""
        process = self._idle.get()
        try:
            answers: list[Answer] = []
            while len(answers) < len(paths):
                answers += process.ask(paths[len(answers) :])
                if len(answers) < len(paths):
                    answers.append(Answer(undecodable(DEADLY), 0.0))
            return answers
        finally:
            self._idle.put(process)


class _Process:
    """A decoding process that is started when it is needed, and anew after one that ended."""

    def __init__(self, known: bytes) -> None:
        self._known = known
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, paths: list[str]) -> list[Answer]:
        """Answers in the order of the paths; fewer than there are paths where the process did not survive the next one."""
        process = self._running = self._running or self._started()
        assert process.stdin
        answers: list[Answer] = []
        try:
            process.stdin.write(json.dumps(paths).encode() + b"\n")
            process.stdin.flush()
            answers.extend(self._answer(process) for _ in paths)
        except (_Lost, BrokenPipeError, ValueError):  # ValueError: closed by `end`, from another thread
            self.end()
        return answers

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._running is None:
            return
        process, self._running = self._running, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            with suppress(BrokenPipeError):  # of what it did not read any more
                pipe.close()

    def _answer(self, process: subprocess.Popen[bytes]) -> Answer:
        assert process.stdout
        descriptor, deadline = process.stdout.fileno(), time.monotonic() + PATIENCE_S
        header = bytearray()
        while not header.endswith(b"\n"):  # a header is short, and what follows it must stay in the pipe
            header += _some(descriptor, 1, deadline)
        said = json.loads(header)
        if "status" in said:
            return Answer(DecodeFailure(AssetStatus(said["status"]), said["reason"]), said["seconds"])
        array = np.empty(said["shape"], dtype=np.dtype(said["type"]))
        left = memoryview(array.data).cast("B") if array.size else memoryview(b"")
        while left:
            block = _some(descriptor, min(len(left), BLOCK), deadline)
            left[: len(block)] = block
            left = left[len(block) :]
        return Answer(array, said["seconds"])

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(part for part in (str(HOME), os.environ.get("PYTHONPATH")) if part)
        process = subprocess.Popen(
            [sys.executable, "-m", "milkprep.engine.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            start_new_session=True,  # Ctrl-C is for the process that knows what to do about it
        )
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(self._known)
            process.stdin.flush()
            _some(process.stdout.fileno(), 1, time.monotonic() + PATIENCE_S)
        except (_Lost, BrokenPipeError) as error:
            process.kill()
            process.communicate()
            raise DataError(
                "A decoding process does not start. `python -m milkprep.engine.decoder` shows why when this line is given to it: "
                f"{self._known.decode().strip()}"
            ) from error
        return process


class _Lost(Exception):
    """A process that ended or did not answer in time."""


def _some(descriptor: int, n: int, deadline: float) -> bytes:
    if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raise _Lost
    block = os.read(descriptor, n)
    if not block:
        raise _Lost
    return block


def of(encoder: Encoder[Any, Any], *, n_workers: int) -> Decoders:
    """The decoders of an encoder.

    Args:
        encoder: of texts or files.
        n_workers: processes, where it embeds files.
    """
    return ThreadDecoder(encoder) if encoder.preparation is None else ProcessDecoders(encoder, n_workers=n_workers)
