"""A folder of modules as its own registry."""

import sys

import pytest

from schemas import plugins
from schemas.errors import UnknownName


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `drawers` of two plugins that fail when imported unasked, a private module, and a document."""
    folder = tmp_path / "drawers"
    folder.mkdir()
    for name, text in {"__init__": "", "_shared": "", "line_art": "PEN = 1", "water_colour": "raise RuntimeError('imported')"}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "README.md").write_text("how to add one")
    monkeypatch.syspath_prepend(tmp_path)
    yield "drawers"
    for name in [name for name in sys.modules if name.startswith("drawers")]:
        del sys.modules[name]


def test_plugins_are_listed_by_public_name_sorted_without_private_modules(package):
    assert plugins.names(package) == ["line-art", "water-colour"]


def test_listing_imports_no_plugin(package):
    plugins.names(package)
    assert not [name for name in sys.modules if name.startswith("drawers.")]


def test_loading_imports_just_the_one_asked_for(package):
    assert plugins.load(package, "line-art").PEN == 1
    assert "drawers.water_colour" not in sys.modules


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known(package):
    with pytest.raises(UnknownName, match=r"There is no drawer named 'linear'. Did you mean 'line-art'. Known: line-art, water-colour"):
        plugins.load(package, "linear")


def test_a_name_near_nothing_gets_no_guess(package):
    with pytest.raises(UnknownName, match=r"named 'zzz'. Known"):
        plugins.load(package, "zzz")


@pytest.mark.parametrize("name", ["_shared", "../line-art", "os.path", "", "line_art"])
def test_only_public_names_can_be_loaded(package, name):
    with pytest.raises(UnknownName, match=r"Known: line-art"):
        plugins.load(package, name)
