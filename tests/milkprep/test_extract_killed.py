"""An extraction killed at any moment and started again ends with the very tables of one that was left alone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, tables, violations, write_catalogue

from schemas.contracts import Modality

N_ITEMS = 40
#: An extraction in small pages that says on stdout what it is about to do, so that it can be killed right there.
PREPARED = """
import os, sys, time
from pathlib import Path
from milkprep import extract
from milkprep.engine import content, pipeline, recording
from schemas.contracts import Modality
from schemas.reporting import Silent

path, modality, encoder, page_items, pause = Path(sys.argv[1]), Modality(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
content.PAGE_ITEMS[modality] = page_items
pipeline.PAGES_UNWRITTEN = 1  # so that there is a moment between any two pages

def say(*words):
    os.write(1, " ".join(map(str, words)).encode() + b"\\n")  # at once, for several threads and processes speak

def announced(module, name, word):
    wrapped = getattr(module, name)
    def announce(*args, **options):
        say(word)
        time.sleep(pause)  # a kill comes now
        return wrapped(*args, **options)
    setattr(module, name, announce)

announced(extract.feature_sets, "register", "registering")
announced(pipeline.Batcher, "embed", "embedding")
announced(recording, "record", "recording")
announced(recording.feature_sets, "append_rows", "inside the transaction")
announced(recording.feature_sets, "finish_inside", "finishing")

def run():
    report = extract.extract(path, modality=modality, encoder=encoder, workers=2, reporter=Silent())
    say("done", report.n_embedded_now)
"""
CHILD = PREPARED + "run()"
#: For each line it reads it runs one extraction in a fork of itself, which need not import anything, and says how that ended.
MANY = (
    PREPARED
    + """
for _ in sys.stdin:
    number = os.fork()
    if not number:
        run()
        os._exit(0)
    say("started", number)
    say("ended", os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
"""
)


def start(path: Path, modality: Modality, encoder: str, *, pause: float = 0.02, code: str = CHILD, page_items: int = 8) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(path), modality.value, encoder, str(page_items), str(pause)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MILK_STARTED_FOR": str(path)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=environment)


def kill_when(child: subprocess.Popen[str], word: str, *, times: int) -> None:
    """Kill a run when it says a word for the n-th time."""
    for line in child.stdout:
        times -= line.strip() == word
        if not times:
            break
    assert not times, f"the run ended before it said {word!r} often enough"
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL


def finished(child: subprocess.Popen[str]) -> int:
    """Contents a run embedded that was left to end."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return int(said.split()[-1])


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


def test_killed_within_and_between_passes_for_the_first_picture_it_ends_as_if_it_had_been_left_alone(tmp_path):
    """Eight of forty pictures are none; one of them has another picture behind it, which a second pass embeds: five pages, then one."""
    code = CHILD.replace("import Modality", "import Modality, Several").replace("reporter=", "several=Several.FIRST, reporter=")
    alone, killed = (picture_catalogue(tmp_path, f"{name}.duckdb", n_items=40) for name in ("alone", "killed"))
    of = (Modality.VISUAL, "colour-layout")
    finished(start(alone, *of, code=code))
    kill_when(start(killed, *of, code=code), "inside the transaction", times=3)
    for times in (5, 6):
        kill_when(start(killed, *of, code=code), "recording", times=times)
        assert violations(killed) == {}
    assert query(killed, "SELECT count(*), count(*) FILTER (WHERE item_idx = 23) FROM feature_rows") == [(32, 0)]
    assert finished(start(killed, *of, code=code)) == 0  # the picture is also another item's
    assert query(killed, "SELECT position FROM feature_rows WHERE item_idx = 23") == [(1,)]
    assert tables(killed) == tables(alone)


class Attempts:
    """Extractions of one store, one after the other, each killed after so many words and a little while, or left to end."""

    def __init__(self, path: Path, modality: Modality, encoder: str) -> None:
        self._many = start(path, modality, encoder, code=MANY, page_items=4, pause=0.01)

    def attempt(self, *, words: int | None = None, more_s: float = 0.0) -> int:
        """The exit code of one."""
        self._many.stdin.write("\n")
        self._many.stdin.flush()
        number = 0
        while (said := self._next())[0] != "ended":
            if said[0] == "started":
                number = int(said[1])
            elif words is not None:
                words -= 1
            if number and words == 0:
                time.sleep(more_s)
                os.kill(number, signal.SIGKILL)
                words = None
        return int(said[1])

    def close(self) -> None:
        self._many.communicate(timeout=60)
        assert self._many.returncode == 0

    def _next(self) -> list[str]:
        return self._many.stdout.readline().split()


def decoders_of(path: Path) -> list[int]:
    """Processes that decode for an extraction of a store, also for one that was killed."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if f"MILK_STARTED_FOR={path}".encode() in (folder / "environ").read_bytes() and b"decoder" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize(("modality", "encoder"), CATALOGUES)
def test_killed_at_ten_random_moments_it_ends_as_if_it_had_been_left_alone(tmp_path, modality, encoder):
    make = CATALOGUES[modality, encoder]
    alone, killed = make(tmp_path, "alone.duckdb", n_items=128), make(tmp_path, "killed.duckdb", n_items=128)
    left, many, generator = Attempts(alone, modality, encoder), Attempts(killed, modality, encoder), np.random.default_rng(7)
    assert left.attempt() == 0
    for _ in range(10):
        assert many.attempt(words=int(generator.integers(1, 13)), more_s=generator.uniform(0, 0.02)) == -signal.SIGKILL
    assert violations(killed) == {}
    assert many.attempt() == 0
    left.close()
    many.close()
    assert tables(killed) == tables(alone)
    deadline = time.monotonic() + 30
    while decoders_of(killed):
        assert time.monotonic() < deadline, "decoders outlive the extraction they decoded for"
        time.sleep(0.05)


def test_the_store_can_be_read_by_others_while_content_is_embedded(tmp_path):
    path = text_catalogue(tmp_path, "s.duckdb")
    child = start(path, Modality.TEXT, "hashed-ngrams", pause=0.1)
    while child.stdout.readline().strip() != "embedding":
        pass
    assert query(path, "SELECT count(*) FROM items") == [(N_ITEMS,)]  # another process; it would wait 5 s and fail
    assert finished(child) > 0
