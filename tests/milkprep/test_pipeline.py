"""The stages of an extraction together: contents shared between pages, full memory, errors in any stage, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from small_catalogue import query, tables, violations, write_catalogue

from milkprep.decode import undecodable
from milkprep.encoder import OutOfMemory
from milkprep.engine import content, pipeline, reading, recording, work, writing
from milkprep.engine.decoders import Answer
from milkprep.engine.embedding import Batcher
from milkprep.engine.stages import Stages
from milkprep.engine.telling import Telling
from milkprep.extract import ExtractReport, extract
from milkprep.extractors import hashed_ngrams
from milkprep.extractors.hashed_ngrams import HashedNgrams
from schemas.contracts import Modality
from schemas.errors import StoreLocked
from schemas.reporting import Silent
from schemas.store import Store


def run(path, **options) -> ExtractReport:
    return extract(path, **{"modality": Modality.TEXT, "encoder": "hashed-ngrams", "reporter": Silent(), **options})


@pytest.fixture
def shared(tmp_path):
    """Twelve items on six pages; every third text is shared by all pages."""
    return write_catalogue(tmp_path / "s.duckdb", [("shared" if n % 3 == 0 else f"text {n}", None) for n in range(12)])


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 2)


def refusing(text: str):
    decode = HashedNgrams.decode

    def refuse(self, given):
        if given == text:
            raise undecodable("not this one")
        return decode(self, given)

    return refuse


def test_a_content_that_fails_on_one_page_fails_for_its_items_on_all(shared, small_pages, monkeypatch):
    tried = []
    refuse = refusing("shared")
    monkeypatch.setattr(HashedNgrams, "decode", lambda self, text: tried.append(text) or refuse(self, text))
    monkeypatch.setattr(recording, "record", lambda *args, record=recording.record, **options: time.sleep(0.02) or record(*args, **options))
    report = run(shared)
    assert tried.count("shared") == 1
    assert (report.n_items, report.n_failed, report.n_embedded_now) == (8, 4, 8)
    assert query(shared, "SELECT item_idx, reason FROM feature_failures ORDER BY 1") == [(n, "not this one") for n in (0, 3, 6, 9)]
    assert violations(shared) == {}


def test_what_failed_is_tried_again_only_on_request(shared, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(HashedNgrams, "decode", refusing("shared"))
        assert run(shared).n_failed == 4
    assert run(shared).n_embedded_now == 0
    report = run(shared, retry_failed=True)
    assert (report.n_embedded_now, report.n_failed, report.n_items) == (1, 0, 12)
    assert query(shared, "SELECT n_items, n_failed FROM feature_sets") == [(12, 0)]
    assert violations(shared) == {}


def test_a_second_encoder_stands_beside_the_first_until_it_is_asked_for(shared):
    assert run(shared, fields=("title",)).is_shown
    report = run(shared, fields=("title", "brand"))
    assert not report.is_shown
    shown = "SELECT feature_set_id FROM feature_sets WHERE is_current"
    assert query(shared, shown) == [(1,)]
    assert run(shared, fields=("title", "brand"), as_default=True).is_shown
    assert query(shared, shown) == [(2,)]
    assert not run(shared, fields=("title",)).is_shown
    assert run(shared, fields=("title",), as_default=True).is_shown
    assert query(shared, "SELECT item_idx FROM features_text ORDER BY 1") == [(n,) for n in range(12)]
    assert violations(shared) == {}


class Limited:
    """An encoder whose device holds so many contents at a time; a vector is the content itself."""

    def __init__(self, most: int) -> None:
        self.most, self.sizes = most, []
        self.identity = hashed_ngrams.build(None).identity
        self.budget = 1000

    def size_of(self, decoded) -> int:
        return 1

    def encode(self, batch) -> np.ndarray:
        if len(batch) > self.most or -1 in batch:
            raise OutOfMemory
        self.sizes.append(len(batch))
        return np.repeat(np.array(batch, dtype=np.float32)[:, None], self.identity.width, axis=1)


@pytest.mark.parametrize(("most", "sizes"), [(16, [16, 4]), (8, [8, 8, 4]), (5, [4, 4, 4, 4, 4]), (1, [1] * 20)])
def test_a_batch_that_memory_does_not_hold_is_halved_and_no_later_one_is_larger(most, sizes):
    encoder = Limited(most)
    outcome = Batcher(encoder, batch_size=16, stages=Stages()).embed([(f"{n:02}", n + 1) for n in range(20)], done=lambda sha256: None)
    vectors = dict(outcome.vectors.iter_rows())
    assert {sha256: vector[0] for sha256, vector in vectors.items()} == {f"{n:02}": n + 1 for n in range(20)}
    assert encoder.sizes == sizes


def test_what_memory_never_holds_fails_alone():
    outcome = Batcher(Limited(4), batch_size=4, stages=Stages()).embed([("a", 1), ("b", -1), ("c", 3)], done=lambda sha256: None)
    assert sorted(outcome.vectors["content_sha256"]) == ["a", "c"]
    assert outcome.failures.rows() == [("b", "decode_error", "the device has no memory to embed it")]


@pytest.mark.parametrize("stage", ["reading", "encoding", "writing"])
def test_an_error_in_any_stage_ends_the_run_with_it_and_what_was_whole_is_kept(shared, small_pages, monkeypatch, stage):
    """The third time something is done, it fails."""
    times = []

    def failing(wrapped):
        def fail(*args, **options):
            times.append(None)
            if len(times) == 3:
                raise StoreLocked("held by somebody")
            return wrapped(*args, **options)

        return fail

    owner, name = {"reading": (content.Reader, "read"), "encoding": (HashedNgrams, "encode"), "writing": (recording, "record")}[stage]
    monkeypatch.setattr(writing, "PAGES_UNWRITTEN", 1)
    monkeypatch.setitem(content.AT_ONCE, Modality.TEXT, 1)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name)))
        with pytest.raises(StoreLocked, match="held by somebody"):
            run(shared)
    kept = query(shared, "SELECT count(*) FROM feature_rows")[0][0]
    assert 0 < kept < 12
    assert query(shared, "SELECT finished_at FROM feature_sets") == [(None,)]
    with Store(shared, mode="write") as store:  # nobody holds it any more
        assert store.violations()
    assert run(shared).n_items == 12


class AtOnce:
    """Decodes the moment it is asked."""

    chunk = 1

    def __init__(self) -> None:
        self.n = 0

    def submit(self, contents) -> Future:
        self.n += len(contents)
        future = Future()
        future.set_result([Answer(np.zeros(1), 0.0) for _ in contents])
        return future


def settled(using: AtOnce, n: int) -> int:
    """How many contents were asked for, once it is n, or after a moment in which it could have become more."""
    deadline = time.monotonic() + 30
    while using.n < n and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    return using.n


def test_decoding_goes_on_only_when_half_of_what_it_was_ahead_is_used_up(monkeypatch):
    monkeypatch.setattr(reading, "MOST_AHEAD", 8)
    rows = pl.DataFrame({"item_idx": range(40), "content_sha256": [f"{n:064}" for n in range(40)]})
    page = content.Page(rows, pl.DataFrame(schema=content.REFUSED), dict.fromkeys(rows["content_sha256"], "text"), frozenset())
    reader = SimpleNamespace(modality=Modality.TEXT, read=lambda pages, feature_set, retry: [page])
    destination = SimpleNamespace(holds=lambda contents: frozenset())
    todo = SimpleNamespace(reader=reader, destination=destination, pages=[(0, 40)], stages=Stages(), feature_set=None, retry=False)
    with Silent().progress("", total=40, unit="texts") as progress:
        pages = reading.Reading(todo, using := AtOnce(), work.UnderWay(), Telling(progress))
    try:
        pages.start()
        pages.next_page()
        answers = pages.answers()
        asked_for = [settled(using, 8)]
        for most in (8, 8, 8, 8, 13):
            next(answers)
            asked_for.append(settled(using, most))
    finally:
        pages.stop()
    assert asked_for == [8, 8, 8, 8, 8, 13]


def test_ctrl_c_before_the_first_page_leaves_no_thread_that_waits_for_room(shared, monkeypatch):
    """Such a thread would keep the process from ending."""
    monkeypatch.setattr(reading, "MOST_AHEAD", 1)

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "Batcher", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(shared)
    monkeypatch.undo()
    monkeypatch.setattr(Batcher, "embed", interrupted)
    assert run(shared).interrupted
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("read", "write"))] == []


SLOW = """
import sys, time
from pathlib import Path
import cli
from milkprep.engine import content
from milkprep.extractors.hashed_ngrams import HashedNgrams
from schemas.contracts import Modality

content.PAGE_ITEMS[Modality.TEXT] = 2
encode = HashedNgrams.encode
def slow(self, batch):
    print("encoding", flush=True)
    time.sleep(0.1)
    return encode(self, batch)
HashedNgrams.encode = slow
sys.argv = ["milk", "extract", "--modality", "text", "--encoder", "hashed-ngrams", "--store", sys.argv[1]]
cli.main()
"""


def test_ctrl_c_ends_with_a_summary_and_the_next_run_goes_on(shared, tmp_path):
    command = [sys.executable, "-c", SLOW, str(shared)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=dict(os.environ))
    for _ in range(4):
        assert child.stdout.readline() == "encoding\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "Stopped; what was embedded is stored. Run the same command again to go on." in said
    assert "Traceback" not in said
    kept = query(shared, "SELECT count(*) FROM feature_rows")[0][0]
    assert 0 < kept < 12
    report = run(shared)
    assert (report.n_items, report.is_shown) == (12, True)
    alone = write_catalogue(tmp_path / "alone.duckdb", [("shared" if n % 3 == 0 else f"text {n}", None) for n in range(12)])
    run(alone)
    assert tables(alone) == tables(shared)
