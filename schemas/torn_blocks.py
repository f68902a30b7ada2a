"""What a kill in the middle of writing leaves of a block, made readable again.

DuckDB writes new data to blocks that nothing points to yet, and then the header that does; what is committed meanwhile is in the log
beside the file. One kind of block it writes over in place: those of metadata, in whose free parts the new metadata goes. Who is
killed during that write leaves the beginning of the new block and the end of the old. All parts that the header points to are the same in
both, so nothing is lost; but the checksum is that of the new block, DuckDB refuses the file, and all that it holds is out of reach.

Promises: only a file beside which a log was left, and which nobody holds, is looked at; only blocks of metadata, and of those only
checksums are written; whatever is not as expected is left to DuckDB, which says what it finds. A data block that has been damaged stays so.

Source: storage format of DuckDB: two headers that take turns; pointers of a block in the low 56 bits and one of its 64 parts in the high 8;
lists of free blocks, of blocks in use several times, and of metadata blocks, one after the other.
"""

import fcntl
import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

#: Bytes before the first block: the file's own header, and two that take turns.
HEADER, N_HEADERS = 4096, 3
#: Of a header behind its checksum: iteration, (first of the catalogue's metadata,) first of the free list, number of blocks, bytes of a block.
LAYOUT = struct.Struct("<Q8xQQQ")
CHECKSUM = struct.Struct("<Q")
PARTS = 64
WORD_MASK = 2**64 - 1
BLOCK_MASK = 2**56 - 1
#: Bytes that DuckDB takes for a block.
SIZES = frozenset(2**power for power in range(14, 19))
#: So many that bytes of a file can still be counted.
MOST_BLOCKS = 2**40
MULTIPLIER, START = 0xBF58476D1CE4E5B9, 5381


@dataclass(frozen=True, slots=True)
class _Header:
    """Which blocks are in use, by the header that counts."""

    iteration: int
    free_list: int
    n_blocks: int
    block_bytes: int

    @property
    def part_bytes(self) -> int:
        """Of one of a metadata block's parts."""
        return (self.block_bytes - CHECKSUM.size) // PARTS // 8 * 8

    def at(self, block: int) -> int:
        """Where a block begins."""
        return N_HEADERS * HEADER + block * self.block_bytes


class _Unexpected(Exception):
    """The file is not as this module knows it."""


def mend(path: Path) -> int:
    """Make metadata blocks readable whose writing a kill cut off.

    Args:
        path: of a DuckDB file, which this process does not hold: closing what is opened here lets go of its locks.

    Returns:
        How many there were; 0 where no log was left, or somebody holds the file.
    """
    log = path.with_name(f"{path.name}.wal")
    try:
        if not log.stat().st_size:
            return 0
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no log, no file, or not ours to write: DuckDB says what is to be said
        return 0
    try:
        return _mend(handle, path) if _lock(handle) else 0
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether no other process holds the file; until it is closed, none will. The kind of lock is that which DuckDB takes."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mend(handle: int, path: Path) -> int:
    try:
        header = _current(handle)
        blocks = list(dict.fromkeys(_metadata_blocks(handle, header)))
    except _Unexpected:
        return 0
    n_torn = 0
    for block in blocks:
        at = header.at(block)
        content = os.pread(handle, header.block_bytes, at)
        if len(content) == header.block_bytes and (found := _checksum(content[CHECKSUM.size :])) != CHECKSUM.unpack_from(content)[0]:
            os.pwrite(handle, CHECKSUM.pack(found), at)
            n_torn += 1
    if n_torn:
        os.fsync(handle)
        logger.warning("%s was left by a process that was killed while it wrote; its last state is whole and was made readable again", path)
    return n_torn


def _current(handle: int) -> _Header:
    """Of the two headers the newer that is whole."""
    found = []
    for number in range(1, N_HEADERS):
        content = os.pread(handle, HEADER, number * HEADER)
        if len(content) == HEADER and _checksum(content[CHECKSUM.size :]) == CHECKSUM.unpack_from(content)[0]:
            found.append(_Header(*LAYOUT.unpack_from(content, CHECKSUM.size)))
    sound = [each for each in found if each.block_bytes in SIZES]
    if not sound:
        raise _Unexpected
    return max(sound, key=lambda each: each.iteration)


def _metadata_blocks(handle: int, header: _Header) -> Iterator[int]:
    """Numbers of the blocks that hold metadata, as the free list's end says."""
    stream = _Stream(handle, header, header.free_list)
    for _ in range(stream.count()):
        stream.take(8)
    for _ in range(stream.count()):
        stream.take(8 + 4)
    for _ in range(stream.count()):
        block = int.from_bytes(stream.take(8), "little")
        stream.take(8)  # which of its parts are free
        if block >= min(header.n_blocks, MOST_BLOCKS):
            raise _Unexpected
        yield block


class _Stream:
    """Bytes of parts that point to each other, one after the other."""

    def __init__(self, handle: int, header: _Header, first: int) -> None:
        self._handle, self._header, self._next, self._left = handle, header, first, b""
        self._seen = set[int]()

    def count(self) -> int:
        """A number of entries, which cannot be more than there are blocks."""
        found = int.from_bytes(self.take(8), "little")
        if found > self._header.n_blocks:
            raise _Unexpected
        return found

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        while len(self._left) < n:
            self._left += self._part()
        taken, self._left = self._left[:n], self._left[n:]
        return taken

    def _part(self) -> bytes:
        header, block, part = self._header, self._next & BLOCK_MASK, self._next >> 56
        # A block of a number that no file is long enough for has no content either; a part that leads back to itself would never end.
        if self._next in self._seen or block >= min(header.n_blocks, MOST_BLOCKS) or part >= PARTS:
            raise _Unexpected
        self._seen.add(self._next)
        content = os.pread(self._handle, header.part_bytes, header.at(block) + CHECKSUM.size + part * header.part_bytes)
        if len(content) < header.part_bytes:
            raise _Unexpected
        self._next = CHECKSUM.unpack_from(content)[0]
        return content[CHECKSUM.size :]


def _checksum(content: bytes) -> int:
    """Of a header or block, as DuckDB has it; its length is a multiple of 8."""
    found = START
    for word in memoryview(content).cast("Q"):
        found ^= word * MULTIPLIER & WORD_MASK
    return found
