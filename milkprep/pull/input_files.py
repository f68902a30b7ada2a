"""What a pull reads, named by content, so that a second pull of the same is recognised before anything is parsed."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from milkprep.pull.lines import GZIP_MAGIC
from schemas import fingerprint
from schemas.errors import BadValue, SourceError
from schemas.reporting import Reporter

GZIP_FIXED_BYTES = 10
#: Files digested at a time; digests are computed outside the interpreter.
READERS = 2
#: Flags of a gzip header: a checksum of it, an extra field, and a file name and a comment, which end in a zero byte.
GZIP_HAS_CHECKSUM, GZIP_HAS_EXTRA, GZIP_HAS_TEXT = 2, 4, (8, 16)


@dataclass(frozen=True, slots=True)
class Input:
    """One input file.

    Args:
        path: as it was named.
        bytes: its size.
        sha256: of the whole file.
        content_sha256: of what follows its gzip header, which holds a time and a name; equal to `sha256` where there is none.
        changed_ns: when it was last written to, in nanoseconds since 1970.
    """

    path: str
    bytes: int
    sha256: str
    content_sha256: str
    changed_ns: int


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull, precisely enough to tell whether a store already holds it.

    Args:
        source: the source and its release, e.g. `amazon-2018`.
        parameters: every setting that shapes the tables, JSON-serialisable.
        inputs: the files read whole, in the order of their roles.
        listing: files of folders: folder, name and digest of each.
    """

    source: str
    parameters: Mapping[str, object]
    inputs: Sequence[Input]
    listing: Sequence[Sequence[str | None]] = ()

    @property
    def fingerprint(self) -> str:
        """Digest of settings and contents. Times of change, and names and places of inputs, count only where `parameters` names them."""
        contents = [file.content_sha256 for file in self.inputs]
        return fingerprint.of_value([self.source, dict(self.parameters), contents, [list(row) for row in self.listing]])


def require_file(path: Path, *, flag: str) -> None:
    """Refuse a path that is no file.

    Raises:
        BadValue: naming the path and the flag it came from.
    """
    if path.is_dir():
        raise BadValue(f"{path} is a folder. {flag} needs one file.")
    if not path.is_file():
        raise BadValue(f"There is no file {path}. Check what {flag} names.")


def require_folder(path: Path, *, flag: str) -> None:
    """Refuse a path that is no folder.

    Raises:
        BadValue: naming the path and the flag it came from.
    """
    if path.is_file():
        raise BadValue(f"{path} is a file. {flag} needs a folder.")
    if not path.is_dir():
        raise BadValue(f"There is no folder {path}. Check what {flag} names.")


def describe(paths: Sequence[Path], *, reporter: Reporter) -> list[Input]:
    """Size and digest of each file, in order.

    Raises:
        SourceError: if one cannot be read.
    """
    described = []
    with reporter.progress("fingerprinting inputs", total=len(paths), unit="files") as progress, ThreadPoolExecutor(READERS) as pool:
        for path, found in [(path, pool.submit(_described, path)) for path in paths]:
            try:
                described.append(found.result())
            except OSError as error:
                raise SourceError(f"{path} cannot be read: {error.strerror or error}. Check the file and its permissions.") from error
            progress.advance()
    return described


def require_unchanged(inputs: Sequence[Input]) -> None:
    """Refuse files that are no longer what was described: what was read of them has another name than their fingerprint.

    Raises:
        SourceError: naming the first that grew, was written to or was taken away.
    """
    for file in inputs:
        try:
            now = Path(file.path).stat()
        except OSError as error:
            raise SourceError(f"{file.path} was there and no longer is ({error.strerror or error}). Leave it there while it is read.") from error
        if (now.st_size, now.st_mtime_ns) != (file.bytes, file.changed_ns):
            raise SourceError(f"{file.path} changed while it was read. Let what writes it finish, then run this again.")


def _described(path: Path) -> Input:
    with path.open("rb") as stream:
        changed_ns = os.fstat(stream.fileno()).st_mtime_ns
        header = _gzip_header_bytes(stream.read(fingerprint.CHUNK_BYTES))
        stream.seek(0)
        whole, size = hashlib.sha256(), 0
        content = hashlib.sha256() if header else whole
        while chunk := stream.read(fingerprint.CHUNK_BYTES):
            whole.update(chunk)
            if content is not whole:
                content.update(chunk if size else chunk[header:])
            size += len(chunk)
    return Input(str(path), size, whole.hexdigest(), content.hexdigest(), changed_ns)


def _gzip_header_bytes(start: bytes) -> int:
    """Length of the header that a file starts with, 0 where it is no gzip file (RFC 1952, section 2.3)."""
    if not start.startswith(GZIP_MAGIC) or len(start) < GZIP_FIXED_BYTES:
        return 0
    flags, at = start[3], GZIP_FIXED_BYTES
    if flags & GZIP_HAS_EXTRA:
        at += 2 + int.from_bytes(start[at : at + 2], "little")
    for flag in GZIP_HAS_TEXT:
        if flags & flag:
            at = start.find(b"\0", at) + 1
            if not at:
                return 0
    return at + 2 if flags & GZIP_HAS_CHECKSUM else at


def labels(paths: Sequence[Path]) -> list[str]:
    """A name for each file to go by in `rejects` and reports: its file name, or its whole path where two share one.

    Example:
        >>> labels([Path("a/meta.json"), Path("a/reviews.json")])
        ['meta.json', 'reviews.json']
        >>> labels([Path("a/x.json"), Path("b/x.json")])
        ['a/x.json', 'b/x.json']
    """
    names = [path.name for path in paths]
    return [str(path) if names.count(path.name) > 1 else path.name for path in paths]
