"""Contents to what an encoder takes: files in processes of their own, texts in a thread.

Answers come as futures, in the order of the questions. A process that ends or hangs on a file takes that file with it, which
fails with a reason, and is replaced; nothing is unpickled: arrays come as bytes with their type and shape.
"""

import json
import queue
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from milkprep.decode import DecodeFailure, undecodable
from milkprep.decode.limits import PATIENCE_S
from milkprep.decode.process import Lost, Process
from milkprep.encoder import Encoder
from schemas.contracts import AssetStatus
from schemas.errors import DataError

#: Why a file failed that its process did not survive.
DEADLY = "decoding it ends the decoder, or takes too long"


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

    def submit(self, contents: Mapping[str, str | Path]) -> Future[list[Answer]]:
        """Decode contents, by digest; the answers are in their order."""
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

    def submit(self, contents: Mapping[str, str | Path]) -> Future[list[Answer]]:
        """Decode contents, by digest; the answers are in their order."""
        return self._pool.submit(lambda: [self._decoded(content) for content in contents.values()])

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
        self._closed = False
        known = json.dumps({"encoder": encoder.identity.encoder, "preparation": encoder.preparation}).encode() + b"\n"
        self._all = [_Process(known) for _ in range(n_workers)]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._all:
            self._idle.put(process)
        self._pool = ThreadPoolExecutor(max_workers=n_workers, thread_name_prefix="decode")

    def submit(self, contents: Mapping[str, str | Path]) -> Future[list[Answer]]:
        """Decode files, by digest; the answers are in their order."""
        return self._pool.submit(self._decoded, [(str(content), sha256) for sha256, content in contents.items()])

    def close(self) -> None:
        """End the processes, whatever they do; they hold nothing that is not known."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._closed = True
        for process in self._all:
            process.kill()
        self._pool.shutdown(wait=True)
        for process in self._all:
            process.end()

    def _decoded(self, files: list[tuple[str, str]]) -> list[Answer]:
        """Answers for some files; the one that ends its process is the first that has no answer."""
        process = self._idle.get()
        try:
            answers: list[Answer] = []
            while len(answers) < len(files) and not self._closed:
                answers += process.ask(files[len(answers) :])
                if len(answers) < len(files):
                    answers.append(Answer(undecodable(DEADLY), 0.0))
            return answers
        finally:
            self._idle.put(process)


class _Process:
    """A process that decodes for one encoder, started anew after a file that ended it."""

    def __init__(self, known: bytes) -> None:
        self._known = known
        self._process = Process("milkprep.engine.decoder")
        self.kill, self.end = self._process.kill, self._process.end

    def ask(self, files: list[tuple[str, str]]) -> list[Answer]:
        """Answers in the order of the files, each a path and a digest; fewer than there are files where the process did not survive the next.

        Raises:
            DataError: if it does not start.
        """
        if not self._process.is_running:
            self._start()
        answers: list[Answer] = []
        with suppress(Lost):
            self._process.send([json.dumps(files).encode() + b"\n"], within_s=PATIENCE_S)
            answers.extend(self._answer() for _ in files)
        return answers

    def _answer(self) -> Answer:
        said = json.loads(self._process.line(within_s=PATIENCE_S))
        if "status" in said:
            return Answer(DecodeFailure(AssetStatus(said["status"]), said["reason"]), said["seconds"])
        array = np.empty(said["shape"], dtype=np.dtype(said["type"]))
        if array.size:
            self._process.fill(memoryview(array.data).cast("B"), within_s=PATIENCE_S)
        return Answer(array, said["seconds"])

    def _start(self) -> None:
        try:
            self._process.send([self._known], within_s=PATIENCE_S)
            self._process.line(within_s=PATIENCE_S)
        except Lost as error:
            raise DataError(
                "A decoding process does not start. `python -m milkprep.engine.decoder` shows why when this line is given to it: "
                f"{self._known.decode().strip()}"
            ) from error


def of(encoder: Encoder[Any, Any], *, n_workers: int) -> Decoders:
    """The decoders of an encoder.

    Args:
        encoder: of texts or files.
        n_workers: processes, where it embeds files.
    """
    return ThreadDecoder(encoder) if encoder.preparation is None else ProcessDecoders(encoder, n_workers=n_workers)
