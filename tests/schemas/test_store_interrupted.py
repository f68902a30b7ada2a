"""Ctrl-C while the store works is Ctrl-C to whoever waits for it."""

import subprocess
import sys

import pytest

#: In a process of its own, whose main thread waits for the statement, as that of a command does. The statement would take hours, and
#: so would the thread that works on it beside the main one, if nobody told it; 120 s are for a machine that is busy.
CHILD = """
import os, signal, sys, threading
from schemas.store import Store

before = signal.getsignal(signal.SIGINT)
with Store(":memory:", mode="write") as store:
    ask = {
        "query": store.query, "user_query": store.user_query, "run": store.run,
        "stream": lambda sql: list(store.stream(sql, rows=10)),
    }[sys.argv[1]]
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        ask("CREATE TABLE sums AS " * (sys.argv[1] == "run") + "SELECT sum(hash(range)) FROM range(1000000000000)")
    except KeyboardInterrupt:
        print("interrupted", store.query("SELECT 1 AS one").item(), signal.getsignal(signal.SIGINT) is before)
"""


@pytest.mark.parametrize("asking", ["query", "user_query", "run", "stream"])
def test_ctrl_c_in_the_middle_of_a_statement_is_ctrl_c(asking):
    ended = subprocess.run([sys.executable, "-c", CHILD, asking], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert ended.stdout == "interrupted 1 True\n"


def test_where_ctrl_c_is_ignored_a_statement_goes_on():
    code = """
import os, signal, threading
from schemas.store import Store
signal.signal(signal.SIGINT, signal.SIG_IGN)
with Store(":memory:", mode="write") as store:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    print(store.query("SELECT count(*) AS n FROM range(200000000) WHERE hash(range) = 1").item())
"""
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout in ("0\n", "1\n")
