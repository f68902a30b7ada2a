"""Where the releases of the Amazon dataset are published, by category, and how their files come from there.

Addresses as the McAuley lab and SNAP (2014) give them: https://cseweb.ucsd.edu/~jmcauley/datasets.html,
https://nijianmo.github.io/amazon/ (2018), https://amazon-reviews-2023.github.io/. Reviews are the 5-core files where a release
has such (2014, 2018), and all reviews of the category otherwise.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from milkprep import download
from schemas.errors import BadValue
from schemas.reporting import Reporter

#: As the releases write them: Musical_Instruments, AMAZON_FASHION.
CATEGORY = re.compile(r"[A-Za-z0-9_]{1,100}")
WEB_ADDRESS = re.compile(r"https?://[^\s?#]+")


@dataclass(frozen=True, slots=True)
class Published:
    """The files of one release; `{}` stands for the category.

    Args:
        base: address that the others continue, with a slash at its end.
        metadata: path of the metadata.
        reviews: path of the reviews.
    """

    base: str
    metadata: str
    reviews: str


PUBLISHED = {
    2014: Published("https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/", "meta_{}.json.gz", "reviews_{}_5.json.gz"),
    2018: Published("https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/", "metaFiles2/meta_{}.json.gz", "categoryFilesSmall/{}_5.json.gz"),
    2023: Published(
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/", "meta_categories/meta_{}.jsonl.gz", "review_categories/{}.jsonl.gz"
    ),
}


def addresses(release: int, category: str, *, mirror: str | None = None) -> tuple[str, str]:
    """Addresses of the metadata and the reviews of a category.

    Args:
        release: one of `PUBLISHED`.
        category: as the release writes it.
        mirror: address to use in place of the release's own base.

    Raises:
        BadValue: if the category or the mirror cannot be one.

    Example:
        >>> addresses(2014, "Baby", mirror="https://example.org/amazon")
        ('https://example.org/amazon/meta_Baby.json.gz', 'https://example.org/amazon/reviews_Baby_5.json.gz')
    """
    if not CATEGORY.fullmatch(category):
        raise BadValue(f"--category {category!r} names no category. Write it as the release does, e.g. Musical_Instruments.")
    if mirror is not None and not WEB_ADDRESS.fullmatch(mirror):
        raise BadValue(f"--mirror {mirror!r} is no http or https address of a folder.")
    files = PUBLISHED[release]
    base = files.base if mirror is None else mirror.rstrip("/") + "/"
    return base + files.metadata.format(category), base + files.reviews.format(category)


def fetch(
    release: int, category: str, *, metadata: Path | None, reviews: Path | None, mirror: str | None, folder: Path, reporter: Reporter
) -> tuple[Path, Path]:
    """The files of a category: those that are named, and the others from where they are published.

    A file that a download left whole in the folder is not fetched again.

    Args:
        release: one of `PUBLISHED`.
        category: as the release writes it.
        metadata: the metadata, if it is there already.
        reviews: the reviews, if they are there already.
        mirror: address to use in place of the release's own base; it may lead into a private network, as who named it knows where it leads.
        folder: where downloads go; made when absent. Releases have folders of their own in it.
        reporter: told what has arrived.

    Returns:
        Metadata and reviews.

    Raises:
        BadValue: if the category or the mirror cannot be one.
        SourceError: if a file cannot be had.
    """
    found = []
    for given, address in zip((metadata, reviews), addresses(release, category, mirror=mirror), strict=True):
        target = folder / str(release) / address.rpartition("/")[2]
        found.append(given or download.fetch(address, target, allow_private=mirror is not None, reporter=reporter))
    return found[0], found[1]
