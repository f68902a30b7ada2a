"""A decoding process from the outside: bytes go in, bytes come out, and neither is waited for longer than asked.

A damaged file can end or keep the process that decodes it; then `Lost` is raised, and the next question starts another one. The
inside, in `limits.py`, bounds memory and time, also when nobody is left to end it.
"""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import milkprep

#: Where this package is imported from.
HOME = Path(milkprep.__file__).parents[1]
#: Seconds between looks whether an answer is still wanted, and bytes that are read at a time.
LOOK_S, BLOCK = 0.5, 1 << 20
#: Each process uses one core: there are as many of them as there are cores.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


class Lost(Exception):
    """A process that ended or did not do its part in time; it is gone."""


class Process:
    """A module run by this interpreter in a process of its own, for one thread to talk to; started when first needed, and anew when lost.

    `kill` alone may come from another thread.
    """

    def __init__(self, module: str, *arguments: str, look: Callable[[], object] | None = None) -> None:
        """Prepare to start.

        Args:
            module: what `python -m` is to run.
            arguments: for it.
            look: asked every `LOOK_S` seconds while an answer is waited for; what it raises ends the wait, not the process.
        """
        self._command = [sys.executable, "-m", module, *arguments]
        self._look = look
        self._running: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._turn = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not been lost or ended since."""
        return self._running is not None

    def send(self, blocks: Sequence[bytes], *, within_s: float) -> None:
        """Give it bytes to read; starts it where it does not run.

        Args:
            blocks: sent one after the other.
            within_s: seconds all of it may take, for a process that hangs does not read.

        Raises:
            Lost: if it does not take them.
        """
        pipe, deadline = self._started().stdin, time.monotonic() + within_s
        assert pipe
        for block in blocks:
            left = memoryview(block)
            while left:
                self._wait([], [pipe.fileno()], deadline)
                try:
                    left = left[os.write(pipe.fileno(), left[:BLOCK]) :]
                except BlockingIOError:  # ready for less than was offered
                    continue
                except BrokenPipeError:
                    self._lose()

    def line(self, *, within_s: float) -> bytes:
        """The line it says next, with its end; what follows stays in the pipe, so lines are to be short.

        Raises:
            Lost: if it ends before, or takes longer.
        """
        deadline, said = time.monotonic() + within_s, bytearray()
        while not said.endswith(b"\n"):
            said += self._some(1, deadline)
        return bytes(said)

    def last_line(self, *, within_s: float) -> bytes:
        """The line it says next, where it says nothing more before it is asked: of any length.

        Raises:
            Lost: if it ends before, or takes longer.
        """
        deadline, said = time.monotonic() + within_s, bytearray()
        while not said.endswith(b"\n"):
            said += self._some(BLOCK, deadline)
        return bytes(said)

    def fill(self, space: memoryview, *, within_s: float) -> None:
        """Fill memory with what it says next.

        Args:
            space: bytes.
            within_s: seconds it may take.

        Raises:
            Lost: if it ends before, or takes longer.
        """
        deadline = time.monotonic() + within_s
        while space:
            block = self._some(min(len(space), BLOCK), deadline)
            space[: len(block)] = block
            space = space[len(block) :]

    def kill(self) -> None:
        """End it, whatever it does, and let it never start again; who waits for it is told that it is lost."""
        with self._turn:
            self._killed = True
            if self._running is not None:
                self._running.kill()

    def end(self) -> None:
        """End it, whatever it does; what was not read of it is lost."""
        with self._turn:
            process, self._running = self._running, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            with suppress(BrokenPipeError):  # of what it did not read any more
                pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._turn:
            if self._killed:
                raise Lost
            if self._running is None:
                self._running = self._start()
            return self._running

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(part for part in (str(HOME), os.environ.get("PYTHONPATH")) if part)
        process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of this package, and words of our own
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path, **ONE_THREAD},
            start_new_session=True,  # Ctrl-C is for the process that knows what to do about it
        )
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _some(self, n: int, deadline: float) -> bytes:
        process = self._running
        if process is None:
            raise Lost
        assert process.stdout
        self._wait([process.stdout.fileno()], [], deadline)
        block = os.read(process.stdout.fileno(), n)
        if not block:
            self._lose()
        return block

    def _wait(self, readable: list[int], writable: list[int], deadline: float) -> None:
        while (left := deadline - time.monotonic()) > 0:
            if any(select.select(readable, writable, [], min(left, LOOK_S))):
                return
            if self._look is not None:
                self._look()
        self._lose()

    def _lose(self) -> None:
        self.end()
        raise Lost
