"""A pull killed at any moment and started again ends with the very tables of one that was left alone."""

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
import own_folders
import pytest
from raw_files import metadata, review, table, write_lines

N_USERS, N_ITEMS = 400, 300
#: Kills of each source and way at random moments, and processes that are being made ready beside the one that runs.
KILLS, AHEAD = 10, 2
TABLES = ("users", "items", "interactions", "assets", "rejects")
#: Pulls once it is told to; says when it is ready, and when all but the record of the pull is written in its transaction.
CHILD = """
import sys, time
from pathlib import Path
from milkprep.pull import catalogue
from milkprep.sources import amazon
from milkprep.sources import folder as own
from schemas.reporting import Silent

folder, pause, core, digest = Path(sys.argv[1]), float(sys.argv[3]), int(sys.argv[4]), catalogue.catalogue_fingerprint
store = folder / sys.argv[2]

def announced(store):
    print("inside the transaction", flush=True)
    time.sleep(pause)  # a kill comes now
    return digest(store)

catalogue.catalogue_fingerprint = announced
print("ready", flush=True)
sys.stdin.readline()
files = {"metadata": folder / "m.json.gz", "reviews": folder / "r.json.gz"}
if sys.argv[5] == "amazon":
    report = amazon.pull(store, **files, core=core, replace=True, reporter=Silent())
else:
    report = own.pull(store, folder=folder / "shop", core=core, replace=True, reporter=Silent())
print(report.changed, flush=True)
"""


def prepare(folder: Path, store: str, *, pause: float = 0, core: int = 3, source: str = "amazon") -> subprocess.Popen[str]:
    """A process that has imported everything and waits for its start."""
    command = [sys.executable, "-c", CHILD, str(folder), store, str(pause), str(core), source]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})


def let_go(child: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.flush()
    return child


def start(folder: Path, store: str, **how: float | str) -> subprocess.Popen[str]:
    return let_go(prepare(folder, store, **how))


def finished(child: subprocess.Popen[str]) -> bool:
    """Whether a run that was left to end changed anything."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return said.split()[-1] == "True"


def contents(folder: Path, store: str) -> dict[str, list[tuple[object, ...]]]:
    """Rows of every table, and what the pull says of itself."""
    found = {name: table(folder, f"SELECT * FROM {name} ORDER BY ALL", store=store) for name in TABLES}
    return found | {"pulls": table(folder, "SELECT fingerprint, catalogue_fingerprint, report::VARCHAR FROM pulls", store=store)}


def fingerprint(folder: Path, store: str) -> list[tuple[object, ...]]:
    return table(folder, "SELECT fingerprint, catalogue_fingerprint FROM pulls", store=store)


@pytest.fixture
def raw(tmp_path):
    """A folder with raw files, some lines refused."""
    generator = np.random.default_rng(3)
    items = [metadata(f"I{n}", title=f"Title {n}" if n % 5 else "", description=["text " * int(generator.integers(50))]) for n in range(N_ITEMS)]
    pairs = generator.integers([N_USERS, N_ITEMS], size=(6000, 2))
    write_lines(tmp_path / "m.json.gz", [*items, items[0], b"{"])
    write_lines(tmp_path / "r.json.gz", [review(f"U{user}", f"I{item}", seconds=1_500_000_000 + n) for n, (user, item) in enumerate(pairs)])
    write_shop(tmp_path / "shop", items, pairs)
    return tmp_path


def write_shop(shop: Path, items: list[bytes], pairs: np.ndarray) -> None:
    """The same as somebody's own catalogue, with media in a folder and in a column."""
    lines = "".join(f"I{n},Title {n},{f'pics/{n}.png|gone.png' if n % 3 else ''}\n" for n in range(len(items)))
    own_folders.write(
        shop, items=f"item,title,image\n{lines}I0,again,\n,keyless,\n", interactions="user,item\n" + "".join(f"U{u},I{i}\n" for u, i in pairs)
    )
    own_folders.media(shop, *(f"{place}{n}.png" for n in range(0, len(items), 4) for place in ("pics/", "images/I")))


@contextmanager
def waiting(folder: Path, store: str, source: str) -> Iterator[deque[subprocess.Popen[str]]]:
    """Processes that wait for their start, as many as `AHEAD`; a reader takes one and puts another in its place."""
    children = deque(prepare(folder, store, source=source) for _ in range(AHEAD))
    try:
        yield children
    finally:
        for child in children:
            child.kill()
            child.communicate()


def leave(folder: Path, store: str) -> None:
    """Take a store away, and whatever a killed process left beside it."""
    for path in folder.glob(f"{store}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("source", ["amazon", "folder"])
@pytest.mark.parametrize("replacing", [False, True], ids=["into a new store", "in place of another pull"])
def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(raw, replacing, source):
    generator, store, n_killed = np.random.default_rng(7 + replacing), "killed.duckdb", 0
    if replacing:
        assert finished(start(raw, "before.duckdb", core=0, source=source))
        shutil.copy(raw / "before.duckdb", raw / store)
    alone = prepare(raw, "alone.duckdb", source=source)
    started = time.monotonic()
    assert finished(let_go(alone))
    longest = time.monotonic() - started
    with waiting(raw, store, source) as children:
        while n_killed < KILLS:
            child = let_go(children.popleft())
            children.append(prepare(raw, store, source=source))
            time.sleep(generator.uniform(0, longest))
            child.kill()
            child.communicate()
            n_killed += child.returncode == -signal.SIGKILL
            if child.returncode == 0:  # too late: begin anew, and be quicker
                leave(raw, store)
                if replacing:
                    shutil.copy(raw / "before.duckdb", raw / store)
                longest *= 0.7
            elif replacing:
                assert fingerprint(raw, store) in (fingerprint(raw, "before.duckdb"), fingerprint(raw, "alone.duckdb"))
    finished(start(raw, store, source=source))
    assert contents(raw, store) == contents(raw, "alone.duckdb")
    assert {path.name for path in raw.iterdir()} - {"before.duckdb"} == {"m.json.gz", "r.json.gz", "shop", "alone.duckdb", store}


def test_what_a_killed_process_left_beside_the_store_disturbs_nothing_and_goes(raw):
    assert finished(start(raw, "alone.duckdb"))
    left = raw / "killed.duckdb.tmp"
    left.mkdir()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"left over" * 1000)
    assert finished(start(raw, "killed.duckdb"))
    assert not left.exists()
    assert contents(raw, "killed.duckdb") == contents(raw, "alone.duckdb")


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
