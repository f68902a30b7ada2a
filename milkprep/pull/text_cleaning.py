"""Raw catalogue text made fit to embed: entities decoded, markup out, scraped pages refused.

All functions are pure and take time linear in the length of their input, whatever it holds. Entities are decoded exactly
once: `&amp;amp;` becomes `&amp;`, because a second pass would change text that means an entity.
"""

import html
import re
from collections.abc import Iterable

SCRAPED = "scraped HTML instead of a title"

#: `<` directly before a letter, `/` or `!`, up to the next bracket: "a < b" and "<3" are text.
TAG = re.compile(r"<(?=[a-zA-Z/!])[^<>]*>")
TAG_NAME = re.compile(r"</?\s*([a-zA-Z0-9]*)")
#: Elements that lay a page out. A title that holds one is a piece of a page; <b>, <i> or <br> alone are only stripped.
PAGE_ELEMENTS = (
    "a|body|button|div|form|h[1-6]|head|html|iframe|img|input|label|li|link|meta|noscript|ol|option|script|select|span|style|table|td|th|tr|ul"
)
CODE_ELEMENTS = frozenset({"script", "style"})
OPEN_PAGE_ELEMENT = re.compile(rf"<(?:{PAGE_ELEMENTS})(?=[\s>/]|$)(?:[^<>]*>|[^<>=]*=[^<>]*$|$)", re.IGNORECASE)
#: Statements of JavaScript and rules of CSS that scrapers took for titles.
CODE = re.compile(r"\bvar\s\w{1,60}\s?=[^;]{0,500};|\bfunction\s?\w{0,60}\([^()]{0,200}\)\s?\{|[.#@][\w-]{1,80}\s?\{[^{}:]{1,80}:")
#: Code shows at once; looking further into an endless title would only cost time.
CODE_WITHIN = 2000
#: More digits than any character's number has; `html.unescape` would refuse the longest of them.
ENDLESS_REFERENCE = re.compile(r"&#\d{8,};?")
PLACEHOLDER_PICTURE = "no-img-sm"


def clean_title(raw: str) -> tuple[str | None, str | None]:
    """A title as one line of text.

    Args:
        raw: as it stands in the file.

    Returns:
        The title, or None and the reason in words: empty for a title that is not there, else what stood in its place.

    Example:
        >>> clean_title("Salt &amp; Pepper ")
        ('Salt & Pepper', None)
        >>> clean_title('<span class="a-size-medium">')
        (None, 'scraped HTML instead of a title')
    """
    text = _decoded(raw)
    line = _one_line(text)
    if OPEN_PAGE_ELEMENT.search(line) or CODE.search(line[:CODE_WITHIN]):
        return None, SCRAPED
    plain = _one_line(_without_tags(text))
    return (plain, None) if plain else (None, "")


def clean_description(pieces: Iterable[str | None]) -> str | None:
    r"""A description: one line a piece or paragraph, without tags; None when nothing is left.

    Example:
        >>> clean_description(["Soft.<br>Warm.", "", "5 &lt; 6"])
        'Soft. Warm.\n5 < 6'
    """
    lines = [_one_line(line) for piece in pieces if piece for line in _without_tags(_decoded(piece)).splitlines()]
    return "\n".join(line for line in lines if line) or None


def clean_name(raw: str | None) -> str | None:
    """A short text such as a brand or a category: entities decoded, white space collapsed; None when empty."""
    return _one_line(_decoded(raw)) or None if raw else None


def picture_addresses(raw: Iterable[str | None], *, source: str) -> tuple[list[str], str | None]:
    """Addresses of pictures, each once, in order; placeholders that say "no image" are none.

    Args:
        raw: as they stand in the file.
        source: what holds them, for the reason: `the metadata` or a file name.

    Returns:
        The addresses, and where there are none the reason in words.
    """
    given = [address.strip() for address in raw if address and address.strip()]
    real = [address for address in dict.fromkeys(given) if PLACEHOLDER_PICTURE not in address]
    if real:
        return real, None
    return [], f"only a 'no image' placeholder in {source}" if given else f"no picture address in {source}"


def _decoded(raw: str) -> str:
    return html.unescape(ENDLESS_REFERENCE.sub("\ufffd", raw)) if "&" in raw else raw


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    kept: list[str] = []
    at, inside_code = 0, ""
    for tag in TAG.finditer(text):
        if not inside_code:
            kept += text[at : tag.start()], " "
        name = _tag_name(tag.group())
        if not inside_code and name in CODE_ELEMENTS and not tag.group().startswith("</"):
            inside_code = name
        elif inside_code == name and tag.group().startswith("</"):
            inside_code = ""
        at = tag.end()
    return "".join(kept if inside_code else [*kept, text[at:]])


def _tag_name(tag: str) -> str:
    found = TAG_NAME.match(tag)
    return found.group(1).lower() if found else ""
