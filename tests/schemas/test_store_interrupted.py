"""Ctrl-C while the store works is Ctrl-C to whoever waits for it."""

import subprocess
import sys

import pytest

#: In a process of its own, whose main thread waits for the statement, as that of a command does.
CHILD = """
import os, signal, sys, threading
from schemas.store import Store

with Store(":memory:", mode="write") as store:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        getattr(store, sys.argv[1])("SELECT sum(hash(range)) FROM range(1000000000000)")
    except KeyboardInterrupt:
        print("interrupted", store.query("SELECT 1 AS one").item())
"""


@pytest.mark.parametrize("asking", ["query", "user_query"])
def test_ctrl_c_in_the_middle_of_a_statement_is_ctrl_c(asking):
    ended = subprocess.run([sys.executable, "-c", CHILD, asking], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert ended.stdout == "interrupted 1\n"
