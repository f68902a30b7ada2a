"""A run of fetch-media killed or stopped at any moment and started again ends with the very tables of one that was left alone."""

import shutil
import time
from pathlib import Path

import killing
import numpy as np
import pytest
from fetching import picture
from local_server import Page, serve
from small_catalogue import query, violations, write_catalogue

from schemas.contracts import Modality

#: Addresses, and kills at random moments.
N, KILLS = 60, 20
#: Fetches, two addresses at a time, and says each time it writes.
SCRIPT = """
from pathlib import Path
from killing import announced, say
from milkprep.media import answers, fetch, ledger, transport
from schemas.contracts import Modality
from schemas.reporting import Silent

answers.FIRST_WAIT_S, ledger.BATCH = 0.01, 10
announced(ledger.Ledger, "write", "writing", pause=0.0)

def run(path):
    options = fetch.FetchOptions(concurrency=2, per_host=2, allow_private=True, cache=Path(path).parent / "cache")
    report = fetch.fetch_media(Path(path), modality=Modality.VISUAL, options=options, reporter=Silent())
    say("interrupted" if report.interrupted else "done", report.n_visited, report.n_left)
"""


@pytest.fixture(scope="module")
def runs():
    with killing.runs(SCRIPT) as runs:
        yield runs


@pytest.fixture
def server():
    """Pictures, some equal, some broken, some refused."""
    pages = {}
    for n in range(N):
        pages[f"/{n}"] = {3: Page(b"no picture"), 7: Page(status=404), 8: Page(status=503)}.get(n % 10, Page(picture(n % 12), delay_s=0.02))
    with serve(pages) as server:
        yield server


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


def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(server, runs, tmp_path):
    generator = np.random.default_rng(5)
    alone, killed = catalogue(tmp_path / "alone", server), catalogue(tmp_path / "killed", server)
    started = time.monotonic()
    assert runs.finish(alone) == ["done", str(N), "0"]
    longest, n_killed = time.monotonic() - started, 0
    while n_killed < KILLS:
        n_killed += runs.kill_at(killed, after_s=generator.uniform(0, longest / 2))
        if not query(killed, "SELECT 1 FROM assets WHERE status = 'not_fetched' LIMIT 1"):  # nothing is left to be killed at: begin anew
            assert runs.finish(killed) == ["done", "0", "0"]  # one killed after its last write leaves files that it was fetching into
            assert contents(killed) == contents(alone)
            leave(killed, server)
    assert violations(killed) == {}
    assert runs.finish(killed)[0] == "done"
    assert contents(killed) == contents(alone)
    assert violations(killed) == {}


def test_killed_while_it_writes_it_keeps_what_was_written_before(server, runs, tmp_path):
    path = catalogue(tmp_path / "killed", server)
    runs.kill(path, word="writing", times=2)
    before = query(path, "SELECT count(*) FROM downloads")[0][0]
    assert 0 < before < N
    assert runs.finish(path) == ["done", str(N - before), "0"]


def test_stopped_from_the_keyboard_it_writes_what_it_has_and_says_what_is_left(server, runs, tmp_path):
    path = catalogue(tmp_path / "stopped", server)
    word, n_visited, n_left = runs.interrupt(path, word="writing")
    assert word == "interrupted"
    assert int(n_visited) + int(n_left) == N
    assert query(path, "SELECT count(*) FROM downloads") == [(int(n_visited),)]
    assert not list((tmp_path / "stopped" / "cache").glob("incoming-*"))
