"""Runs in processes of their own, which say what they are about to do, so that they can be killed right there, or whenever one likes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Seconds that a run may take which is left to end, on a machine that is busy with other things.
PATIENCE_S = 300
Child = subprocess.Popen[str]
#: Behind a script that defines `run`: does it for each line that comes, in a fork, which need not import anything.
SERVE = """
import json, os, sys
from killing import say
for line in sys.stdin:
    number = os.fork()
    if not number:
        say("started", os.getpid())
        run(*json.loads(line))
        os._exit(0)
    say("ended", os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
"""


def say(*words: object) -> None:
    """For a child: a line on stdout, at once, for several threads and processes speak."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def announced(module: object, name: str, word: str, *, pause: float) -> None:
    """For a child: have it say a word before each call of a function, and wait a little: a kill comes then."""
    wrapped = getattr(module, name)

    def announce(*args, **options):
        say(word)
        time.sleep(pause)
        return wrapped(*args, **options)

    setattr(module, name, announce)


def start(code: str, *arguments: object) -> Child:
    """A child that may import what stands beside the tests."""
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def finished(child: Child) -> str:
    """The last word of one that was left to end."""
    said, _ = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 0
    return said.split()[-1]


class Runs:
    """Runs of one script, one after the other; what they are given is text and numbers."""

    def __init__(self, server: Child) -> None:
        self._server = server

    def finish(self, *given: object) -> list[str]:
        """Leave one alone; the words of the last line it said."""
        code, said = self._run(given)
        assert code == 0
        return said.split()

    def kill(self, *given: object, word: str, times: int = 1) -> None:
        """Kill one when it says a word for the n-th time."""
        code, _ = self._run(given, by=signal.SIGKILL, word=word, times=times)
        assert code == -signal.SIGKILL, f"the run ended with {code} before it said {word!r} often enough"

    def interrupt(self, *given: object, word: str, times: int = 1) -> list[str]:
        """Press Ctrl-C when one says a word for the n-th time; the words of its last line."""
        code, said = self._run(given, by=signal.SIGINT, word=word, times=times)
        assert code == 0
        return said.split()

    def kill_at(self, *given: object, words: int = 0, after_s: float) -> bool:
        """Kill one a while after it has said so many words, whatever they are; whether it had not ended before."""
        return self._run(given, by=signal.SIGKILL, times=words, after_s=after_s)[0] == -signal.SIGKILL

    def _run(
        self, given: tuple[object, ...], *, by: signal.Signals | None = None, word: str = "", times: int = 0, after_s: float = 0.0
    ) -> tuple[int, str]:
        self._server.stdin.write(json.dumps(list(map(_plain, given))) + "\n")
        self._server.stdin.flush()
        number, said, left = 0, "", times
        for line in iter(self._server.stdout.readline, ""):
            kind, _, about = line.strip().partition(" ")
            if kind == "ended":
                return int(about), said
            if kind == "started":
                number = int(about)
            else:
                said = line.strip()
                left -= word in ("", said)
            if by is not None and left <= 0:
                time.sleep(after_s)
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(number, by)
                by = None
        raise AssertionError("the process that makes the runs has ended")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


@contextmanager
def runs(code: str) -> Iterator[Runs]:
    """Runs of `run`, which the code defines, until the block ends."""
    server = start(code + SERVE)
    try:
        yield Runs(server)
    finally:
        server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0
