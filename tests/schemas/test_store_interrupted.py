"""Ctrl-C while the store works is Ctrl-C to whoever waits for it."""

import os
import signal
import threading

import pytest

from schemas.store import Store


@pytest.mark.parametrize("asking", ["query", "user_query"])
def test_ctrl_c_in_the_middle_of_a_statement_is_ctrl_c(asking):
    with Store(":memory:", mode="write") as store:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            getattr(store, asking)("SELECT sum(hash(range)) FROM range(1000000000000)")
        timer.join()
        assert store.query("SELECT 1 AS one").item() == 1
