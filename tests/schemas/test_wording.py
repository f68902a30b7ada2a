"""Words that follow from numbers."""

import pytest

from schemas.reporting import Lines
from schemas.wording import counted, unit


@pytest.mark.parametrize(("n", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_one_thing_is_singular_and_none_or_several_are_plural(n, words):
    assert counted(n, "run") == words


def test_a_plural_that_does_not_end_in_s_alone_is_given():
    assert [counted(n, "address", many="addresses") for n in (1, 3)] == ["1 address", "3 addresses"]


@pytest.mark.parametrize(
    ("n", "many", "words"), [(1, "runs", "run"), (1, "addresses", "address"), (2, "runs", "runs"), (None, "runs", "runs"), (1, "", "")]
)
def test_the_unit_of_a_count_follows_from_how_many_there_are_in_all(n, many, words):
    assert unit(n, many) == words


def test_progress_without_a_terminal_counts_one_thing_as_one():
    told = []
    Lines("experiment", total=1, unit="runs", say=told.append).tell()
    assert told[0].startswith("experiment: 0 of 1 run, ")
