"""A run of fetch-media killed or stopped at any moment and started again ends with the very tables of one that was left alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fetching import picture
from local_server import Page, serve
from small_catalogue import query, violations, write_catalogue

from schemas.contracts import Modality

#: Kills at random moments, and processes that are being made ready beside the one that runs.
N, KILLS, AHEAD = 60, 20, 2
#: Fetches, two addresses at a time, once it is told to; says when it is ready and each time it writes.
CHILD = """
import sys
from pathlib import Path
from milkprep.media import answers, fetch, ledger
from schemas.contracts import Modality
from schemas.reporting import Silent

answers.FIRST_WAIT_S, ledger.BATCH = 0.01, 10
write = ledger.Ledger.write

def announced(self):
    print("writing", flush=True)
    write(self)

ledger.Ledger.write = announced
options = fetch.FetchOptions(concurrency=2, per_host=2, allow_private=True, cache=Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
report = fetch.fetch_media(Path(sys.argv[1]), modality=Modality.VISUAL, options=options, reporter=Silent())
print("interrupted" if report.interrupted else "done", report.n_visited, report.n_left, flush=True)
"""


@pytest.fixture
def server():
    """Pictures, some equal, some broken, some refused."""
    pages = {}
    for n in range(N):
        pages[f"/{n}"] = {3: Page(b"no picture"), 7: Page(status=404), 8: Page(status=503)}.get(n % 10, Page(picture(n % 12), delay_s=0.02))
    with serve(pages) as server:
        yield server


def prepare(path: Path) -> subprocess.Popen[str]:
    """A process that has imported everything and waits for its start."""
    command = [sys.executable, "-c", CHILD, str(path), str(path.parent / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})


def let_go(child: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.flush()
    return child


def start(path: Path) -> subprocess.Popen[str]:
    return let_go(prepare(path))


@contextmanager
def waiting(path: Path) -> Iterator[deque[subprocess.Popen[str]]]:
    """Processes that wait for their start, as many as `AHEAD`; a reader takes one and puts another in its place."""
    children = deque(prepare(path) for _ in range(AHEAD))
    try:
        yield children
    finally:
        for child in children:
            child.kill()
            child.communicate()


def catalogue(folder: Path, server) -> Path:
    folder.mkdir()
    files = {Modality.VISUAL: {item: [server.address(f"/{item}")] for item in range(N)}}
    return write_catalogue(folder / "s.duckdb", [("a", None)] * N, files=files)


def leave(path: Path, server) -> None:
    """Put a fresh catalogue in the place of one that was fetched whole."""
    for left in path.parent.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    path.parent.rmdir()
    catalogue(path.parent, server)


def contents(path: Path) -> list[list[tuple[object, ...]]]:
    """Tables without times, and the cache's files."""
    folder = path.parent / "cache"
    rows = query(path, "SELECT address, modality, status, reason, content_sha256, bytes, parse_filename(file) FROM downloads ORDER BY 1")
    files = sorted((str(file.relative_to(folder)), file.read_bytes()) for file in folder.rglob("*") if file.is_file())
    return [rows, query(path, "SELECT * FROM assets ORDER BY ALL"), files]


def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(server, tmp_path):
    generator = np.random.default_rng(5)
    alone, killed = catalogue(tmp_path / "alone", server), catalogue(tmp_path / "killed", server)
    begun = prepare(alone)
    started = time.monotonic()
    assert let_go(begun).communicate(timeout=60)[0].split()[-3:] == ["done", str(N), "0"]
    longest, n_killed = time.monotonic() - started, 0
    with waiting(killed) as children:
        while n_killed < KILLS:
            child = let_go(children.popleft())
            children.append(prepare(killed))
            time.sleep(generator.uniform(0, longest / 2))
            child.kill()
            child.communicate()
            n_killed += child.returncode == -signal.SIGKILL
            if not query(killed, "SELECT 1 FROM assets WHERE status = 'not_fetched' LIMIT 1"):  # nothing is left to be killed at: begin anew
                assert contents(killed) == contents(alone)
                leave(killed, server)
    assert violations(killed) == {}
    assert start(killed).communicate(timeout=60)[0].split()[-3] == "done"
    assert contents(killed) == contents(alone)
    assert violations(killed) == {}


def test_killed_while_it_writes_it_keeps_what_was_written_before(server, tmp_path):
    path = catalogue(tmp_path / "killed", server)
    child = start(path)
    for _ in range(2):
        assert child.stdout.readline() == "writing\n"
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    before = query(path, "SELECT count(*) FROM downloads")[0][0]
    assert 0 < before < N
    assert start(path).communicate(timeout=60)[0].split()[-3:] == ["done", str(N - before), "0"]


def test_stopped_from_the_keyboard_it_writes_what_it_has_and_says_what_is_left(server, tmp_path):
    path = catalogue(tmp_path / "stopped", server)
    child = start(path)
    assert child.stdout.readline() == "writing\n"
    child.send_signal(signal.SIGINT)
    word, n_visited, n_left = child.communicate(timeout=30)[0].split()[-3:]
    assert (word, child.returncode) == ("interrupted", 0)
    assert int(n_visited) + int(n_left) == N
    assert query(path, "SELECT count(*) FROM downloads") == [(int(n_visited),)]
    assert not list((tmp_path / "stopped" / "cache").glob("incoming-*"))
