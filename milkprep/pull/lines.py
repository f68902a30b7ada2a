"""Raw lines of a plain or gzipped file, in blocks, with bounded memory.

Promises: every line of the file comes once, in order, numbered from 1 and without its line end; a line beyond the limit is
reported with its start only and never held whole; gzip is recognised by content, not by name; a file cut short or damaged
ends in a `SourceError` that says how far reading came. Decompression and splitting run one block ahead on a second thread.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from schemas.errors import SourceError

CHUNK_BYTES = 4 << 20
COMPRESSED_BYTES = 1 << 20
#: The longest line taken, in bytes; the longest real metadata line seen is well under one MiB.
LINE_LIMIT = 16 << 20
#: What is kept of a longer one, in bytes.
START_BYTES = 512
MAGIC_BYTES = 6
GZIP_MAGIC = b"\x1f\x8b"
#: A gzip file that expands to more than this many bytes and times its size is made to fill a disk; real dumps expand 3 to 20 times.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
LINE_END = ord("\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: What the decompressor raises; its type hints take the class for an instance of it.
GzipError = cast(type[Exception], isal_zlib.error)
UNREAD_ARCHIVES = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z"}


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a file.

    Args:
        first_line: number of the first of them, from 1.
        data: their bytes, each line with its line end, the last of the file given one where it has none.
        offsets: (n + 1,): line i is `data[offsets[i] : offsets[i + 1]]`, its line end included.
        too_long: numbers of the lines that are too long; of these `data` holds only the first 512 bytes.
        bytes_read: how much of the file, as it lies on disk, has been read so far.
    """

    first_line: int
    data: bytes
    offsets: NDArray[np.int64]
    too_long: frozenset[int]
    bytes_read: int

    @property
    def lines(self) -> list[bytes]:
        """The lines without their ends."""
        return self.data[:-1].split(b"\n")

    @property
    def n_lines(self) -> int:
        """How many lines there are."""
        return len(self.offsets) - 1

    def part(self, first: int, last: int) -> "Block":
        """The lines from `first` up to but not including `last`, counted from 0, of a block without lines that are too long."""
        offsets = self.offsets[first : last + 1]
        return Block(self.first_line + first, self.data[offsets[0] : offsets[-1]], offsets - offsets[0], frozenset(), self.bytes_read)


def block_of(line: bytes, *, number: int) -> Block:
    """One line, without its end, as a block."""
    data = line + b"\n"
    return Block(number, data, np.array([0, len(data)]), frozenset(), 0)


def read_blocks(path: Path, *, limit: int = LINE_LIMIT) -> Generator[Block]:
    """All lines of a file, some MiB of text a block.

    Args:
        path: plain or gzipped text.
        limit: the longest line taken, in bytes.

    Raises:
        SourceError: if the file cannot be read, holds no line, is an archive of another kind, or its gzip data is cut short
            or damaged; the message names the last line that was read whole. Also if it expands beyond belief.
    """
    with closing(_blocks(path, limit)) as blocks, ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        ahead = pool.submit(next, blocks, None)
        while block := ahead.result():
            ahead = pool.submit(next, blocks, None)
            yield block


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


def _blocks(path: Path, limit: int) -> Generator[Block]:
    splitter = _Splitter(limit)
    try:
        for chunk, bytes_read in _chunks(path):
            yield from splitter.feed(chunk, bytes_read=bytes_read)
        yield from splitter.last(bytes_read=path.stat().st_size)
    except EOFError as error:
        raise SourceError(
            f"{path} is cut short: its gzip data ends {'somewhere ' if splitter.line else ''}{splitter.place}. Download or copy the file again."
        ) from error
    except GzipError as error:
        raise SourceError(f"{path} is damaged: its gzip data cannot be read {splitter.place} ({error}). Download or copy it again.") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read {splitter.place}: {error.strerror or error}. Check the file and its permissions.") from error
    if splitter.line == 0:
        raise SourceError(f"{path} is empty: it holds no line. Check that its download finished.")


class _Splitter:
    """Cuts chunks after their last line end, carrying the unfinished line over."""

    def __init__(self, limit: int) -> None:
        self.line = 0
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def place(self) -> str:
        """How far reading came, in words."""
        return f"after line {self.line}" if self.line else "before the first line"

    def feed(self, chunk: bytes, *, bytes_read: int) -> Iterator[Block]:
        if self.line == 0 and not self._pieces:
            chunk = chunk.removeprefix(BYTE_ORDER_MARK)
        end = chunk.rfind(b"\n") + 1
        if end and self._size + chunk.find(b"\n") > self._limit:
            start = chunk.find(b"\n")
            self._carry(chunk[:start])
            yield self._too_long(b"".join(self._pieces), bytes_read)
            chunk, end = chunk[start + 1 :], end - start - 1
            self._pieces, self._size = [], 0
        if end:
            whole = b"".join([*self._pieces, memoryview(chunk)[:end]])
            self._pieces, self._size = [], 0
            yield from self._blocks(whole, bytes_read)
        self._carry(chunk[end:])

    def last(self, *, bytes_read: int) -> Iterator[Block]:
        if self._size:
            yield from self.feed(b"\n", bytes_read=bytes_read)

    def _carry(self, piece: bytes) -> None:
        if piece:
            self._size += len(piece)
            self._pieces.append(piece)
        if self._size > self._limit:
            self._pieces = [b"".join(self._pieces)[:START_BYTES]]

    def _blocks(self, whole: bytes, bytes_read: int) -> Iterator[Block]:
        """Whole lines as one block, or as several where some of them are too long."""
        offsets, done = _offsets(whole), 0
        if len(whole) <= self._limit:
            yield self._block(whole, offsets, bytes_read)
            return
        for at in np.flatnonzero(np.diff(offsets) - 1 > self._limit).tolist():
            start, end = int(offsets[at]), int(offsets[at + 1])
            if start > done:
                yield self._block(whole[done:start], _offsets(whole[done:start]), bytes_read)
            yield self._too_long(whole[start : start + START_BYTES], bytes_read)
            done = end
        if done < len(whole):
            yield self._block(whole[done:], _offsets(whole[done:]), bytes_read)

    def _too_long(self, start: bytes, bytes_read: int) -> Block:
        self.line += 1
        data = start[:START_BYTES] + b"\n"
        return Block(self.line, data, np.array([0, len(data)]), frozenset([self.line]), bytes_read)

    def _block(self, data: bytes, offsets: NDArray[np.int64], bytes_read: int) -> Block:
        first = self.line + 1
        self.line += len(offsets) - 1
        return Block(first, data, offsets, frozenset(), bytes_read)


def _offsets(data: bytes) -> NDArray[np.int64]:
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == LINE_END)
    return np.concatenate([np.zeros(1, dtype=np.int64), ends + 1])


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """The text in chunks, each with the bytes of the file read by then."""
    with path.open("rb") as raw:
        magic = raw.read(MAGIC_BYTES)
        raw.seek(0)
        for start, kind in UNREAD_ARCHIVES.items():
            if magic.startswith(start):
                raise SourceError(f"{path} is a {kind} archive. Unpack it, or compress it with gzip, and name the result.")
        n_bytes = 0
        for chunk in _gunzip(raw) if magic.startswith(GZIP_MAGIC) else iter(partial(raw.read, CHUNK_BYTES), b""):
            n_bytes += len(chunk)
            if n_bytes > max(BOMB_BYTES, BOMB_RATIO * raw.tell()):
                raise SourceError(f"{path} expands to more than {BOMB_RATIO} times its size; no dump of real records does. Check where it is from.")
            yield chunk, raw.tell()


def _gunzip(raw: BufferedReader) -> Iterator[bytes]:
    """Text of a gzip file of one or more members, in chunks of at most `CHUNK_BYTES`, whatever it expands to.

    ISA-L decompresses several times as fast as zlib, without the interpreter lock, and one call makes a whole chunk.
    """
    member, data = isal_zlib.decompressobj(wbits=isal_zlib.MAX_WBITS | 16), b""
    while True:
        data = data or raw.read(COMPRESSED_BYTES)
        if member.eof:
            data = data.lstrip(b"\0")  # padding, however long
            if not data and raw.peek(1):
                continue
        if not data and member.eof:
            return
        if not data:
            raise EOFError
        if member.eof and not data.startswith(GZIP_MAGIC[: len(data)]):
            raise GzipError("other data follows it")
        if member.eof:
            member = isal_zlib.decompressobj(wbits=isal_zlib.MAX_WBITS | 16)
        if chunk := member.decompress(data, CHUNK_BYTES):
            yield chunk
        data = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
