r"""Python literals, one a line, as JSON: dicts, lists, strings, numbers, None, True and False; nothing is evaluated.

The 2014 release of Amazon's metadata was written with `repr`. Nearly all of such a line differs from JSON only in its quotes, so
it is rewritten in long runs, and strings that hold quotes or escapes one by one. A line with anything rarer is cut into
tokens by one compiled expression. Whatever else Python can say (calls, names, tuples, sets, bytes, f-strings, comments) is refused,
and so are a trailing comma and strings side by side, which `repr` does not write.

Promises: time linear in the length of the line, whatever it holds; where the result decodes as JSON, it means what
`ast.literal_eval` makes of the line. What stands between strings is handed on as it is: brackets, commas, colons and characters
of numbers only, of which JSON allows less than Python does, so that a decoder refuses what is wrong in it.
"""

import re
import unicodedata

from milkprep.pull.staging import LineError
from schemas.contracts import RejectReason

CONTROLS = bytes(range(0x20))
BACKSLASH = ord("\\")
#: Escapes that `repr` writes most; JSON does not know the last.
SIMPLE_ESCAPES = (rb"\n", rb"\t", rb"\r", rb"\'")
#: Between strings: no letter but that of exponents, so that no name can be spelled.
STRUCTURE = b" {}[],:0123456789eE.+-"
BETWEEN = rb"[ \t{}\[\],:0-9eE.+-]*+"
#: Of each token a run that needs other quotes only, then at most one of: a string, a name, the mark of a Unicode string, or
#: all the rest, which is refused: to look further could take a time that grows with the square of the length.
TOKENS = re.compile(
    rb"((?:" + BETWEEN + rb"'[^'\"\\\x00-\x1f]*+')*+" + BETWEEN + rb")"
    rb"(?:(\"(?:[^\"\\\x00\r\n]|\\[^\x00\r\n])*+\"|'(?:[^'\\\x00\r\n]|\\[^\x00\r\n])*+')"
    rb"|(None|True|False)(?![0-9A-Za-z_])|[uU](?=['\"])|([\s\S]++))?"
)  # fmt: skip
NAMES = {b"None": b"null", b"True": b"true", b"False": b"false"}
#: The inside of a string that both languages write alike.
ALIKE = re.compile(rb"(?:[^\\\"\x00-\x1f]|\\[\\\"nrtbf])*+")
#: What JSON writes otherwise inside of a string, or may.
UNLIKE = re.compile(rb"\\(?:N\{[^{}]*+\}|[0-7]{1,3}|x..|u....|U........|[\s\S])|[\"\x00-\x1f]")
SAME_CHARACTER = frozenset(rb"\"nrtbf"[at : at + 1] for at in range(7)) | {b"\\"}
OTHER_ESCAPES = {b"'": b"'", b"a": rb"\u0007", b"v": rb"\u000b"}
HEXADECIMAL = re.compile(rb"[xuU][0-9a-fA-F]++")
#: Halves of a character beyond 16 bits: pairs are sound, and the group holds one that is alone.
HALVES = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")
START_SHOWN = 20


def to_json(line: bytes) -> bytes:
    r"""A line that holds one Python literal, as JSON.

    Args:
        line: UTF-8, without its line end; a carriage return may be left.

    Returns:
        The same in JSON. Decode it to learn whether its brackets, commas and numbers are right. Two halves of a character beyond
        16 bits, as narrow builds of Python 2 wrote them, become that character.

    Raises:
        LineError: malformed, where something is no literal or has no counterpart in JSON.

    Example:
        >>> to_json(b"{'asin': '1', 'title': \"Players' choice\", 'price': None}")
        b'{"asin": "1", "title": "Players\' choice", "price": null}'
    """
    line = line.strip(b" \t\r")
    common = _common(line)
    return _tokenised(line) if common is None else common


def _common(line: bytes) -> bytes | None:
    """What `to_json` says of a line as `repr` writes most of them, None where the line has to be cut into tokens."""
    if len(line.translate(None, CONTROLS)) != len(line):
        return None
    json, outside = bytearray(), bytearray()
    done, quote, escape, length = 0, line.find(b'"'), line.find(b"\\"), len(line)
    while (odd := min(quote % (length + 1), escape % (length + 1))) < length:  # -1, for none, becomes the length
        run_end, close = odd, b'"'
        if line.count(b"'", done, odd) % 2:  # it is inside of a string that single quotes bound
            run_end, close = line.rindex(b"'", done, odd), b"'"
        run = line[done:run_end]
        done = _closing(line, close, run_end + 1) + 1
        text = _simple_string(line[run_end + 1 : done - 1]) if done else None
        if text is None or (run_end == odd == escape):
            return None
        outside += _outside(run)
        json += run.replace(b"'", b'"') + b'"' + text + b'"'
        quote = line.find(b'"', done) if 0 <= quote < done else quote
        escape = line.find(b"\\", done) if 0 <= escape < done else escape
    run = line[done:]
    if run.count(b"'") % 2 or (outside + _outside(run)).translate(None, STRUCTURE):
        return None
    return bytes(json + run.replace(b"'", b'"'))


def _outside(run: bytes) -> bytes:
    """What stands outside of strings, in a run of whole strings that single quotes bound; commas between two of them left out.

    Two quotes go with each comma, so that what is outside stays outside, even where the comma is itself a string.
    """
    return b"".join(run.replace(b"', '", b"").split(b"'")[::2])


def _closing(line: bytes, quote: bytes, start: int) -> int:
    """Where a string ends whose inside starts at `start`; -1 if nowhere."""
    while (at := line.find(quote, start)) > start and line[at - 1] == BACKSLASH:
        since = line[start:at]  # the last quote: what escapes this one stands here
        if (len(since) - len(since.rstrip(b"\\"))) % 2 == 0:
            break
        start = at + 1
    return at


def _simple_string(inside: bytes) -> bytes | None:
    """The inside of a string whose only escapes are of lines, tabs and quotes."""
    n_escapes = inside.count(b"\\")
    if n_escapes:
        if n_escapes != sum(map(inside.count, SIMPLE_ESCAPES)):  # else each backslash begins one of these
            return None
        inside = inside.replace(rb"\'", b"'")
    return inside.replace(b'"', rb"\"")


def _tokenised(line: bytes) -> bytes:
    json = bytearray()
    for token in TOKENS.finditer(line):
        run, text, name, rest = token.groups()
        if rest:
            start = rest[:START_SHOWN].decode("utf-8", "replace")
            raise LineError(RejectReason.MALFORMED, f"no Python literal: {start!r} at byte {token.start(4) + 1}")
        json += run.replace(b"'", b'"') + (_string(text[1:-1]) if text else NAMES.get(name, b""))
    return bytes(json)


def _string(inside: bytes) -> bytes:
    if not ALIKE.fullmatch(inside):
        inside = UNLIKE.sub(_unlike, inside)
        if b"\\u" in inside and any(half.group(1) for half in HALVES.finditer(inside)):
            raise LineError(RejectReason.MALFORMED, "half of a character, an unpaired surrogate")
    return b'"' + inside + b'"'


def _unlike(found: re.Match[bytes]) -> bytes:
    text = found.group()
    if len(text) == 1:
        return rb"\"" if text == b'"' else b"\\u%04x" % text[0]
    escape = text[1:]
    if escape in SAME_CHARACTER:
        return text
    if escape in OTHER_ESCAPES:
        return OTHER_ESCAPES[escape]
    if escape[0] in b"01234567":
        return _character(int(escape, 8))
    if escape[0] in b"xuU":
        if not HEXADECIMAL.fullmatch(escape):
            raise LineError(RejectReason.MALFORMED, f"{text.decode('utf-8', 'replace')} is cut short or no escape")
        return _character(int(escape[1:], 16))
    if escape[0] == ord("N"):
        return _named(escape)
    return b"\\\\" + escape  # no escape: the backslash is one


def _named(escape: bytes) -> bytes:
    name = escape[2:-1].decode("utf-8", "replace")
    try:
        character = unicodedata.lookup(name)
    except KeyError:
        character = ""
    if len(character) != 1:  # a name may be that of a sequence, which no escape means
        raise LineError(RejectReason.MALFORMED, f"no character is named {name!r}")
    return _character(ord(character))


def _character(number: int) -> bytes:
    if number > 0x10FFFF:
        raise LineError(RejectReason.MALFORMED, f"there is no character {number:#x}")
    return b"\\u%04x" % number if number < 0x10000 else chr(number).encode()
