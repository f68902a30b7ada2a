"""The parts of an extraction that other processes or machines do: what lies in a shard's folder, and how it gets there.

A shard has one Parquet file a page, a row an asset: what became of it, and the vector beside the first asset that has its content. Its
manifest says of what it is a part, and, once it is finished, the digest of every file. Files appear complete or not at all; a shard
that was killed goes on with the first page that has none.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl
import pyarrow as pa
from msgspec import Meta
from pyarrow import parquet

from milkprep.engine.content import Page
from milkprep.engine.embedding import FAILURES, Embedded
from schemas import durable, fingerprint, locks
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue, DataError

FORMAT = "milk-shard-1"
MANIFEST, LOCK = "manifest.json", "lock"
#: Bytes of a manifest that are read; a hundred million items are named in a tenth of it.
MOST_MANIFEST = 256 << 20
#: A file a page. `vector` is empty but for the first asset of a content that this page embedded; `status` and `reason` say why one failed.
SCHEMA = pa.schema([
    pa.field("item_idx", pa.int32()), pa.field("position", pa.int32()), pa.field("location", pa.string()),
    pa.field("content_sha256", pa.string()), pa.field("status", pa.string()), pa.field("reason", pa.string()),
    pa.field("vector", pa.list_(pa.float32())),
])  # fmt: skip
#: Failures that are remembered, so that every asset of a content says why it failed.
FAILURES_KNOWN = 100_000
Count = Annotated[int, Meta(ge=0, le=(1 << 53))]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `of` equal ones, counted from 1: every page whose number leaves `number - 1` when divided by `of`."""

    number: Annotated[int, Meta(ge=1, le=1 << 20)]
    of: Annotated[int, Meta(ge=1, le=1 << 20)]

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.number}/{self.of}"

    @staticmethod
    def parse(text: str) -> "Shard":
        """A shard from what a user wrote.

        Raises:
            BadValue: if it is no N/M with 1 <= N <= M.

        Example:
            >>> Shard.parse("2/4")
            Shard(number=2, of=4)
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and len(of) < 7 and 1 <= int(number) <= int(of)):
            raise BadValue(f"--shards {text} is no part of the work: write N/M with N from 1 to M, e.g. --shards 2/4 for the second of four.")
        return Shard(int(number), int(of))

    def has(self, page: int) -> bool:
        """Whether a page belongs to it."""
        return page % self.of == self.number - 1


@dataclass(frozen=True, slots=True)
class File:
    """One page's file, as it was when its shard was finished."""

    bytes: Count
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a shard is a part of, and how far it is.

    Args:
        format: of its files.
        modality: what is embedded.
        identity: what embeds it.
        fingerprint: of the feature set that both name.
        catalogue: which store it was read from.
        shard: which part.
        page_items: items a page.
        pages: the numbers of its pages, ascending.
        files: one a page, in their order; None until all are there.
        seconds: spent on it.
    """

    format: str
    modality: Modality
    identity: EncoderIdentity
    fingerprint: Digest
    catalogue: Digest
    shard: Shard
    page_items: Annotated[int, Meta(ge=1, le=1 << 31)]
    pages: list[Annotated[int, Meta(ge=0, le=1 << 31)]]
    files: list[File] | None = None
    seconds: float = field(default=0.0)

    def write(self, folder: Path) -> None:
        """Put it into a shard's folder, in place of the one before."""
        _write_file(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(asdict(self)), indent=0))

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """The manifest in a shard's folder, checked on its own.

        Raises:
            DataError: if it is none, or contradicts itself.
        """
        path = folder / MANIFEST
        if not path.is_file() or path.stat().st_size > MOST_MANIFEST:
            raise DataError(f"{folder} is no shard: it has no {MANIFEST}. Name folders that `python cli.py extract --shards` wrote.")
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _unusable(folder, f"its {MANIFEST} cannot be read ({error})") from error
        if found.format != FORMAT:
            raise _unusable(folder, f"it is of the format {found.format[:40]!r}, not {FORMAT}")
        if found.shard.number > found.shard.of:
            raise _unusable(folder, f"it says to be shard {found.shard}")
        if found.pages != sorted(set(found.pages)) or not all(found.shard.has(page) for page in found.pages):
            raise _unusable(folder, f"it names pages that shard {found.shard} does not have")
        if found.files is not None and len(found.files) != len(found.pages):
            raise _unusable(folder, f"it names {len(found.files)} files for {len(found.pages)} pages")
        return found


def _unusable(folder: Path, why: str) -> DataError:
    return DataError(f"The shard in {folder} is damaged: {why}. Delete the folder and run that shard again.")


def page_file(folder: Path, page: int) -> Path:
    """Where a page of a shard lies."""
    return folder / f"page-{page:08d}.parquet"


def n_assets(file: Path) -> int:
    """How many assets a page's file holds; none where it is not there or cannot be read, which the merge looks into."""
    try:
        return int(parquet.read_metadata(file).num_rows)
    except (OSError, pa.ArrowException):
        return 0


@contextmanager
def held(folder: Path, shard: Shard) -> Iterator[None]:
    """Have a shard's folder for this process alone; a process that ends in whatever way lets go of it.

    Raises:
        DataError: if another process works on it.
    """
    with locks.held(folder / LOCK, what=f"shard {shard} in {folder}", instead="Wait for it to finish, or run another shard."):
        yield


class IntoShard:
    """Pages into a shard's folder; the store is not written."""

    def __init__(self, folder: Path, pages: Iterable[int]) -> None:
        """Go on where the shard stopped.

        Args:
            folder: of the shard.
            pages: all of its pages, in their order.
        """
        self._folder = folder
        #: Pages that have no file yet, in their order.
        self.left = [page for page in pages if not page_file(folder, page).exists()]
        self._next = iter(self.left)
        self._held: set[bytes] = set()  # a hundred bytes a content
        self._failures: dict[str, tuple[str, str]] = {}
        left = set(self.left)
        for page in pages:
            if page not in left:
                self._remember(_read(page_file(folder, page)))

    def holds(self, contents: Iterable[str]) -> frozenset[str]:
        """Which of these contents this shard has vectors of, from earlier runs too."""
        return frozenset(sha256 for sha256 in contents if _short(sha256) in self._held)

    def record(self, pages: Sequence[tuple[Page, Embedded]], *, seconds: float) -> None:
        """Write pages, one file each, in the order of `left`."""
        del seconds  # the manifest has them, of the whole
        for page, outcome in pages:
            rows = _rows(page, outcome.vectors, pl.concat([outcome.failures, self._earlier_failures(page, outcome)]))
            sink = pa.BufferOutputStream()
            # As large in memory as on the disk, so that whoever reads it knows what to expect.
            parquet.write_table(rows.to_arrow().cast(SCHEMA), sink, compression="none", use_dictionary=False)
            _write_file(page_file(self._folder, next(self._next)), sink.getvalue())
            self._remember(rows)

    def _earlier_failures(self, page: Page, outcome: Embedded) -> pl.DataFrame:
        """Why contents failed that an earlier page shares."""
        here = set(outcome.failures["content_sha256"])
        shared = [(sha256, *self._failures[sha256]) for sha256 in page.known if sha256 in self._failures and sha256 not in here]
        return pl.DataFrame(shared, schema=FAILURES, orient="row")

    def _remember(self, rows: pl.DataFrame) -> None:
        embedded = rows.filter(pl.col("vector").list.len() > 0)["content_sha256"]
        self._held.update(map(_short, embedded))
        failed = rows.filter(pl.col("status").is_not_null(), pl.col("content_sha256").is_not_null())
        if len(self._failures) < FAILURES_KNOWN:  # of one that is forgotten the merge finds the reason
            self._failures |= {sha256: (status, reason) for sha256, status, reason in failed.select(*FAILURES).iter_rows()}


def described(folder: Path, pages: Iterable[int]) -> list[File]:
    """The files of a shard's pages as they lie there."""
    files = (page_file(folder, page) for page in pages)
    return [File(file.stat().st_size, fingerprint.of_file(file)) for file in files]


def _rows(page: Page, vectors: pl.DataFrame, failures: pl.DataFrame) -> pl.DataFrame:
    """A page as its file has it."""
    rows = page.rows.join(failures, on="content_sha256", how="left", maintain_order="left")
    rows = rows.join(vectors, on="content_sha256", how="left", maintain_order="left")
    first = pl.col("content_sha256").is_first_distinct() & pl.col("vector").is_not_null()
    vector = pl.col("vector").arr.to_list()
    rows = rows.with_columns(vector=pl.when(first).then(vector).otherwise(pl.lit([], dtype=pl.List(pl.Float32))))
    refused = page.refused.with_columns(vector=pl.lit([], dtype=pl.List(pl.Float32)))
    return pl.concat([rows.select(SCHEMA.names), refused.select(SCHEMA.names)]).sort("item_idx", "position")


def _read(file: Path) -> pl.DataFrame:
    """A page that an earlier run of this shard wrote."""
    try:
        return pl.DataFrame(pl.from_arrow(parquet.read_table(file, schema=SCHEMA)))
    except (OSError, pa.ArrowException) as error:
        raise _unusable(file.parent, f"{file.name} cannot be read ({error})") from error


def _short(sha256: str) -> bytes:
    """Half of a digest: no two contents share it, and a shard remembers those of millions."""
    return bytes.fromhex(sha256[:32])


def _write_file(path: Path, content: bytes | pa.Buffer) -> None:
    """A file that is there completely or not at all, also when the power fails."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        stream.write(content)
    durable.rename(part, path)
