"""Counted terms as a vector without a vocabulary: feature hashing with signs, shared by the encoders of text that need no weights.

A count c weighs 1 + ln c and is added at the place that the term's CRC-32 names, with the sign of its highest bit: the same on
every machine and Python.

Source: Weinberger et al. 2009, feature hashing with signs.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.encoder import l2_normalised

#: Characters of a text that are read; what follows has no part in its vector.
LONGEST = 100_000
SIGN_BIT = 1 << 31
#: Places in use and their values.
Sparse = tuple[NDArray[np.int64], NDArray[np.float32]]


def hashed(counts: Mapping[str, int], *, width: int, what: str) -> Sparse:
    """The sparse vector of counted terms.

    Args:
        counts: at least one term, each counted once or more.
        width: number of places.
        what: the terms in the plural, for the message.

    Returns:
        Places (N,) in 0 .. width-1, distinct and rising, and their values (N,), none zero.

    Raises:
        DecodeFailure: if the terms cancel out.
    """
    hashes = np.array([zlib.crc32(term.encode("utf-8", "surrogatepass")) for term in counts], dtype=np.int64)
    weights = 1 + np.log(np.fromiter(counts.values(), dtype=np.float64))
    dense = np.bincount(hashes % width, weights=np.where(hashes & SIGN_BIT, -weights, weights), minlength=width)
    places = np.flatnonzero(dense)
    if not len(places):
        raise undecodable(f"the text's {what} cancel out")
    return places, dense[places].astype(np.float32)


def dense(batch: Sequence[Sparse], *, width: int) -> NDArray[np.float32]:
    """(B, width) float32, rows of length 1."""
    vectors = np.zeros((len(batch), width), dtype=np.float32)
    for row, (places, values) in enumerate(batch):
        vectors[row, places] = values
    return l2_normalised(vectors)
