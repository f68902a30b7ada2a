"""Which Amazon file is this? Told by content, so that a wrong file is named for what it is.

Facts about the releases: McAuley lab, 2014 (metadata as Python literals), 2018 (JSON), 2023 (JSON, `parent_asin`).
"""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import msgspec

from milkprep.pull.lines import first_lines
from milkprep.pull.staging import REFUSALS
from schemas.errors import SourceError

LINES_LOOKED_AT = 100
START_SHOWN = 60
SWAPPED = "Check --metadata and --reviews: the two may be swapped."
#: Some mirrors hold the metadata of 2014 as JSON; then its keys tell.
LITERAL = re.compile(rb"\s*\{\s*u?'")
KEYS_OF_2014 = frozenset({"imUrl", "salesRank", "related", "categories"})


class Kind(StrEnum):
    """A file of one release."""

    METADATA_2014 = "Amazon 2014 metadata"
    METADATA_2018 = "Amazon 2018 metadata"
    METADATA_2023 = "Amazon 2023 metadata"
    REVIEWS_2014 = "Amazon 2014 reviews"
    REVIEWS_2018 = "Amazon 2018 reviews"
    REVIEWS_2023 = "Amazon 2023 reviews"

    @property
    def release(self) -> int:
        """The year of the release."""
        return int(self.value.split()[1])

    @property
    def role(self) -> str:
        """Metadata or reviews."""
        return self.value.split()[2]


def of_line(line: bytes) -> Kind | None:
    """The kind of file a line is from, None where it is from none of them.

    Example:
        >>> of_line(b"{'asin': '0001', 'title': 'A title'}").value
        'Amazon 2014 metadata'
    """
    if LITERAL.match(line):
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
    lines = _lines(path)
    found = _kinds(lines)
    if kind in found:
        return
    if found:
        raise SourceError(f"{path} looks like {found[0]}, not {kind}. {_advice(found[0], kind)}")
    raise SourceError(_unknown(path, lines, wanted=kind.value, flag=flag))


def require_one_release(metadata: Path, reviews: Path) -> None:
    """Refuse metadata and reviews that are of different releases, whichever was asked for.

    Raises:
        SourceError: naming both files, and what each is.
    """
    described = [kind for kind in _kinds(_lines(metadata)) if kind.role == "metadata"]
    reviewed = [kind for kind in _kinds(_lines(reviews)) if kind.role == "reviews"]
    if described and reviewed and not {kind.release for kind in described} & {kind.release for kind in reviewed}:
        old, new = described[0], reviewed[0]
        raise SourceError(
            f"{metadata} looks like {old}, and {reviews} like {new}: the two must be of one release. "
            f"Name the metadata of {new.release}, or the reviews of {old.release}."
        )


def recognised_release(metadata: Path | None, reviews: Path) -> int:
    """The release of a category's files, as the first lines of the reviews have it; where they are of several, one that the metadata is of.

    Raises:
        SourceError: if the reviews are of no release that is known, or no reviews.
    """
    lines = _lines(reviews)
    found = _kinds(lines)
    if not found:
        raise SourceError(_unknown(reviews, lines, wanted="Amazon reviews of a release that is known", flag="--reviews"))
    releases = [kind.release for kind in found if kind.role == "reviews"]
    if not releases:
        raise SourceError(f"{reviews} looks like {found[0]}, not reviews. {SWAPPED}")
    described = [kind.release for kind in _kinds(_lines(metadata)) if kind.role == "metadata"] if metadata else []
    return next((release for release in releases if release in described), releases[0])


def _lines(path: Path) -> list[bytes]:
    return [line for line in first_lines(path, n=LINES_LOOKED_AT) if line.strip()]


def _kinds(lines: list[bytes]) -> list[Kind]:
    """What lines are of, the most frequent first."""
    return [kind for kind, _ in Counter(map(of_line, lines)).most_common() if kind is not None]


def _unknown(path: Path, lines: list[bytes], *, wanted: str, flag: str) -> str:
    start = lines[0].decode("utf-8", "replace")[:START_SHOWN] if lines else ""
    return f"None of the first {len(lines)} lines of {path} is {wanted}; the first begins {start!r}. Name the right file with {flag}."


def _advice(found: Kind, wanted: Kind) -> str:
    if found.release == wanted.release:
        return SWAPPED
    return f"Say --release {found.release}, or name files of the {wanted.release} release: metadata and reviews must be of one."
