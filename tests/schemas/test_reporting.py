"""Progress without a terminal: lines that say how far work is, how fast, and how long it will take."""

import threading

import pytest

from schemas import reporting
from schemas.reporting import Lines, lines


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(label: str, *, total: int | None, unit: str) -> tuple[Lines, list[str], Clock]:
    said, clock = [], Clock()
    return Lines(label, total=total, unit=unit, say=said.append, clock=clock), said, clock


def test_a_line_has_the_count_the_rate_since_the_line_before_and_the_time_left_at_that_rate():
    work, said, clock = told("visual by open-clip", total=10_000, unit="pictures")
    work.advance(3000)
    work.note("read 3,100, written 2,900")
    clock.now += 30
    work.tell()
    work.advance()
    work.advance(299)
    clock.now += 30
    work.tell()
    assert said == [
        "visual by open-clip: 3,000 of 10,000 pictures, 100/s, 0:30 so far, 1:10 left (read 3,100, written 2,900)",
        "visual by open-clip: 3,300 of 10,000 pictures, 10.0/s, 1:00 so far, 11:10 left (read 3,100, written 2,900)",
    ]


def test_work_that_stands_still_says_so_and_gives_no_time():
    work, said, clock = told("text by x", total=7200, unit="texts")
    clock.now += 3725
    work.tell()
    assert said == ["text by x: 0 of 7,200 texts, 0.00/s, 1:02:05 so far"]


@pytest.mark.parametrize(
    ("unit", "line"), [("rounds", "work: 3 rounds, 0.10/s, 0:30 so far"), ("", "work: 0:30 so far")], ids=["counted", "not counted"]
)
def test_work_without_a_known_end_has_no_time_left(unit, line):
    work, said, clock = told("work", total=None, unit=unit)
    work.advance(3)
    clock.now += 30
    work.tell()
    assert said == [line]


def test_what_is_done_before_the_first_line_is_due_says_nothing():
    said = []
    with lines("work", total=1, unit="files", say=said.append) as work:
        work.advance()
    assert said == []


def test_lines_come_by_themselves_while_work_says_nothing(monkeypatch):
    monkeypatch.setattr(reporting, "LINE_EVERY_S", 0.001)
    said, heard = [], threading.Event()
    with lines("loading", total=None, unit="", say=lambda line: (said.append(line), heard.set())):
        assert heard.wait(60)  # another thread speaks
    assert said[0] == "loading: 0:00 so far"


def test_an_error_inside_ends_the_lines_and_is_raised():
    with pytest.raises(ValueError, match="broken"), lines("work", total=None, unit="", say=print):
        raise ValueError("broken")
