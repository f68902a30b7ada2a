"""Shards and their merge, killed at any moment: what is there is whole, and the end is that of one run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sharded import part, pictures, texts, whole
from small_catalogue import tables, violations

from milkprep.engine import content
from schemas.contracts import Modality
from schemas.errors import DataError

#: Does one shard, or merges all, in pages of 8 items and says on stdout what it is about to do, so that it can be killed right there.
CHILD = """
import os, sys, time
from pathlib import Path
from milkprep.engine import content, merging, pipeline, recording, shards
from schemas import durable
from schemas.contracts import Modality
import sharded

path, modality, task = Path(sys.argv[1]), Modality(sys.argv[2]), sys.argv[3]
content.PAGE_ITEMS[modality] = 8
pipeline.PAGES_UNWRITTEN = 1  # so that there is a moment between any two pages
merging.ROWS_AT_ONCE = 8

def announced(module, name, word):
    wrapped = getattr(module, name)
    def announce(*args, **options):
        os.write(1, word.encode() + b"\\n")
        time.sleep(0.05)  # a kill comes now
        return wrapped(*args, **options)
    setattr(module, name, announce)

announced(shards, "_write_file", "writing")
announced(durable, "sync", "written by halves")
announced(recording, "record_inside", "inside the transaction")
announced(recording.feature_sets, "finish_inside", "finishing")
if task == "merge":
    print("done", sharded.merge(path).n_assets_now, flush=True)
else:
    print("done", sharded.part(path, modality, task).n_embedded_now, flush=True)
"""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    for modality in Modality:
        monkeypatch.setitem(content.PAGE_ITEMS, modality, 8)


def start(path: Path, modality: Modality, task: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    places = os.pathsep.join(map(str, (root, root / "tests", Path(__file__).parent)))
    command = [sys.executable, "-c", CHILD, str(path), modality.value, task]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places})


def kill_when(child: subprocess.Popen[str], word: str, *, times: int) -> None:
    """Kill a run when it says a word for the n-th time."""
    for line in child.stdout:
        times -= line.strip() == word
        if not times:
            break
    assert not times, f"the run ended before it said {word!r} often enough"
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()


def finished(child: subprocess.Popen[str]) -> int:
    """What a run says it did that was left to end."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return int(said.split()[-1])


@pytest.mark.parametrize(("modality", "make"), [(Modality.TEXT, texts), (Modality.VISUAL, pictures)], ids=["text", "visual"])
def test_a_shard_killed_again_and_again_and_a_merge_killed_inside_end_as_one_run(tmp_path, modality, make):
    alone, killed = make(tmp_path, "alone.duckdb"), make(tmp_path, "killed.duckdb")
    whole(alone, modality)
    untouched = killed.read_bytes()
    for word, times in (("writing", 3), ("written by halves", 1)):
        kill_when(start(killed, modality, "1/2"), word, times=times)
    assert finished(start(killed, modality, "1/2")) > 0
    part(killed, modality, "2/2")
    assert killed.read_bytes() == untouched
    before = tables(killed)
    for word, times in (("inside the transaction", 3), ("finishing", 1)):
        kill_when(start(killed, modality, "merge"), word, times=times)
        assert tables(killed) == before
    assert finished(start(killed, modality, "merge")) > 0
    assert tables(killed) == tables(alone)
    assert violations(killed) == {}
    assert finished(start(killed, modality, "merge")) == 0


def test_several_processes_do_their_shards_of_one_store_at_the_same_time(tmp_path):
    alone, path = texts(tmp_path, "alone.duckdb"), texts(tmp_path, "s.duckdb")
    whole(alone, Modality.TEXT)
    children = [start(path, Modality.TEXT, f"{number}/3") for number in (1, 2, 3)]
    assert all(finished(child) > 0 for child in children)
    assert finished(start(path, Modality.TEXT, "merge")) > 0
    assert tables(path) == tables(alone)


def test_a_second_process_with_the_same_shard_is_refused_and_harms_nothing(tmp_path):
    alone, path = texts(tmp_path, "alone.duckdb"), texts(tmp_path, "s.duckdb")
    whole(alone, Modality.TEXT)
    first = start(path, Modality.TEXT, "1/1")
    while first.stdout.readline().strip() != "writing":
        pass
    first.send_signal(signal.SIGSTOP)
    with pytest.raises(DataError, match="Another process works on shard 1/1"):
        part(path, Modality.TEXT, "1/1")
    first.send_signal(signal.SIGCONT)
    assert finished(first) > 0
    assert part(path, Modality.TEXT, "1/1").n_embedded_now == 0
    assert finished(start(path, Modality.TEXT, "merge")) > 0
    assert tables(path) == tables(alone)
