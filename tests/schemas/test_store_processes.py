"""The store between processes: locks that are waited for and named, and a kill in the middle of a transaction."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from schemas.errors import StoreLocked
from schemas.store import Store

HOLD = """
import sys
from schemas.store import Store
with Store(sys.argv[1], mode="write") as store:
    print("held", flush=True)
    sys.stdin.readline()
"""

WRITE_HALF = """
import sys
from schemas.store import Store
store = Store(sys.argv[1], mode="write")
with store.transaction():
    store.run("DELETE FROM users")
    store.run("INSERT INTO users SELECT i, 'new' || i FROM range(200000) AS t (i)")
    print("in the middle", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def process(code, path, *, until):
    """Another Python process that has printed the line `until`; killed at the end."""
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline().strip() == until
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_held_store_is_refused_after_the_wait_naming_the_file_and_its_holder(tmp_path, mode):
    path = tmp_path / "s.duckdb"
    with process(HOLD, path, until="held") as holder, pytest.raises(StoreLocked) as caught:
        Store(path, mode=mode, wait_s=0.2)
    assert str(caught.value) == (f"{path} is held by another process (process {holder.pid}). Wait for it to finish or stop it, then run this again.")


def test_a_store_let_go_within_the_wait_is_opened(tmp_path):
    path = tmp_path / "s.duckdb"
    with process(HOLD, path, until="held") as holder:
        letting_go = threading.Timer(0.5, lambda: holder.communicate("go\n"))
        letting_go.start()
        with Store(path, mode="write", wait_s=60) as store:
            assert store.query("SELECT count(*) AS n FROM users").item() == 0
        letting_go.join()


def test_several_processes_may_read_at_once(tmp_path):
    path = tmp_path / "s.duckdb"
    Store(path, mode="write").close()
    with process(HOLD.replace('"write"', '"read"'), path, until="held"), Store(path, mode="read", wait_s=0) as store:
        assert store.query("SELECT count(*) AS n FROM users").item() == 0


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_kill_within_a_transaction_leaves_the_state_before_it(tmp_path, mode):
    path = tmp_path / "s.duckdb"
    with Store(path, mode="write") as store:
        store.run("INSERT INTO users VALUES (0, 'anna'), (1, 'ben')")
    with process(WRITE_HALF, path, until="in the middle"):
        pass
    with Store(path, mode=mode) as store:
        assert store.query("SELECT user_key FROM users ORDER BY user_idx")["user_key"].to_list() == ["anna", "ben"]


def test_a_kill_after_a_transaction_keeps_it(tmp_path):
    path = tmp_path / "s.duckdb"
    code = WRITE_HALF.replace("    print", "print").replace("    sys", "sys")
    with process(code, path, until="in the middle"):
        pass
    with Store(path, mode="read") as store:
        assert store.query("SELECT count(*) AS n FROM users").item() == 200_000
