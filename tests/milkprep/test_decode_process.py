"""Decoding processes: what they say arrives whole, none is waited for too long, and none takes all memory or outlives its parent."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from milkprep.decode import process
from milkprep.decode.process import Lost, Process

ROOT = Path(__file__).parents[2]
#: Answers a line with its number of letters, on one line, and the line itself; some lines end or keep it.
ECHO = """
import os, sys, time
for line in sys.stdin.buffer:
    word = line.strip()
    if word == b"end":
        sys.exit(3)
    if word == b"hang":
        time.sleep(600)
    if word == b"who":
        word = str(os.getpid()).encode()
    sys.stdout.buffer.write(b"%d\\n" % len(word) + word)
    sys.stdout.buffer.flush()
"""
#: Locks a file for as long as it lives.
HOLDER = """
import fcntl, sys
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
PATIENT = 30.0


@pytest.fixture
def echo(tmp_path, monkeypatch):
    (tmp_path / "milk_echo.py").write_text(ECHO)
    (tmp_path / "milk_holder.py").write_text(HOLDER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    one = Process("milk_echo")
    yield one
    one.end()


def asked(one: Process, word: bytes) -> bytes:
    one.send([word, b"\n"], within_s=PATIENT)
    space = bytearray(int(one.line(within_s=PATIENT)))
    one.fill(memoryview(space), within_s=PATIENT)
    return bytes(space)


def test_it_starts_with_the_first_question_and_answers_them_all(echo):
    assert not echo.is_running
    assert asked(echo, b"a word") == b"a word"
    assert echo.is_running
    assert asked(echo, b"x" * (3 << 20)) == b"x" * (3 << 20)  # more than any pipe holds
    assert asked(echo, b"who") == asked(echo, b"who")


def test_one_that_ended_is_lost_and_the_next_question_starts_another(echo):
    before = asked(echo, b"who")
    with pytest.raises(Lost):
        asked(echo, b"end")
    assert not echo.is_running
    assert asked(echo, b"who") != before


@pytest.mark.parametrize("told", [b"hang\n", b"hang\n" + b"z" * (4 << 20)], ids=["says nothing", "reads nothing"])
def test_one_that_hangs_is_ended_whether_it_is_told_or_asked(echo, told):
    number = int(asked(echo, b"who"))

    def told_and_asked() -> None:
        echo.send([told], within_s=1.0)
        echo.last_line(within_s=0.3)

    with pytest.raises(Lost):
        told_and_asked()
    assert not Path(f"/proc/{number}").exists()


def test_a_wait_ends_when_the_one_who_waits_is_told_to(tmp_path, echo, monkeypatch):
    class Stop(Exception):
        pass

    def look():
        raise Stop

    monkeypatch.setattr(process, "LOOK_S", 0.05)
    watched = Process("milk_echo", look=look)
    watched.send([b"hang\n"], within_s=PATIENT)
    with pytest.raises(Stop):
        watched.line(within_s=PATIENT)
    watched.end()


def test_one_killed_from_another_thread_is_lost_and_never_starts_again(echo):
    asked(echo, b"a")
    echo.send([b"hang\n"], within_s=PATIENT)
    killer = threading.Timer(0.1, echo.kill)
    killer.start()
    with pytest.raises(Lost):
        echo.line(within_s=PATIENT)
    killer.join()
    with pytest.raises(Lost):
        echo.send([b"a\n"], within_s=PATIENT)
    assert not echo.is_running


def test_it_ends_when_its_parent_is_killed(tmp_path, echo):
    lock = tmp_path / "lock"
    parent = (
        "import sys, time; from milkprep.decode.process import Process\n"
        "p = Process('milk_holder', sys.argv[1]); p.send([b'a'], within_s=30); print(p.line(within_s=30), flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    started = subprocess.Popen([sys.executable, "-c", parent, str(lock)], stdout=subprocess.PIPE, env=environment)
    assert b"held" in started.stdout.readline()
    with lock.open("r+") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        started.kill()
        started.communicate()
        wait_for(lambda: taken(file))


def taken(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for(done) -> None:
    deadline = time.monotonic() + PATIENT
    while not done():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def bounded(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import numpy as np, time\nfrom milkprep.decode import limits\n{code}"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


MEMORY = """
limits.MOST_MEMORY = 256 << 20
limits.bound_memory()
def outcome(n_bytes):
    try:
        return len(np.ones(n_bytes, dtype=np.uint8)) == n_bytes
    except MemoryError:
        return "refused"
print(open("/proc/self/oom_score_adj").read().strip())
print([outcome(n) for n in (200 << 20, 300 << 20, 1 << 40, 200 << 20)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere systems do not bound the memory that is mapped")
def test_memory_beyond_the_bound_is_refused_and_the_process_goes_on_and_is_the_first_to_go():
    done = bounded(MEMORY)
    assert (done.returncode, done.stdout.split("\n")) == (0, ["1000", "[True, 'refused', 'refused', True]", ""]), done.stderr


def test_a_process_ends_itself_when_its_time_is_over_but_not_when_the_bound_was_lifted():
    assert bounded("limits.bound_time(0.1); time.sleep(60)").returncode == -signal.SIGALRM
    assert bounded("limits.bound_time(0.3); limits.bound_time(0); time.sleep(0.6)").returncode == 0
