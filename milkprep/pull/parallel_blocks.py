"""Blocks of lines to rows, as many blocks at a time as there are cores: parsing happens outside the interpreter.

Promises: blocks come in the order of the file; one that cannot be read whole comes in pieces, so that an odd line costs only its
neighbours' time.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from milkprep.pull.lines import Block
from schemas.allocator import keep_freed_memory

BlockReader = Callable[[Block], pl.DataFrame | None]
#: A block that cannot be read whole is cut into so many pieces.
PIECES = 32
#: Lines that are no object at a glance are cut out of a block while they are no more than this.
MOST_CUT_OUT = 16
OPENING, CLOSING = ord("{"), ord("}")
#: Blocks that may wait to be taken, for each that is parsed, as the writer takes them in bursts; and their bytes, as lines can be long.
WAITING, WAITING_BYTES = 3, 12 << 20
#: Most blocks that are parsed at a time.
MOST_AHEAD = 16


def read(blocks: Iterable[Block], reader: BlockReader | None) -> Iterator[tuple[Block, pl.DataFrame | None]]:
    """Each block with its rows.

    Args:
        blocks: of a file, in order.
        reader: all lines of a block to rows, or None where one of them has to be looked at by itself; None where there is no such way.

    Yields:
        Blocks or pieces of them, in order, with their rows, `line` and `digest` among the columns; None for the rows of a piece whose
        lines have to be looked at.
    """
    if reader is None:
        yield from ((block, None) for block in blocks)
        return
    keep_freed_memory()
    ahead: deque[tuple[int, Future[list[tuple[Block, pl.DataFrame | None]]]]] = deque()
    n_ahead = _n_cores()
    with ThreadPoolExecutor(max_workers=n_ahead, thread_name_prefix="parse") as pool:
        for block in blocks:
            ahead.append((len(block.data), pool.submit(_read_one, block, reader)))
            while len(ahead) > WAITING * n_ahead or sum(size for size, _ in ahead) > WAITING_BYTES:
                yield from ahead.popleft()[1].result()
        for _, read_block in ahead:
            yield from read_block.result()


def _n_cores() -> int:
    """Cores this process may use, not those of the whole machine; bounded, because each holds a block and its rows."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST_AHEAD)


def rows_of(block: Block, reader: BlockReader) -> pl.DataFrame | None:
    """A block's rows with `line` and `digest`, None where it cannot be read whole."""
    rows = reader(block)
    if rows is None:
        return None
    lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows.height, [None, pa.py_buffer(block.offsets), pa.py_buffer(block.data)])
    numbers = pl.int_range(block.first_line, block.first_line + rows.height, dtype=pl.Int64, eager=True)
    return rows.with_columns(numbers.alias("line"), digests(pl.Series(lines)))


def digests(lines: pl.Series) -> pl.Series:
    """A number a line, line end included: lines are told apart by it among those of one pair or item, within one run."""
    return lines.hash().reinterpret(signed=True).alias("digest")


def _read_one(block: Block, reader: BlockReader) -> list[tuple[Block, pl.DataFrame | None]]:
    rows = rows_of(block, reader)
    if rows is not None or block.n_lines <= PIECES or block.too_long:
        return [(block, rows)]
    odd = _no_objects(block)
    if 0 < len(odd) <= MOST_CUT_OUT:
        edges = sorted({0, block.n_lines, *odd, *(at + 1 for at in odd)})
        return [found for first, last in pairwise(edges) for found in _read_one(block.part(first, last), reader)]
    size = -(-block.n_lines // PIECES)
    pieces = [block.part(first, min(first + size, block.n_lines)) for first in range(0, block.n_lines, size)]
    return [(piece, rows_of(piece, reader)) for piece in pieces]


def _no_objects(block: Block) -> list[int]:
    """Lines, counted from 0, that do not begin and end as a JSON object does: most damaged lines, cut short or of another file."""
    text, starts, ends = np.frombuffer(block.data, dtype=np.uint8), block.offsets[:-1], block.offsets[1:] - 2
    sound = (text[starts] == OPENING) & (text[np.maximum(ends, 0)] == CLOSING) & (ends > starts)
    return np.flatnonzero(~sound).tolist()
