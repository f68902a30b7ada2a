"""Shards and their merge, killed at any moment: what is there is whole, and the end is that of one run."""

import signal
from pathlib import Path

import killing
import pytest
from sharded import merge, part, pictures, texts, whole
from small_catalogue import tables, violations

from milkprep.engine import content
from schemas.contracts import Modality
from schemas.errors import DataError

#: Does one shard, or merges all, in pages of 8 items and says on stdout what it is about to do, so that it can be killed right there.
SCRIPT = """
from pathlib import Path
from killing import announced, say
from milkprep.engine import content, merging, recording, shards, writing
from milkprep.extractors import colour_layout, hashed_ngrams
from schemas import durable
from schemas.contracts import Modality
import sharded

content.PAGE_ITEMS.update(dict.fromkeys(Modality, 8))
writing.PAGES_UNWRITTEN = 1  # so that there is a moment between any two pages
merging.ROWS_AT_ONCE = 8

announced(shards, "_write_file", "writing", pause=0.03)
announced(durable, "sync", "written by halves", pause=0.03)
announced(recording, "record_inside", "inside the transaction", pause=0.03)
announced(recording.feature_sets, "finish_inside", "finishing", pause=0.03)

def run(path, modality, task):
    done = sharded.merge(Path(path)).n_assets_now if task == "merge" else sharded.part(Path(path), Modality(modality), task).n_embedded_now
    say("done", done)
"""
#: One of them, beside others.
ALONE = f"{SCRIPT}\nimport sys\nrun(*sys.argv[1:])"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    for modality in Modality:
        monkeypatch.setitem(content.PAGE_ITEMS, modality, 8)


@pytest.fixture(scope="module")
def runs():
    with killing.runs(SCRIPT) as runs:
        yield runs


def start(path: Path, task: str) -> killing.Child:
    return killing.start(ALONE, path, "text", task)


@pytest.mark.parametrize(("modality", "make"), [(Modality.TEXT, texts), (Modality.VISUAL, pictures)], ids=["text", "visual"])
def test_a_shard_killed_again_and_again_and_a_merge_killed_inside_end_as_one_run(tmp_path, runs, modality, make):
    alone, killed = make(tmp_path, "alone.duckdb"), make(tmp_path, "killed.duckdb")
    whole(alone, modality)
    untouched = killed.read_bytes()
    for word, times in (("writing", 3), ("written by halves", 1)):
        runs.kill(killed, modality, "1/2", word=word, times=times)
    assert int(runs.finish(killed, modality, "1/2")[-1]) > 0
    part(killed, modality, "2/2")
    assert killed.read_bytes() == untouched
    before = tables(killed)
    for word, times in (("inside the transaction", 3), ("finishing", 1)):
        runs.kill(killed, modality, "merge", word=word, times=times)
        assert tables(killed) == before
    assert int(runs.finish(killed, modality, "merge")[-1]) > 0
    assert tables(killed) == tables(alone)
    assert violations(killed) == {}
    assert runs.finish(killed, modality, "merge") == ["done", "0"]


def test_several_processes_do_their_shards_of_one_store_at_the_same_time(tmp_path):
    alone, path = texts(tmp_path, "alone.duckdb"), texts(tmp_path, "s.duckdb")
    whole(alone, Modality.TEXT)
    children = [start(path, f"{number}/3") for number in (1, 2, 3)]
    assert all(int(killing.finished(child)) > 0 for child in children)
    assert merge(path).n_assets_now > 0
    assert tables(path) == tables(alone)


def test_a_second_process_with_the_same_shard_is_refused_and_harms_nothing(tmp_path):
    alone, path = texts(tmp_path, "alone.duckdb"), texts(tmp_path, "s.duckdb")
    whole(alone, Modality.TEXT)
    first = start(path, "1/1")
    while first.stdout.readline().strip() != "writing":
        pass
    first.send_signal(signal.SIGSTOP)
    with pytest.raises(DataError, match="Another process works on shard 1/1"):
        part(path, Modality.TEXT, "1/1")
    first.send_signal(signal.SIGCONT)
    assert int(killing.finished(first)) > 0
    assert part(path, Modality.TEXT, "1/1").n_embedded_now == 0
    assert merge(path).n_assets_now > 0
    assert tables(path) == tables(alone)
