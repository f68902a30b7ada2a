"""One process at a time, and no process that is gone."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import locks
from schemas.errors import DataError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from schemas import locks
with locks.held(Path(sys.argv[1]), what="the pot", instead="Take another.", remove=True):
    print("held", flush=True)
    input()
"""


def _held(file, **more):
    return locks.held(file, what="the pot", instead="Take another.", **more)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "lock"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_what_another_process_holds_is_refused_with_its_number_until_it_ends(tmp_path, holder):
    with pytest.raises(DataError, match=rf"^Another process works on the pot \(process {holder.pid}\)\. Take another\.$"), _held(tmp_path / "lock"):
        pytest.fail("two have it")
    holder.communicate("\n")
    with _held(tmp_path / "lock"):
        pass


def test_a_killed_process_blocks_nobody_although_its_file_stays(tmp_path, holder):
    holder.kill()
    assert holder.wait() == -signal.SIGKILL
    assert (tmp_path / "lock").read_text() == str(holder.pid)
    with _held(tmp_path / "lock", remove=True):
        assert (tmp_path / "lock").read_text() != str(holder.pid)
    assert not (tmp_path / "lock").exists()


def test_it_is_let_go_of_when_the_block_fails(tmp_path):
    with pytest.raises(KeyError), _held(tmp_path / "lock", remove=True):
        raise KeyError
    with _held(tmp_path / "lock"), pytest.raises(DataError, match="works on the pot"), _held(tmp_path / "lock"):
        pytest.fail("one has it twice")


def test_a_file_that_its_holder_removed_while_we_opened_it_counts_for_nothing(tmp_path, monkeypatch):
    lock, real, calls = fcntl.flock, tmp_path / "lock", []

    def late(handle, operation):
        if not calls:
            real.unlink()
        calls.append(handle)
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with _held(real), pytest.raises(DataError, match="works on the pot"), _held(real):
        pytest.fail("two have it")
    assert len(calls) == 3
