"""The words of the contract mean what their names say, and the store's SQL spells them the same way."""

import re

import pytest

from schemas import errors
from schemas.contracts import Modality, Setting
from schemas.queries import documents


@pytest.mark.parametrize(
    ("setting", "training_loses", "test_loses"),
    [("ftft", False, False), ("ftmt", False, True), ("mtft", True, False), ("mtmt", True, True)],
)
def test_a_setting_says_where_modalities_are_lost(setting, training_loses, test_loses):
    assert (Setting(setting).training_loses, Setting(setting).test_loses) == (training_loses, test_loses)


def test_the_availability_view_knows_every_modality_in_declared_order():
    view = dict(documents("schemas.views"))["10_modality_availability"]
    assert re.findall(r"VALUES (.*)\) AS m", view) == [", ".join(f"('{modality}')" for modality in Modality)]


def drawn_tree():
    """(class, parent) pairs of the tree drawn in the docstring of schemas/errors.py, read by indentation."""
    above, pairs = [], set()
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^([ │├└─]{4,})(\w+)(?: {2,}|$)", line):
            depth = len(found[1])
            above = [(d, name) for d, name in above if d < depth]
            pairs.add((found[2], above[-1][1] if above else "Exception"))
            above.append((depth, found[2]))
    return pairs


def test_the_error_tree_is_the_one_that_is_drawn():
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert drawn_tree() == {(kind.__name__, kind.__base__.__name__) for kind in classes}


def test_usage_errors_exit_with_two_and_data_errors_with_one():
    assert errors.UnknownName.exit_code == errors.BadValue.exit_code == 2
    assert errors.StoreLocked.exit_code == errors.SplitMissing.exit_code == 1
