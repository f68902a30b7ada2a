"""A pull killed at any moment and started again ends with the very tables of one that was left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from raw_files import metadata, review, table, write_lines

N_USERS, N_ITEMS, KILLS = 400, 300, 5
TABLES = ("users", "items", "interactions", "assets", "rejects")
#: Pulls and says on stdout when it starts, and when all but the record of the pull is written in its transaction.
CHILD = """
import sys, time
from pathlib import Path
from milkprep.pull import catalogue
from milkprep.sources import amazon
from schemas.reporting import Silent

folder, pause, digest = Path(sys.argv[1]), float(sys.argv[3]), catalogue.catalogue_fingerprint

def announced(store):
    print("inside the transaction", flush=True)
    time.sleep(pause)  # a kill comes now
    return digest(store)

catalogue.catalogue_fingerprint = announced
print("ready", flush=True)
report = amazon.pull(folder / sys.argv[2], metadata=folder / "m.json.gz", reviews=folder / "r.json.gz", core=3, reporter=Silent())
print(report.changed, flush=True)
"""


def start(folder: Path, store: str, *, pause: float = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder), store, str(pause)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert child.stdout.readline() == "ready\n"
    return child


def finished(child: subprocess.Popen[str]) -> bool:
    """Whether a run that was left to end changed anything."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return said.split()[-1] == "True"


def contents(folder: Path, store: str) -> dict[str, list[tuple[object, ...]]]:
    """Rows of every table, and what the pull says of itself."""
    found = {name: table(folder, f"SELECT * FROM {name} ORDER BY ALL", store=store) for name in TABLES}
    return found | {"pulls": table(folder, "SELECT fingerprint, catalogue_fingerprint, report::VARCHAR FROM pulls", store=store)}


@pytest.fixture
def raw(tmp_path):
    """A folder with raw files, some lines refused."""
    generator = np.random.default_rng(3)
    items = [metadata(f"I{n}", title=f"Title {n}" if n % 5 else "", description=["text " * int(generator.integers(50))]) for n in range(N_ITEMS)]
    pairs = generator.integers([N_USERS, N_ITEMS], size=(6000, 2))
    write_lines(tmp_path / "m.json.gz", [*items, items[0], b"{"])
    write_lines(tmp_path / "r.json.gz", [review(f"U{user}", f"I{item}", seconds=1_500_000_000 + n) for n, (user, item) in enumerate(pairs)])
    return tmp_path


def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(raw):
    generator, store, started = np.random.default_rng(7), raw / "killed.duckdb", time.monotonic()
    assert finished(start(raw, "alone.duckdb"))
    longest, n_killed = time.monotonic() - started, 0
    while n_killed < KILLS:
        child = start(raw, store.name)
        time.sleep(generator.uniform(0, longest))
        child.kill()
        child.communicate()
        n_killed += child.returncode == -signal.SIGKILL
        if child.returncode == 0:  # too late: begin anew, and be quicker
            store.unlink()
            longest *= 0.7
    finished(start(raw, store.name))
    assert contents(raw, store.name) == contents(raw, "alone.duckdb")


def test_killed_inside_its_transaction_it_leaves_nothing_and_can_be_repeated(raw):
    assert finished(start(raw, "alone.duckdb"))
    child = start(raw, "killed.duckdb", pause=60)
    assert child.stdout.readline() == "inside the transaction\n"
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert {name: rows for name, rows in contents(raw, "killed.duckdb").items() if rows} == {}
    assert finished(start(raw, "killed.duckdb"))
    assert contents(raw, "killed.duckdb") == contents(raw, "alone.duckdb")
