"""SQL kept as documents."""

import sys

import pytest

from schemas import queries


@pytest.fixture
def document(tmp_path, monkeypatch):
    """Writes a `.sql` file into a package `letters`; call with the text, get what `load` makes of it."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "letters" / "it.sql").write_text(text)
        return queries.load("letters", "it.sql")

    yield write
    queries.load.cache_clear()
    sys.modules.pop("letters", None)


def test_statements_come_by_name_in_the_order_of_the_file_without_the_opening_comment(document):
    found = document("About letters.\n\n-- name: second\nSELECT 2;\n\n-- name: first\n-- Why: it is one.\nSELECT 1;\n")
    assert found == {"second": "SELECT 2;", "first": "-- Why: it is one.\nSELECT 1;"}
    assert list(found) == ["second", "first"]


def test_a_name_inside_a_line_is_no_name_line(document):
    assert document("-- name: one\nSELECT 1; -- name: two\n") == {"one": "SELECT 1; -- name: two"}


def test_a_name_given_twice_is_our_own_mistake(document):
    with pytest.raises(AssertionError, match=r"letters/it\.sql names a statement twice"):
        document("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")
