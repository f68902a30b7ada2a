"""An extraction killed at any moment and started again ends with the very tables of one that was left alone."""

import time
from contextlib import suppress
from pathlib import Path

import killing
import numpy as np
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, tables, violations, write_catalogue

from schemas.contracts import Modality

N_ITEMS = 40
#: An extraction in small pages that says on stdout what it is about to do, so that it can be killed right there.
SCRIPT = """
import os
from pathlib import Path
from killing import announced, say
from milkprep import extract
from milkprep.engine import content, embedding, recording, writing
from milkprep.extractors import colour_layout, hashed_ngrams
from schemas.contracts import Modality, Several
from schemas.reporting import Silent

writing.PAGES_UNWRITTEN = 1  # so that there is a moment between any two pages

def run(path, modality, encoder, page_items=8, pause=0.02, workers=2, several=None):
    announced(extract.feature_sets, "register", "registering", pause=pause)
    announced(embedding.Batcher, "embed", "embedding", pause=pause)
    announced(recording, "record", "recording", pause=pause)
    announced(recording.feature_sets, "append_rows", "inside the transaction", pause=pause)
    announced(recording.feature_sets, "finish_inside", "finishing", pause=pause)
    os.environ["MILK_STARTED_FOR"] = path  # which the decoders inherit
    content.PAGE_ITEMS[Modality(modality)] = page_items
    options = {"several": Several(several)} if several else {}
    report = extract.extract(Path(path), modality=Modality(modality), encoder=encoder, workers=workers, reporter=Silent(), **options)
    say("done", report.n_embedded_now)
"""
#: One of them, with nothing but imports before it.
ALONE = f"{SCRIPT}\nimport sys\nrun(*sys.argv[1:4], pause=0.1)"


@pytest.fixture(scope="module")
def runs():
    with killing.runs(SCRIPT) as runs:
        yield runs


def text_catalogue(folder: Path, name: str, *, n_items: int = N_ITEMS) -> Path:
    """Texts of very different lengths, some shared between pages, some missing."""
    generator = np.random.default_rng(0)
    words = [" ".join(f"word{n}" for n in generator.integers(0, 50, generator.integers(1, 30))) for _ in range(n_items // 2)]
    texts = [(words[i % len(words)] if i % 7 else None, None) for i in range(n_items)]
    return write_catalogue(folder / name, texts)


def picture_catalogue(folder: Path, name: str, *, n_items: int = N_ITEMS // 2) -> Path:
    """Pictures, some shared between pages, some broken, some items with several; the same files for every store of a test."""
    files = {}
    for item in range(n_items):
        file = folder / f"{item}.png"
        if item % 5 == 3:
            file.write_bytes(b"no picture" * (item % 4 + 1))
        else:
            write_picture(file, np.roll(gradient(), item % 19 + 1, axis=1))
        files[item] = [file, folder / f"{item // 2}.png"] if item % 6 == 5 else [file]
    return write_catalogue(folder / name, [("a", None)] * n_items, files={Modality.VISUAL: files})


CATALOGUES = {(Modality.TEXT, "hashed-ngrams"): text_catalogue, (Modality.VISUAL, "colour-layout"): picture_catalogue}


@pytest.mark.parametrize(("modality", "encoder"), CATALOGUES)
def test_killed_again_and_again_it_ends_as_if_it_had_been_left_alone(tmp_path, runs, modality, encoder):
    make = CATALOGUES[modality, encoder]
    alone, killed = make(tmp_path, "alone.duckdb"), make(tmp_path, "killed.duckdb")
    n_contents = int(runs.finish(alone, modality, encoder)[-1])
    done = [0]
    for word, times in (("inside the transaction", 2), ("recording", 3)):
        runs.kill(killed, modality, encoder, word=word, times=times)
        done.append(query(killed, "SELECT count(DISTINCT content_sha256) FROM feature_rows")[0][0])
        assert violations(killed) == {}
    assert 0 < done[1] < done[2] < n_contents  # killed in the middle, and work was kept
    runs.kill(killed, modality, encoder, word="finishing")
    assert query(killed, "SELECT finished_at, is_current FROM feature_sets") == [(None, False)]
    assert runs.finish(killed, modality, encoder) == ["done", "0"]
    assert tables(killed) == tables(alone)


def test_killed_within_and_between_passes_for_the_first_picture_it_ends_as_if_it_had_been_left_alone(tmp_path, runs):
    """Eight of forty pictures are none; one of them has another picture behind it, which a second pass embeds: five pages, then one."""
    alone, killed = (
        (picture_catalogue(tmp_path, f"{name}.duckdb", n_items=40), Modality.VISUAL, "colour-layout", 8, 0.02, 1, "first")
        for name in ("alone", "killed")
    )
    runs.finish(*alone)
    runs.kill(*killed, word="inside the transaction", times=3)
    for times in (5, 6):
        runs.kill(*killed, word="recording", times=times)
        assert violations(killed[0]) == {}
    assert query(killed[0], "SELECT count(*), count(*) FILTER (WHERE item_idx = 23) FROM feature_rows") == [(32, 0)]
    assert runs.finish(*killed) == ["done", "0"]  # the picture is also another item's
    assert query(killed[0], "SELECT position FROM feature_rows WHERE item_idx = 23") == [(1,)]
    assert tables(killed[0]) == tables(alone[0])


def decoders_of(path: Path) -> list[int]:
    """Processes that decode for an extraction of a store, also for one that was killed."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if f"MILK_STARTED_FOR={path}".encode() in (folder / "environ").read_bytes() and b"decoder" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize(("modality", "encoder"), CATALOGUES)
def test_killed_at_ten_random_moments_it_ends_as_if_it_had_been_left_alone(tmp_path, runs, modality, encoder):
    make, generator = CATALOGUES[modality, encoder], np.random.default_rng(7)
    alone, killed = ((make(tmp_path, f"{name}.duckdb", n_items=80), modality, encoder, 4, 0.005, 1) for name in ("alone", "killed"))
    runs.finish(*alone)
    for _ in range(10):
        assert runs.kill_at(*killed, words=int(generator.integers(1, 11)), after_s=generator.uniform(0, 0.02))
    assert violations(killed[0]) == {}
    runs.finish(*killed)
    assert tables(killed[0]) == tables(alone[0])
    deadline = time.monotonic() + killing.PATIENCE_S
    while decoders_of(killed[0]):
        assert time.monotonic() < deadline, "decoders outlive the extraction they decoded for"
        time.sleep(0.05)


def test_the_store_can_be_read_by_others_while_content_is_embedded(tmp_path):
    path = text_catalogue(tmp_path, "s.duckdb")
    child = killing.start(ALONE, path, "text", "hashed-ngrams")
    while child.stdout.readline().strip() != "embedding":
        pass
    assert query(path, "SELECT count(*) FROM items") == [(N_ITEMS,)]  # another process; it would wait 5 s and fail
    assert int(killing.finished(child)) > 0
