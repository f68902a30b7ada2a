"""An extraction killed at any moment and started again ends with the very tables of one that was left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, tables, violations, write_catalogue

from schemas.contracts import Modality

N_ITEMS = 40
#: Runs an extraction in pages of 8 items and says on stdout what it is about to do, so that it can be killed right there.
CHILD = """
import os, sys, time
from pathlib import Path
from milkprep import extract
from milkprep.engine import content, pipeline, recording
from schemas.contracts import Modality
from schemas.reporting import Silent

path, modality, encoder, pause = Path(sys.argv[1]), Modality(sys.argv[2]), sys.argv[3], float(sys.argv[4])
content.PAGE_ITEMS[modality] = 8
pipeline.PAGES_UNWRITTEN = 1  # so that there is a moment between any two pages

def announced(module, name, word):
    wrapped = getattr(module, name)
    def announce(*args, **options):
        os.write(1, word.encode() + b"\\n")  # at once, for several threads announce
        time.sleep(pause)  # a kill comes now
        return wrapped(*args, **options)
    setattr(module, name, announce)

announced(pipeline.Batcher, "embed", "embedding")
announced(recording, "record", "recording")
announced(recording.feature_sets, "append_rows", "inside the transaction")
announced(recording.feature_sets, "finish_inside", "finishing")
report = extract.extract(path, modality=modality, encoder=encoder, reporter=Silent())
print("done", report.n_embedded_now, flush=True)
"""


def start(path: Path, modality: Modality, encoder: str, *, pause: float = 0.02) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(path), modality.value, encoder, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})


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
    """Contents a run embedded that was left to end."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return int(said.split()[-1])


def text_catalogue(folder: Path, name: str) -> Path:
    """Texts of very different lengths, some shared between pages, some missing."""
    generator = np.random.default_rng(0)
    words = [" ".join(f"word{n}" for n in generator.integers(0, 50, generator.integers(1, 30))) for _ in range(N_ITEMS // 2)]
    texts = [(words[i % len(words)] if i % 7 else None, None) for i in range(N_ITEMS)]
    return write_catalogue(folder / name, texts)


def picture_catalogue(folder: Path, name: str) -> Path:
    """Pictures, some shared, some broken; the same files for every store of a test."""
    files = {}
    for item in range(N_ITEMS // 2):
        file = folder / f"{item}.png"
        if item % 5 == 3:
            file.write_bytes(b"no picture")
        else:
            write_picture(file, np.roll(gradient(), 3 * (item % 19), axis=1))
        files[item] = [file]
    return write_catalogue(folder / name, [("a", None)] * (N_ITEMS // 2), files={Modality.VISUAL: files})


CATALOGUES = {(Modality.TEXT, "hashed-ngrams"): text_catalogue, (Modality.VISUAL, "colour-layout"): picture_catalogue}


@pytest.mark.parametrize(("modality", "encoder"), CATALOGUES)
def test_killed_again_and_again_it_ends_as_if_it_had_been_left_alone(tmp_path, modality, encoder):
    make = CATALOGUES[modality, encoder]
    alone, killed = make(tmp_path, "alone.duckdb"), make(tmp_path, "killed.duckdb")
    n_contents = finished(start(alone, modality, encoder))
    done = [0]
    for word, times in (("inside the transaction", 2), ("recording", 3)):
        kill_when(start(killed, modality, encoder), word, times=times)
        done.append(query(killed, "SELECT count(DISTINCT content_sha256) FROM feature_rows")[0][0])
        assert violations(killed) == {}
    assert 0 < done[1] < done[2] < n_contents  # killed in the middle, and work was kept
    kill_when(start(killed, modality, encoder), "finishing", times=1)
    assert query(killed, "SELECT finished_at, is_current FROM feature_sets") == [(None, False)]
    assert finished(start(killed, modality, encoder)) == 0
    assert tables(killed) == tables(alone)


def test_killed_at_random_moments_it_ends_as_if_it_had_been_left_alone(tmp_path):
    alone, killed = text_catalogue(tmp_path, "alone.duckdb"), text_catalogue(tmp_path, "killed.duckdb")
    finished(start(alone, Modality.TEXT, "hashed-ngrams"))
    generator = np.random.default_rng(7)
    for _ in range(3):
        child = start(killed, Modality.TEXT, "hashed-ngrams")
        child.stdout.readline()
        time.sleep(generator.uniform(0, 0.5))
        child.kill()
        child.communicate()
    finished(start(killed, Modality.TEXT, "hashed-ngrams"))
    assert tables(killed) == tables(alone)


def test_the_store_can_be_read_by_others_while_content_is_embedded(tmp_path):
    path = text_catalogue(tmp_path, "s.duckdb")
    child = start(path, Modality.TEXT, "hashed-ngrams", pause=0.1)
    while child.stdout.readline().strip() != "embedding":
        pass
    assert query(path, "SELECT count(*) FROM items") == [(N_ITEMS,)]  # another process; it would wait 5 s and fail
    assert finished(child) > 0
