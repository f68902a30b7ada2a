"""The reader of an extraction: which content a feature set still lacks, page by page.

A page is a fixed range of items and becomes one transaction, so an interrupted run resumes with the same pages, and memory
holds one page. The store is open only while a page is listed.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep import decode
from schemas import feature_sets, queries
from schemas.contracts import FeatureSet, Modality, Several
from schemas.errors import BadValue, DataError
from schemas.store import Store

#: What a text may be composed of, in the order it is joined: columns of `items`, and `words`, the word ids of `title_words`.
FIELDS = ("title", "description", "brand", "categories", "words")
#: Items a page; what a kill can lose at most.
PAGE_ITEMS = {Modality.TEXT: 1024, Modality.VISUAL: 128, Modality.AUDIO: 64}
#: Pages that are read while the store is open once: opening it takes as long as listing a thousand texts. Digesting files takes longer.
AT_ONCE = {Modality.TEXT: 4, Modality.VISUAL: 1, Modality.AUDIO: 1}
#: Seconds to wait for a reader of the store between pages; hours of work hang on it.
PATIENCE_S = 60.0

#: The number of a set that the store does not have: everything is to do, and nothing is embedded.
UNREGISTERED = -1
#: The range of all items.
EVERYTHING = {"first": 0, "last": (1 << 31) - 1}

ROWS = {"item_idx": pl.Int32, "position": pl.Int32, "location": pl.String, "content_sha256": pl.String}
REFUSED = {**ROWS, "status": pl.String, "reason": pl.String}


@dataclass(frozen=True, slots=True)
class Page:
    """Content of a range of items.

    Args:
        rows: `item_idx`, `position`, `location`, `content_sha256` of what can be decoded.
        refused: the same, and `status` and `reason`, of files that cannot even be read.
        contents: each distinct content once: its text, or the path of one file that holds it.
        known: those that have a vector already, because items on earlier pages share them, or are being embedded for such a page.
    """

    rows: pl.DataFrame
    refused: pl.DataFrame
    contents: Mapping[str, str | Path]
    known: frozenset[str]


class Reader:
    """Lists content of one modality that has to be embedded."""

    def __init__(self, store_path: Path, *, modality: Modality, fields: Sequence[str], several: Several = Several.MEAN) -> None:
        """Prepare to read.

        Args:
            store_path: the DuckDB file.
            modality: what to list.
            fields: columns a text is composed of; their order is that of `FIELDS`. Without meaning for files.
            several: whether all files of an item are listed or, pass by pass, the first that is usable. Without meaning for text.

        Raises:
            BadValue: if there is no such column, or none is named.
        """
        unknown = [field for field in fields if field not in FIELDS]
        if unknown or not fields:
            raise BadValue(f"A text cannot be made of {', '.join(unknown) or 'nothing'}. Name some of {', '.join(FIELDS)} with --fields.")
        #: Held while the store is open: within a process, DuckDB opens one file either for reading or for writing.
        self.gate = threading.Lock()
        self.modality, self.several = modality, several
        #: Passes this run has finished; what failed in one makes the next file of its item the first.
        self.n_passes = 0
        self.fields = [field for field in FIELDS if field in fields]
        self._path = store_path
        self._sql = queries.load("milkprep.sql", "extract.sql")
        pending = self._sql["pending_first" if several is Several.FIRST else "pending_files"].format(files=self._sql["files"])
        self._pending = self._sql["pending_text"] if modality is Modality.TEXT else pending

    def require_content(self) -> None:
        """Make sure that some content is there at all.

        Raises:
            DataError: if no item has any; the message says why, by how many items.
        """
        with Store(self._path, mode="read") as store:
            if self._run(store, "has_pending", feature_set_id=UNREGISTERED, retry=True, **EVERYTHING).item():
                return
            reasons = store.query(self._sql["reasons"], modality=self.modality.value)
        words = "; ".join(f"{row['items']} items: {row['reason']}" for row in reasons.head(3).iter_rows(named=True))
        words = words or "those that have any came with ready-made vectors"
        asked = f" in {', '.join(self.fields)}" if self.modality is Modality.TEXT else " in a local file"
        fetch = "Fetch it with `python cli.py fetch-media`, pull" if "address not fetched" in words else "Pull"
        raise DataError(f"No item has {self.modality} content{asked} ({words}). {fetch} with content, or extract another modality.")

    def pages(self, store: Store, feature_set: FeatureSet, *, retry: bool) -> list[tuple[int, int]]:
        """Pages with something to do: (page number, rows to do), in order.

        Args:
            store: open.
            feature_set: the set to fill.
            retry: whether content that failed counts as to do.
        """
        size = PAGE_ITEMS[self.modality]
        pages = self._run(store, "pending_pages", feature_set_id=feature_set.feature_set_id, retry=retry, page_items=size, **EVERYTHING)
        return list(pages.iter_rows())

    def everything(self, store: Store, *, first: int, last: int) -> pl.DataFrame:
        """What some items have of the modality, embedded or not: `ROWS` and `content`.

        Args:
            store: open.
            first: of the items.
            last: of the items, itself included.
        """
        return self._run(store, "page", feature_set_id=UNREGISTERED, retry=True, first=first, last=last)

    def read(self, pages: Sequence[int], feature_set: FeatureSet, *, retry: bool) -> list[Page]:
        """Content of some pages, `AT_ONCE` of them at most; files are digested, for equal files are one content."""
        with self._open() as store:
            listed = [self._listed(store, page, feature_set, retry=retry) for page in pages]
            if self.modality is Modality.TEXT:
                return [_texts(store, feature_set, rows) for rows in listed]
        digested = [_digested(rows, max_bytes=decode.MAX_FILE_BYTES[self.modality]) for rows in listed]
        with self._open() as store:
            return [Page(rows, refused, files, embedded(store, feature_set, files)) for rows, refused, files in digested]

    def _listed(self, store: Store, page: int, feature_set: FeatureSet, *, retry: bool) -> pl.DataFrame:
        size = PAGE_ITEMS[self.modality]
        return self._run(store, "page", feature_set_id=feature_set.feature_set_id, retry=retry, first=page * size, last=(page + 1) * size - 1)

    @contextmanager
    def _open(self) -> Iterator[Store]:
        with self.gate, Store(self._path, mode="read", wait_s=PATIENCE_S) as store:
            yield store

    def _run(self, store: Store, statement: str, **values: object) -> pl.DataFrame:
        chosen: dict[str, object] = {"fields": self.fields} if self.modality is Modality.TEXT else {"modality": self.modality.value}
        if self.several is Several.FIRST:
            chosen["n_passes"] = self.n_passes
        return store.query(self._sql[statement].format(pending=self._pending), **chosen, **values)


def embedded(store: Store, feature_set: FeatureSet, contents: Iterable[str]) -> frozenset[str]:
    """Which contents have a vector in a feature set.

    Args:
        store: open.
        feature_set: the set to look in.
        contents: digests.
    """
    if feature_set.feature_set_id == UNREGISTERED:
        return frozenset()
    asked = pl.DataFrame({"content_sha256": list(contents)}, schema={"content_sha256": pl.String})
    sql = queries.load("milkprep.sql", "extract.sql")["embedded"].format(vectors=feature_sets.vectors_table(feature_set))
    with store.registered("asked", asked):
        return frozenset(store.query(sql)["content_sha256"].to_list())


def _texts(store: Store, feature_set: FeatureSet, listed: pl.DataFrame) -> Page:
    rows = listed.select(pl.col(name).cast(kind) for name, kind in ROWS.items())
    contents = dict(zip(listed["content_sha256"], listed["content"], strict=True))
    return Page(rows, pl.DataFrame(schema=REFUSED), contents, embedded(store, feature_set, contents))


def _digested(listed: pl.DataFrame, *, max_bytes: int) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str | Path]]:
    """Files read once for their digests: rows of the readable, rows of the refused, a path of each distinct content."""
    readable: list[tuple[int, int, str, str]] = []
    refused: list[tuple[int, int, str, str | None, str, str]] = []
    contents: dict[str, str | Path] = {}
    for item_idx, position, location in listed.select("item_idx", "position", "location").iter_rows():
        path = Path(location)
        try:
            sha256 = decode.digest(path, max_bytes=max_bytes)
        except decode.DecodeFailure as failure:
            refused.append((item_idx, position, location, None, failure.status.value, failure.reason))
            continue
        readable.append((item_idx, position, location, sha256))
        contents.setdefault(sha256, path)
    return pl.DataFrame(readable, schema=ROWS, orient="row"), pl.DataFrame(refused, schema=REFUSED, orient="row"), contents
