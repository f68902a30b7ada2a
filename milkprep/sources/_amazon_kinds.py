"""Which Amazon file is this? Told by content, so that a wrong file is named for what it is.

Facts about the releases: McAuley lab, 2014 (metadata as Python literals), 2018 (JSON), 2023 (JSON, `parent_asin`).
"""

from collections import Counter
from enum import StrEnum
from pathlib import Path

import msgspec

from milkprep.pull.lines import first_lines
from milkprep.pull.staging import REFUSALS
from schemas.errors import SourceError

LINES_LOOKED_AT = 100
START_SHOWN = 60
KEYS_OF_2014 = frozenset({"imUrl", "salesRank", "related", "categories"})


class Kind(StrEnum):
    """A file of one release."""

    METADATA_2014 = "Amazon 2014 metadata"
    METADATA_2018 = "Amazon 2018 metadata"
    METADATA_2023 = "Amazon 2023 metadata"
    REVIEWS_2014 = "Amazon 2014 reviews"
    REVIEWS_2018 = "Amazon 2018 reviews"
    REVIEWS_2023 = "Amazon 2023 reviews"


def of_line(line: bytes) -> Kind | None:
    """The kind of file a line is from, None where it is from none of them.

    Example:
        >>> of_line(b"{'asin': '0001', 'title': 'A title'}").value
        'Amazon 2014 metadata'
    """
    if line.lstrip().startswith(b"{'"):
        return Kind.METADATA_2014
    try:
        record = msgspec.json.decode(line)
    except REFUSALS:
        return None
    keys = record.keys() if isinstance(record, dict) else set()
    if "parent_asin" in keys:
        return Kind.REVIEWS_2023 if "user_id" in keys else Kind.METADATA_2023
    if "reviewerID" in keys:
        return Kind.REVIEWS_2014 if "helpful" in keys and "verified" not in keys else Kind.REVIEWS_2018
    if "asin" in keys:
        return Kind.METADATA_2014 if keys & KEYS_OF_2014 and "category" not in keys else Kind.METADATA_2018
    return None


def require(path: Path, *, kind: Kind, flag: str) -> None:
    """Refuse a file whose first lines are of another kind.

    Args:
        path: plain or gzipped text.
        kind: what it should be.
        flag: the flag that named it.

    Raises:
        SourceError: naming what it looks like instead, and what to do.
    """
    lines = [line for line in first_lines(path, n=LINES_LOOKED_AT) if line.strip()]
    found = Counter(of_line(line) for line in lines)
    if kind in found:
        return
    named = [other for other, _ in found.most_common() if other is not None]
    if named:
        raise SourceError(f"{path} looks like {named[0]}, not {kind}. {_advice(named[0], kind)}")
    start = lines[0].decode("utf-8", "replace")[:START_SHOWN] if lines else ""
    raise SourceError(f"None of the first {len(lines)} lines of {path} is {kind}; the first begins {start!r}. Name the right file with {flag}.")


def _advice(found: Kind, wanted: Kind) -> str:
    if found.value.split()[1] == wanted.value.split()[1]:
        return "Check --metadata and --reviews: the two may be swapped."
    return f"Name a file of the {wanted.value.split()[1]} release, or another release with --release."
