"""Matrices of float32 as `.npy` files, written and read a chunk at a time: however wide or many the rows, memory stays small.

Nothing is pickled; the same rows give the same bytes. The room a file takes is claimed before the first row is written, so that a
full disk is an error at once and not a killed process later.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 32 << 20
TYPE = np.dtype("<f4")

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]


def reserve(path: Path, *, shape: tuple[int, int]) -> None:
    """A matrix of zeros that has its whole room on the disk.

    Raises:
        OSError: if the disk has not that much.
    """
    with path.open("xb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": TYPE.str, "fortran_order": False, "shape": shape})
        begin, size = stream.tell(), TYPE.itemsize * shape[0] * shape[1]
        stream.flush()
        os.posix_fallocate(stream.fileno(), 0, begin + size)


def scatter(path: Path, batches: Iterable[tuple[NDArray[np.integer], Rows]]) -> None:
    """Write rows in any order into a reserved matrix.

    Args:
        path: the matrix.
        batches: row numbers (n,) and rows (n, d).
    """
    for numbers, rows in batches:
        np.lib.format.open_memmap(path, mode="r+")[numbers] = rows  # mapped anew each time: what was written before is let go of


def chunks(path: Path) -> Iterator[tuple[slice, Rows]]:
    """The rows of a matrix in order: where they are, and a copy of them."""
    n, width = np.lib.format.open_memmap(path, mode="r").shape
    step = max(1, CHUNK_BYTES // (TYPE.itemsize * width))
    for start in range(0, n, step):
        where = slice(start, min(start + step, n))
        yield where, np.array(np.lib.format.open_memmap(path, mode="r")[where])


def write_chunk(path: Path, where: slice, rows: Rows) -> None:
    """Overwrite some rows of a matrix."""
    np.lib.format.open_memmap(path, mode="r+")[where] = rows


def mean_row(path: Path, chosen: Mask) -> Rows:
    """(d,) mean of some rows of a matrix, summed in float64.

    Args:
        path: the matrix.
        chosen: (N,) which rows, at least one.
    """
    assert chosen.any()
    total = np.zeros(np.lib.format.open_memmap(path, mode="r").shape[1], dtype=np.float64)
    for where, rows in chunks(path):
        total += rows[chosen[where]].sum(axis=0, dtype=np.float64)
    return (total / int(chosen.sum())).astype(TYPE)
