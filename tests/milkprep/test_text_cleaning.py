"""Text cleaning: entities decoded once, markup out, scraped pages refused, whatever the input in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull.text_cleaning import SCRAPED, clean_description, clean_name, clean_title, picture_addresses


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Baby Tracker&reg; - Log", "Baby Tracker® - Log"),
        ("Salt &amp;amp; Pepper", "Salt &amp; Pepper"),
        ("  two \n lines\t", "two lines"),
        ("Learn <b>Guitar</b>", "Learn Guitar"),
        ("I <3 you, 2 < 3 > 1", "I <3 you, 2 < 3 > 1"),
        ("C# and {braces}: a book", "C# and {braces}: a book"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
    ],
)
def test_titles_become_one_line_of_text(raw, expected):
    assert clean_title(raw) == (expected, None)


@pytest.mark.parametrize("raw", ["", " \n ", "&nbsp;", "<b></b>"])
def test_an_empty_title_is_missing_without_a_reason_of_its_own(raw):
    assert clean_title(raw) == (None, "")


@pytest.mark.parametrize(
    "raw",
    [
        '<span class="a-size-medium a-color-secondary"',
        '<span class="a-price">$12</span>',
        "&lt;div id=x&gt;Gift card",
        "<style",
        "<script>var x</script>",
        "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();",
        ".a-box-inner{background-color:#fff}#buybox .label{color:red}",
        "(function () { return 1 })()".replace("function ()", "function f()"),
        'Card <a href="https://example.org">here</a>',
    ],
)
def test_a_piece_of_a_page_is_no_title(raw):
    assert clean_title(raw) == (None, SCRAPED)


def test_a_description_is_a_line_a_paragraph_without_tags_and_code():
    pieces = ["Soft &amp; <b>warm</b>.", "", None, "<style>p {color: red}</style>One.<br>Two.\n\nThree", "<script>if (a < b) {}</script>"]
    assert clean_description(pieces) == "Soft & warm .\nOne. Two.\nThree"


@pytest.mark.parametrize("pieces", [[], [""], ["&nbsp;&nbsp;", "<br>"], ["<script>never closed"]])
def test_a_description_of_nothing_is_missing(pieces):
    assert clean_description(pieces) is None


@pytest.mark.parametrize(("raw", "expected"), [("Arts &amp; Crafts", "Arts & Crafts"), ("", None), (None, None), (" ", None)])
def test_names_are_decoded(raw, expected):
    assert clean_name(raw) == expected


def test_picture_addresses_come_once_and_in_order():
    assert picture_addresses(["b", " a ", None, "", "b"], source="x") == (["b", "a"], None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(["", None], "no picture address in x"), (["http://e.org/no-img-sm._V1_.gif"], "only a 'no image' placeholder in x")],
)
def test_an_item_without_a_picture_address_says_why(raw, reason):
    assert picture_addresses(raw, source="x") == ([], reason)


@given(st.text(alphabet="<>/!ab&;#19 ={}:.'\"spancript\n", max_size=200))
def test_no_text_is_too_strange_and_what_is_left_is_one_trimmed_line(raw):
    title, reason = clean_title(raw)
    assert (title is None) != (reason is None)
    assert title is None or (title == " ".join(title.split()) and title)
    assert clean_description([raw]) is None or clean_description([raw]).strip() == clean_description([raw])


@pytest.mark.parametrize("piece", ["<", "<a ", "<a =", "&", "&#", "<script", "<span", "</", "var a=", "{", ".a{"])
def test_a_million_repetitions_of_a_trap_end(piece):
    text = piece * 1_000_000
    for cleaned in (clean_title(text), clean_description([text])):
        assert cleaned is None or len(cleaned) <= len(text)
