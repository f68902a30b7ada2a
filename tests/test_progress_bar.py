"""What the command line shows of work under way: on a terminal a bar and a remark below it, elsewhere nothing that is not needed."""

import io
import re

import pytest
from rich.console import Console as Terminal

from cli import RichConsole


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(screen) -> RichConsole:
    """A console on a terminal of 80 columns."""
    console = RichConsole()
    console.talk = Terminal(file=screen, force_terminal=True, width=80, soft_wrap=True, highlight=False, markup=False)
    return console


def shown(screen: io.StringIO) -> list[str]:
    """Lines of the last picture on the screen."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    return [line.rstrip() for line in lines if line.strip()][-2:]


def test_a_bar_has_count_rate_and_time_and_the_remark_stands_below_in_eighty_columns(console, screen):
    remark = "read 12,000, decoded 11,900, encoded 11,000, written 9,000"
    with console.progress("visual by [open-clip]", total=20, unit="pictures") as progress:
        for _ in range(20):
            progress.advance()
        progress.note(remark)
    bar, below = shown(screen)
    assert re.fullmatch(r"visual by \[open-clip\] ━+ 20/20 pictures +([\d,.]+/s )?00:00", bar)
    assert below == f"  {remark}"
    assert len(bar) <= 80


def test_work_that_counts_nothing_shows_its_name_and_the_time_it_takes(console, screen):
    with console.progress("loading MiniLM", total=None, unit=""):
        pass
    assert re.fullmatch(r"loading MiniLM .* 0:00:00", shown(screen)[-1])


def test_nothing_of_it_goes_where_no_terminal_is(capsys):
    console = RichConsole()
    console.talk = Terminal(stderr=True, force_terminal=False, width=80)
    with console.progress("visual by x", total=1, unit="pictures") as progress:
        progress.advance()
    assert capsys.readouterr() == ("", "")
