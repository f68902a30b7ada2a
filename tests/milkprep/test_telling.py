"""What who watches an extraction is told: every asset once in every stage, a few times a second, and that weights are being loaded."""

import re
from contextlib import contextmanager

import polars as pl
import pytest
from media_samples import gradient, write_picture
from small_catalogue import write_catalogue

from milkprep.engine import content, decoders
from milkprep.engine.content import REFUSED, ROWS, Page
from milkprep.engine.telling import Telling
from milkprep.extract import extract
from schemas.contracts import Modality, Several


class Remembered:
    """A task under way that remembers what it was told."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.notes, self.n_told = 0, [], 0

    def advance(self, n: int = 1) -> None:
        self.done, self.n_told = self.done + n, self.n_told + 1

    def note(self, text: str) -> None:
        self.notes.append(text)


class Remembering:
    """A reporter that remembers its tasks."""

    def __init__(self) -> None:
        self.tasks: list[Remembered] = []

    @contextmanager
    def progress(self, label: str, *, total: int | None, unit: str):
        self.tasks.append(Remembered(label, total, unit))
        yield self.tasks[-1]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def page(contents: str, *, known: str = "", n_refused: int = 0) -> Page:
    rows = [(item, 0, "", sha256) for item, sha256 in enumerate(contents)]
    refused = [(item, 0, "", None, "decode_error", "gone") for item in range(n_refused)]
    frames = pl.DataFrame(rows, schema=ROWS, orient="row"), pl.DataFrame(refused, schema=REFUSED, orient="row")
    return Page(*frames, dict.fromkeys(contents, ""), frozenset(known))


def test_a_content_counts_as_often_as_it_is_shared_in_every_stage():
    task, clock = Remembered("", None, ""), Clock()
    telling = Telling(task, clock=clock)
    first = page("aabk", known="k", n_refused=2)

    def told() -> str:
        clock.now += 1
        telling.flush()
        return task.notes[-1]

    telling.read(first)
    assert told() == "read 6, decoded 0, encoded 0, written 0"
    telling.decoded(telling.assets_of("ab"))
    assert told() == "read 6, decoded 3, encoded 0, written 0"
    telling.taken(first)
    assert told() == "read 6, decoded 6, encoded 3, written 0"
    telling.encoded("a")
    assert (told(), task.done) == ("read 6, decoded 6, encoded 5, written 0", 5)
    telling.encoded("b")
    telling.written(first)
    assert (told(), task.done) == ("read 6, decoded 6, encoded 6, written 6", 6)


def test_who_watches_hears_of_it_eight_times_a_second_at_most():
    task, clock = Remembered("", None, ""), Clock()
    telling = Telling(task, clock=clock)
    contents = [f"{n:03}" for n in range(800)]
    rows = pl.DataFrame([(n, 0, "", sha256) for n, sha256 in enumerate(contents)], schema=ROWS, orient="row")
    telling.read(Page(rows, pl.DataFrame(schema=REFUSED), {}, frozenset()))
    for sha256 in contents:
        clock.now += 2**-8  # about three seconds in all
        telling.encoded(sha256)
    telling.flush()
    assert task.done == 800
    assert task.n_told == 1 + 25 + 1  # the first at once, then one in every 32, and the end
    assert task.notes[-1] == "read 800, decoded 0, encoded 800, written 0"


@pytest.fixture
def pictures(tmp_path):
    """Six pictures of four items on two pages: one shared by three of them, one that is none, one that is gone."""
    shared = write_picture(tmp_path / "shared.png")
    other = write_picture(tmp_path / "other.png", gradient(20, 30))
    wrong = tmp_path / "wrong.png"
    wrong.write_text("no picture")
    files = {0: [shared], 1: [wrong, shared], 2: [tmp_path / "gone.png", other], 3: [shared]}
    return write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 4, files={Modality.VISUAL: files})


def run(path, monkeypatch, **options) -> list[Remembered]:
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.VISUAL, 2)
    monkeypatch.setattr(decoders, "of", lambda encoder, n_workers: decoders.ThreadDecoder(encoder))
    reporter = Remembering()
    extract(path, modality=Modality.VISUAL, encoder="colour-layout", reporter=reporter, **options)
    return reporter.tasks


def test_every_asset_is_counted_once_in_every_stage_and_loading_is_a_task_of_its_own(pictures, monkeypatch):
    loading, embedding = run(pictures, monkeypatch)
    assert (loading.label, loading.total) == ("loading colour-layout", None)
    assert (embedding.label, embedding.total, embedding.done, embedding.unit) == ("visual by colour-layout", 6, 6, "pictures")
    assert embedding.notes[-1] == "read 6, decoded 6, encoded 6, written 6"


def test_no_stage_is_ahead_of_the_one_before_it(pictures, monkeypatch):
    monkeypatch.setattr("milkprep.engine.telling.EVERY_S", 0)
    _, embedding = run(pictures, monkeypatch)
    assert len(embedding.notes) > 6
    for note in embedding.notes:
        read, _, encoded, written = (int(n) for n in re.findall(r"\d+", note))
        assert read >= encoded >= written


def test_a_run_that_goes_on_counts_only_what_is_left(pictures, monkeypatch):
    run(pictures, monkeypatch)
    loading = run(pictures, monkeypatch)
    assert [task.label for task in loading] == ["loading colour-layout"]
    _, again = run(pictures, monkeypatch, retry_failed=True)
    assert (again.total, again.done) == (2, 2)


def test_each_pass_for_the_first_of_several_is_a_task_of_its_own(pictures, monkeypatch):
    _, first, second = run(pictures, monkeypatch, several=Several.FIRST)
    assert (first.label, first.total, first.done) == ("visual by colour-layout", 4, 4)
    assert (second.label, second.total, second.done) == ("visual by colour-layout, next of several", 2, 2)
