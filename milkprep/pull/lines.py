"""Raw lines of a plain or gzipped file, in blocks, with bounded memory.

Promises: every line of the file comes once, in order, numbered from 1 and without its line end; a line beyond the limit is
reported with its start only and never held whole; gzip is recognised by content, not by name; a file cut short or damaged
ends in a `SourceError` that says how far reading came. Decompression runs one chunk ahead on a second thread.
"""

import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path

from schemas.errors import SourceError

CHUNK_BYTES = 1 << 20
COMPRESSED_BYTES = 1 << 18
#: The longest line taken, in bytes; the longest real metadata line seen is well under one MiB.
LINE_LIMIT = 16 << 20
#: What is kept of a longer one, in bytes.
START_BYTES = 512
MAGIC_BYTES = 6
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNREAD_ARCHIVES = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z"}


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a file.

    Args:
        first_line: number of the first of them, from 1.
        lines: their bytes without line ends; of a line that is too long only its first 512 bytes.
        too_long: numbers of the lines that are too long.
        bytes_read: how much of the file, as it lies on disk, has been read so far.
    """

    first_line: int
    lines: list[bytes]
    too_long: frozenset[int]
    bytes_read: int


def read_blocks(path: Path, *, limit: int = LINE_LIMIT) -> Generator[Block]:
    """All lines of a file, about one MiB of text a block.

    Args:
        path: plain or gzipped text.
        limit: the longest line taken, in bytes.

    Raises:
        SourceError: if the file cannot be read, holds no line, is an archive of another kind, or its gzip data is cut short
            or damaged; the message names the last line that was read whole.
    """
    splitter = _Splitter(limit)
    try:
        for chunk, bytes_read in _read_ahead(path):
            yield from splitter.feed(chunk, bytes_read=bytes_read)
        yield from splitter.last(bytes_read=path.stat().st_size)
    except EOFError as error:
        raise SourceError(
            f"{path} is cut short: its gzip data ends somewhere after line {splitter.line}. Download or copy the file again."
        ) from error
    except zlib.error as error:
        raise SourceError(
            f"{path} is damaged: its gzip data cannot be read after line {splitter.line} ({error}). Download or copy it again."
        ) from error
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read after line {splitter.line}: {error.strerror or error}. Check the file and its permissions."
        ) from error
    if splitter.line == 0:
        raise SourceError(f"{path} is empty: it holds no line. Check that its download finished.")


def first_lines(path: Path, *, n: int) -> list[bytes]:
    """The first lines of a file, at most `n`, wherever its blocks or gzip members end.

    Args:
        path: plain or gzipped text.
        n: how many to take.

    Raises:
        SourceError: as `read_blocks` does, if that many cannot be read.
    """
    found: list[bytes] = []
    with closing(read_blocks(path)) as blocks:
        for block in blocks:
            found += block.lines[: n - len(found)]
            if len(found) >= n:
                break
    return found


class _Splitter:
    """Cuts chunks into lines, carrying the unfinished last one over."""

    def __init__(self, limit: int) -> None:
        self.line = 0
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes, *, bytes_read: int) -> Iterator[Block]:
        if self.line == 0 and not self._pieces:
            chunk = chunk.removeprefix(BYTE_ORDER_MARK)
        head, *others = chunk.split(b"\n")
        self._carry(head)
        if others:
            whole, size = self._take()
            self._carry(others.pop())
            yield self._block([whole, *others], first_size=size, bytes_read=bytes_read)

    def last(self, *, bytes_read: int) -> Iterator[Block]:
        whole, size = self._take()
        if size:
            yield self._block([whole], first_size=size, bytes_read=bytes_read)

    def _carry(self, piece: bytes) -> None:
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._limit:
            self._pieces = [b"".join(self._pieces)[:START_BYTES]]

    def _take(self) -> tuple[bytes, int]:
        whole, size = b"".join(self._pieces), self._size
        self._pieces, self._size = [], 0
        return whole, size

    def _block(self, lines: list[bytes], *, first_size: int, bytes_read: int) -> Block:
        first = self.line + 1
        self.line += len(lines)
        sizes = [first_size, *map(len, lines[1:])]
        too_long = frozenset(first + at for at, size in enumerate(sizes) if size > self._limit)
        if too_long:
            lines = [line[:START_BYTES] if number in too_long else line for number, line in enumerate(lines, first)]
        return Block(first, lines, too_long, bytes_read)


def _read_ahead(path: Path) -> Iterator[tuple[bytes, int]]:
    """Decompressed chunks, each with the bytes of the file read by then, one chunk ahead of the caller."""
    with path.open("rb") as raw, ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        magic = raw.read(MAGIC_BYTES)
        raw.seek(0)
        for start, kind in UNREAD_ARCHIVES.items():
            if magic.startswith(start):
                raise SourceError(f"{path} is a {kind} archive. Unpack it, or compress it with gzip, and name the result.")
        chunks = _gunzip(raw) if magic.startswith(GZIP_MAGIC) else iter(partial(raw.read, CHUNK_BYTES), b"")
        ahead = pool.submit(next, chunks, b"")
        while chunk := ahead.result():
            bytes_read = raw.tell()
            ahead = pool.submit(next, chunks, b"")
            yield chunk, bytes_read


def _gunzip(raw: BufferedReader) -> Iterator[bytes]:
    """Text of a gzip file of one or more members, in chunks of at most `CHUNK_BYTES`, whatever it expands to.

    The standard module takes 8 KiB of input at a time and needs the interpreter lock for each, which keeps it from running
    beside the caller; here one call makes a whole chunk.
    """
    member, data = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), b""
    while True:
        data = data or raw.read(COMPRESSED_BYTES)
        if not data and member.eof:
            return
        if not data:
            raise EOFError
        if member.eof:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        if chunk := member.decompress(data, CHUNK_BYTES):
            yield chunk
        data = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
