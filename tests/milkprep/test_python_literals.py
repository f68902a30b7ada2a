r"""Python literals as JSON: what is taken means what `ast.literal_eval` makes of it, and nothing is ever evaluated."""

import ast
import json
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milkprep.pull.staging import LineError
from milkprep.sources._python_literals import to_json

BY_HAND = [
    (b"{'asin': '0001', 'price': 17.95}", {"asin": "0001", "price": 17.95}),
    (b"{'title': \"Players' choice\", 'x': 'the \"best\"'}", {"title": "Players' choice", "x": 'the "best"'}),
    (rb"{'a': 'both \' and \"', 'b': 'line\nnext\ttab'}", {"a": "both ' and \"", "b": "line\nnext\ttab"}),
    (rb"{'a': '\\n', 'b': '\\', 'c': 'x\\\\', 'd': '\\\''}", {"a": "\\n", "b": "\\", "c": "x\\\\", "d": "\\'"}),
    (rb"{'a': 'caf\xe9 \u2019 \U0001f600 \101\0 \N{EURO SIGN}\a\v\f'}", {"a": "café \u2019 \U0001f600 A\0 €\a\v\f"}),
    (rb"{'a': 'no escapes: \d \/ \ '}", {"a": "no escapes: \\d \\/ \\ "}),
    (b"{u'a': u'x', U\"b\": None, 'c': True, 'd': False}", {"a": "x", "b": None, "c": True, "d": False}),
    ("{'a': 'naïve'}".encode(), {"a": "naïve"}),
    (b"{'a': [], 'b': {}, 'c': '', 'd': \"\", 'e': [['x', 'y'], ['z']]}", {"a": [], "b": {}, "c": "", "d": "", "e": [["x", "y"], ["z"]]}),
    (b"{'a': ', ', 'b': [', ', ': ', '], [', '{}']}", {"a": ", ", "b": [", ", ": ", "], [", "{}"]}),
    (b"{'a': 'None', 'b': 'true', 'c': -1e-05, 'd': 10000000000000000000000}", {"a": "None", "b": "true", "c": -1e-05, "d": 10**22}),
    (b"{'a': 'tab\there', 'b': 1}\r", {"a": "tab\there", "b": 1}),
    (b"{'related': \"asin': 'x\", 'asin': 'y'}", {"related": "asin': 'x", "asin": "y"}),
    (rb"{'a': u'\ud83d\ude00'}", {"a": "\U0001f600"}),  # as narrow builds of Python 2 wrote one character
]
REFUSED = [
    b"{'a': null}",
    b"{'a': true}",
    b"{'a': __import__('os').system('true')}",
    b"{'a': f'x'}",
    b"{'a': b'x'}",
    b"{'a': r'x'}",
    b"{'a': x}",
    b"{'a': 'x' 'y'}",
    b"{'a': ('x',)}",
    b"{'a': 0x1f}",
    b"{'a': 1_000}",
    b"{'a': 1 if True else 2}",
    b"{'a': 'x'} # more",
    b"{'a': 'x",
    b'{"a": "x',
    b"{'a': 'x\\'}",
    rb"{'a': '\xg0'}",
    rb"{'a': '\x4'}",
    rb"{'a': '\u12'}",
    rb"{'a': '\U00110000'}",
    rb"{'a': '\N{NO SUCH SIGN}'}",
    rb"{'a': '\N'}",
    rb"{'a': '\ud800'}",
    rb"{'a': '\U0000dc00 x'}",
    b"{'a': 'x'",
    b"{'a': Truer}",
    b"{'a': NaN}",
    b"{'a': -Infinity}",
    b"{'a': 'x\0y'}",
    b"\\",
    b"{'a': \\'x'}",
    b"",
]


@pytest.mark.parametrize("at", range(len(BY_HAND)))
def test_literals_become_what_they_say(at):
    line, expected = BY_HAND[at]
    assert json.loads(to_json(line)) == expected


@pytest.mark.parametrize("at", range(len(REFUSED)))
def test_what_is_no_literal_is_refused_here_or_by_the_decoder_of_json(at):
    with pytest.raises((LineError, json.JSONDecodeError)):
        json.loads(to_json(REFUSED[at]))


def test_a_refusal_says_what_and_where():
    with pytest.raises(LineError, match=r"no Python literal: \"open\('x'\)}\" at byte 7"):
        to_json(b"{'a': open('x')}")


TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("'\"\\\n\t,: {}[]uxN0")), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def literal_of(line):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes that are none
        return ast.literal_eval(line)


@settings(deadline=None, max_examples=400)
@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.booleans())
def test_whatever_repr_writes_comes_back(value, as_ascii):
    line = (ascii(value) if as_ascii else repr(value)).encode()
    assert json.loads(to_json(line)) == value


@st.composite
def strings_as_source(draw, *, one=False):
    """String literals with every kind of escape, of either quote, some of them broken; perhaps several side by side, unless one is wanted."""
    quote = draw(st.sampled_from("'\""))
    letters = st.characters(exclude_categories=["Cs", "Cc"])
    pieces = draw(
        st.lists(
            st.one_of(
                letters.filter(lambda c: c not in f"{quote}\\"),
                st.sampled_from(
                    ["\\\n", "\\'", '\\"', "\\\\", "\\n", "\\b", "\\f", "\\0", "\\7", "\\12", "\\377", "\\400", "\\8", "\\N{BULLET}", "\\N{NULL}"]
                ),
                st.integers(0, 0xFF).map(lambda n: f"\\x{n:02X}"),
                st.integers(0, 0xFFFF).filter(lambda n: not 0xD800 <= n < 0xE000).map(lambda n: f"\\u{n:04x}"),
                st.integers(0, 0x110FFF).filter(lambda n: not 0xD800 <= n < 0xE000).map(lambda n: f"\\U{n:08x}"),
                st.characters(codec="ascii", exclude_categories=["Cc"]).map(lambda c: f"\\{c}"),
                st.sampled_from(["\t", '"', "'", "\\x4", "\\N{latin small letter a}", "\\N{KEYCAP NUMBER SIGN}", "\x7f", "\x01"]),
            ),
            max_size=8,
        )
    )
    return draw(st.sampled_from(["", "", "u", "U", "b", "r"])) + quote + "".join(piece for piece in pieces if piece != quote or not one) + quote


SOURCES = st.lists(
    st.one_of(strings_as_source(), st.sampled_from([*"{}[],:'\" +-.019e", "None", "True", "null", "a", "1.5", ", ", "': '"])), max_size=9
)


@settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(SOURCES, st.booleans())
def test_what_is_taken_is_what_the_standard_library_takes(pieces, as_value):
    source = "{'k': " + "".join(pieces) + ", 'l': 'x'}" if as_value else "".join(pieces)
    line = source.replace("\n", " ").encode()
    try:
        taken = json.loads(to_json(line))
    except (LineError, json.JSONDecodeError):
        return
    assert repr(taken) == repr(literal_of(line.decode()))


@settings(deadline=None, max_examples=300)
@given(strings_as_source(one=True))
def test_a_string_that_the_standard_library_takes_is_taken_unless_it_is_bytes_or_raw(source):
    line = f"{{'a': {source}}}".replace("\n", " ")
    try:
        expected = literal_of(line)
    except (SyntaxError, ValueError):
        return
    if not source.startswith(("b", "r")):
        assert json.loads(to_json(line.encode())) == expected


HOSTILE = [b"'", b'"', b"\\", b"\\'", b"'\"", b"\\\"'", b"', '", b"'\\\\", b'""', b"u'", b"[", b"{'a':", b"\\N{", b"'\\ud83d", b"''x"]


@pytest.mark.parametrize("at", range(len(HOSTILE)))
@pytest.mark.parametrize("start", [b"", b"{'a': '", b"{'a': \"", b"{'a': '\t"], ids=["alone", "in single", "in double", "after a tab"])
def test_a_long_line_made_to_be_slow_ends(at, start):
    # In a time that grows with the square of the length, this would take an hour.
    assert_ends(start + HOSTILE[at] * (1_000_000 // len(HOSTILE[at])))


@pytest.mark.parametrize("piece", [b"'", b"\\", b"\\'"], ids=["quotes", "backslashes", "both"])
def test_a_line_of_ten_megabytes_of_quotes_or_backslashes_ends(piece):
    assert_ends(b"{'a': '" + piece * (10_000_000 // len(piece)))


def assert_ends(line):
    """Either the whole line is rewritten, or a short reason says why not."""
    try:
        json_size, reason = len(to_json(line)), ""
    except LineError as refusal:
        json_size, reason = len(line), str(refusal)
    assert json_size >= len(line) // 2
    assert len(reason) < 300
