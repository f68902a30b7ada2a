"""A pull killed at any moment and started again ends with the very tables of one that was left alone."""

import shutil
import time
from pathlib import Path

import killing
import numpy as np
import own_folders
import pytest
from raw_files import metadata, review, table, write_lines

N_USERS, N_ITEMS = 400, 300
#: Kills of each source and way at random moments.
KILLS = 10
TABLES = ("users", "items", "interactions", "assets", "rejects")
#: Pulls, and says when all but the record of the pull is written in its transaction.
SCRIPT = """
from pathlib import Path
from killing import announced, say
from milkprep.pull import catalogue
from milkprep.sources import amazon
from milkprep.sources import folder as own
from schemas.reporting import Silent

def run(folder, store, source="amazon", core=3, pause=0.0):
    announced(catalogue, "catalogue_fingerprint", "inside the transaction", pause=pause)
    files = {"metadata": Path(folder, "m.json.gz"), "reviews": Path(folder, "r.json.gz")} if source == "amazon" else {"folder": Path(folder, "shop")}
    pull = amazon.pull if source == "amazon" else own.pull
    say(pull(Path(folder, store), **files, core=core, replace=True, reporter=Silent()).changed)
"""


@pytest.fixture(scope="module")
def runs():
    with killing.runs(SCRIPT) as runs:
        yield runs


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


def leave(folder: Path, store: str) -> None:
    """Take a store away, and whatever a killed process left beside it."""
    for path in folder.glob(f"{store}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("source", ["amazon", "folder"])
@pytest.mark.parametrize("replacing", [False, True], ids=["into a new store", "in place of another pull"])
def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(raw, runs, replacing, source):
    generator, store, n_killed = np.random.default_rng(7 + replacing), "killed.duckdb", 0
    if replacing:
        assert runs.finish(raw, "before.duckdb", source, 0) == ["True"]
        shutil.copy(raw / "before.duckdb", raw / store)
    started = time.monotonic()
    assert runs.finish(raw, "alone.duckdb", source) == ["True"]
    longest = time.monotonic() - started
    while n_killed < KILLS:
        if runs.kill_at(raw, store, source, after_s=generator.uniform(0, longest)):
            n_killed += 1
            if replacing:
                assert fingerprint(raw, store) in (fingerprint(raw, "before.duckdb"), fingerprint(raw, "alone.duckdb"))
        else:  # too late: begin anew, and be quicker
            leave(raw, store)
            if replacing:
                shutil.copy(raw / "before.duckdb", raw / store)
            longest *= 0.7
    runs.finish(raw, store, source)
    assert contents(raw, store) == contents(raw, "alone.duckdb")
    assert {path.name for path in raw.iterdir()} - {"before.duckdb"} == {"m.json.gz", "r.json.gz", "shop", "alone.duckdb", store}


def test_what_a_killed_process_left_beside_the_store_disturbs_nothing_and_goes(raw, runs):
    assert runs.finish(raw, "alone.duckdb") == ["True"]
    left = raw / "killed.duckdb.tmp"
    left.mkdir()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"left over" * 1000)
    assert runs.finish(raw, "killed.duckdb") == ["True"]
    assert not left.exists()
    assert contents(raw, "killed.duckdb") == contents(raw, "alone.duckdb")


def test_killed_inside_its_transaction_it_leaves_nothing_and_can_be_repeated(raw, runs):
    assert runs.finish(raw, "alone.duckdb") == ["True"]
    runs.kill(raw, "killed.duckdb", "amazon", 3, 60.0, word="inside the transaction")
    assert {name: rows for name, rows in contents(raw, "killed.duckdb").items() if rows} == {}
    assert runs.finish(raw, "killed.duckdb") == ["True"]
    assert contents(raw, "killed.duckdb") == contents(raw, "alone.duckdb")
