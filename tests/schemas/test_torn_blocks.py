"""A process killed while DuckDB writes a block of metadata over in place leaves half of the new block and half of the old one."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_catalogue import violations, write_catalogue

from schemas import torn_blocks
from schemas.errors import StoreError
from schemas.store import Store

ROOT = Path(__file__).parents[2]
BLOCK, FIRST = 2**18, 3 * 4096
#: Commits and ends without closing, as if killed: what it committed is in the log alone.
KILLED = """
import os, sys
from pathlib import Path
from schemas.store import Store
store = Store(Path(sys.argv[1]), mode="update")
with store.transaction():
    store.run(sys.argv[2])
os._exit(0)
"""
COMMITTED = "INSERT INTO users (user_idx, user_key) SELECT (SELECT count(*) FROM users) + range, 'late ' || range FROM range(50)"


def killed(path: Path, statement: str = COMMITTED) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path), statement], check=True, cwd=ROOT)
    assert path.with_name("s.duckdb.wal").stat().st_size


def checkpointed(path: Path) -> bytes:
    """What the file would have become if the killed process had got to the end."""
    folder = path.with_name("after")
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("after"))
    with Store(folder / path.name, mode="update"):
        pass
    found = (folder / path.name).read_bytes()
    shutil.rmtree(folder)
    return found


def tear(path: Path, *, n_bytes: int) -> list[int]:
    """Write the beginning of each block that differs over the file's own, as a kill would leave it; which blocks those were."""
    before, after = path.read_bytes(), checkpointed(path)
    torn = []
    with path.open("r+b") as stream:
        for number in range((len(before) - FIRST) // BLOCK):
            at = FIRST + number * BLOCK
            if before[at : at + BLOCK] != after[at : at + BLOCK]:
                stream.seek(at)
                stream.write(after[at : at + n_bytes])
                torn.append(number)
    return torn


def users(path: Path) -> int:
    with Store(path, mode="read") as store:
        return store.query("SELECT count(*) AS n FROM users WHERE user_key LIKE 'late%'").item()


@pytest.fixture
def path(tmp_path):
    return write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 60)


@pytest.fixture
def unmended(monkeypatch):
    """DuckDB alone."""
    with monkeypatch.context() as patch:
        patch.setattr(torn_blocks, "mend", lambda path: 0)
        yield patch


@pytest.mark.parametrize("n_bytes", [8, 4096, 8192])
def test_a_block_written_by_halves_costs_nothing_that_was_committed(path, unmended, n_bytes, caplog):
    killed(path)
    assert tear(path, n_bytes=n_bytes)
    with pytest.raises(StoreError, match="Corrupt database file"):
        users(path)
    unmended.undo()
    assert users(path) == 50
    assert "was killed while it wrote" in caplog.text
    assert violations(path) == {}
    with Store(path, mode="update") as store:
        store.run("INSERT INTO users (user_idx, user_key) SELECT count(*), 'later' FROM users")
    assert users(path) == 51
    assert torn_blocks.mend(path) == 0


@pytest.mark.parametrize(("n_bytes", "n_torn"), [(4096, 2), (4096 * 33, 1)])
def test_blocks_that_are_read_late_are_mended_too(path, n_bytes, n_torn):
    columns = ", ".join(f"range * {c} AS c{c}" for c in range(40))
    many = ";".join(f"CREATE TABLE wide_{n} AS SELECT {columns} FROM range(3)" for n in range(130))
    with Store(path, mode="update") as store:
        store.run(many)
    killed(path, ";".join(f"DELETE FROM wide_{n} WHERE c1 = 1" for n in range(0, 130, 3)))
    assert len(tear(path, n_bytes=n_bytes)) > 1
    assert torn_blocks.mend(path) >= n_torn
    with Store(path, mode="read") as store:
        left = [store.query(f"SELECT count(*) AS n FROM wide_{n}").item() for n in range(130)]
    assert left == [2 if n % 3 == 0 else 3 for n in range(130)]


def test_a_damaged_store_that_was_closed_properly_is_left_as_it_is(path):
    with path.open("r+b") as stream:
        stream.seek(FIRST + 5000)
        stream.write(b"damage")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="Corrupt database file"):
        users(path)
    assert path.read_bytes() == before


def test_a_data_block_that_is_damaged_is_not_called_whole(path):
    rows = "INSERT INTO users (user_idx, user_key) SELECT (SELECT count(*) FROM users) + range, 'many ' || hash(range) FROM range(200000)"
    with Store(path, mode="update") as store:
        store.run(rows)
    killed(path)
    damaged = path.read_bytes()
    of_metadata = set(_metadata_blocks(path))
    number = next(n for n in reversed(range((len(damaged) - FIRST) // BLOCK)) if n not in of_metadata and any(damaged[FIRST + n * BLOCK :][:BLOCK]))
    with path.open("r+b") as stream:
        stream.seek(FIRST + number * BLOCK + 100)
        stream.write(b"damage")
    before = path.read_bytes()
    assert torn_blocks.mend(path) == 0
    assert path.read_bytes() == before


def _metadata_blocks(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        return list(torn_blocks._metadata_blocks(handle, torn_blocks._current(handle)))
    finally:
        os.close(handle)


def test_a_store_that_another_process_holds_is_not_touched(path):
    killed(path)
    tear(path, n_bytes=4096)
    before = path.read_bytes()
    hold = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_SH); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        assert torn_blocks.mend(path) == 0
        assert path.read_bytes() == before
    finally:
        holder.communicate()
    assert torn_blocks.mend(path) >= 1


def test_a_store_that_this_process_has_open_keeps_its_lock_when_it_is_opened_again(path):
    other = "import sys; from pathlib import Path; from schemas.store import Store; Store(Path(sys.argv[1]), mode='update', wait_s=0)"
    with Store(path, mode="update"):
        with Store(path, mode="update") as again:
            again.run("INSERT INTO users (user_idx, user_key) SELECT count(*), 'late 9000' FROM users")
        refused = subprocess.run([sys.executable, "-c", other, str(path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "is held by another process" in refused.stderr
    assert subprocess.run([sys.executable, "-c", other, str(path)], cwd=ROOT, check=False).returncode == 0
    assert users(path) == 1


def test_a_store_that_another_thread_is_about_to_have_open_is_not_touched(path, monkeypatch):
    killed(path)
    connect, n_mending, under_way = duckdb.connect, [], threading.Event()

    def slow(*given, **settings):
        under_way.set()
        time.sleep(0.3)  # as long as the log is written into the file, by blocks that are written over in place
        connection = connect(*given, **settings)
        under_way.clear()
        return connection

    monkeypatch.setattr(duckdb, "connect", slow)
    monkeypatch.setattr(torn_blocks, "mend", lambda path: n_mending.append(under_way.is_set()))
    first = threading.Thread(target=lambda: users(path))
    first.start()
    assert under_way.wait(30)
    assert users(path) == 50
    first.join()
    assert n_mending
    assert not any(n_mending)


def test_a_store_is_closed_from_another_folder_than_it_was_opened_from(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with Store("s.duckdb", mode="read"):
        monkeypatch.chdir("/")
    path.write_text("no store at all")
    with pytest.raises(StoreError, match="another kind of file"):
        Store(path, mode="read")


def test_links_in_a_circle_are_no_store(tmp_path):
    path = tmp_path / "circle.duckdb"
    path.symlink_to(path)
    with pytest.raises(StoreError, match="There is no store"):
        Store(path, mode="read")


def test_all_blocks_of_metadata_of_a_healthy_store_have_the_checksum_that_duckdb_gave_them(path):
    killed(path)  # a log is there, so the blocks are looked at
    before = path.read_bytes()
    assert _metadata_blocks(path)
    assert torn_blocks.mend(path) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [0, 10, 4096, 9000, FIRST, FIRST + 100, FIRST + BLOCK - 1])
def test_a_file_cut_short_is_refused_in_words(path, size):
    killed(path)
    os.truncate(path, size)
    if size:
        with pytest.raises(StoreError, match=re.escape(str(path))):
            users(path)
    assert torn_blocks.mend(path) == 0


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A store whose process was killed, and a copy of it."""
    path = write_catalogue(tmp_path_factory.mktemp("headers") / "s.duckdb", [("a", None)] * 5)
    killed(path)
    return path, Path(shutil.copy(path, path.with_name("kept")))


@settings(max_examples=60)
@given(number=st.integers(1, 2), at=st.integers(8, 80), content=st.binary(min_size=1, max_size=48), is_sealed=st.booleans())
@example(number=1, at=16, content=b"\xff" * 32, is_sealed=True)  # pointers, numbers and sizes that no file has
@example(number=2, at=24, content=b"\0" * 8, is_sealed=True)  # a list that begins where something else is
def test_whatever_stands_in_the_headers_nothing_but_checksums_is_written(kept, number, at, content, is_sealed):
    path, whole = kept
    before = bytearray(whole.read_bytes())
    page = 4096 * number
    before[page + at : page + at + len(content)] = content
    if is_sealed:  # so that the header is taken for whole
        before[page + 8 : page + 16] = (2**40).to_bytes(8, "little") if at > 16 else before[page + 8 : page + 16]
        before[page : page + 8] = torn_blocks._checksum(bytes(before[page + 8 : page + 4096])).to_bytes(8, "little")
    path.write_bytes(before)
    torn_blocks.mend(path)
    after = path.read_bytes()
    assert len(after) == len(before)
    differing = [n for n in range(len(before)) if before[n] != after[n]] if before != after else []
    assert all(n >= FIRST and (n - FIRST) % BLOCK < 8 for n in differing)


def test_metadata_that_leads_back_to_itself_is_left_alone(kept):
    path, whole = kept
    path.write_bytes(whole.read_bytes())
    handle = os.open(path, os.O_RDWR)
    try:
        header = replace(torn_blocks._current(handle), n_blocks=10**9)  # in which the list would have room
        block, part = header.free_list & torn_blocks.BLOCK_MASK, header.free_list >> 56
        ring = header.free_list.to_bytes(8, "little") + (10**6).to_bytes(8, "little")  # it is its own next; and how many entries follow
        os.pwrite(handle, ring, header.at(block) + 8 + part * header.part_bytes)
        with pytest.raises(torn_blocks._Unexpected):
            list(torn_blocks._metadata_blocks(handle, header))
    finally:
        os.close(handle)
    before = path.read_bytes()
    assert torn_blocks.mend(path) == 0
    assert path.read_bytes() == before
