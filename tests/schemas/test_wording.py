"""Words that follow from numbers."""

import pytest

from schemas.wording import counted


@pytest.mark.parametrize(("n", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_one_thing_is_singular_and_none_or_several_are_plural(n, words):
    assert counted(n, "run") == words


def test_a_plural_that_does_not_end_in_s_alone_is_given():
    assert [counted(n, "address", many="addresses") for n in (1, 3)] == ["1 address", "3 addresses"]
