"""Text as a bag of words, hashed: for titles of anonymous word ids, and for words whose order says nothing.

What stands between white space is a word, in small letters; a word counted c times adds 1 + ln c, with a sign, at the place of
its CRC-32; the vector is scaled to length 1. Texts that share words are near, those that share none have a cosine near 0. Of a longer text the
first 100 000 characters are read.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.encoder import EncoderOptions, Offer, library_versions
from milkprep.extractors import _hashing
from schemas.contracts import EncoderIdentity, Modality

MODALITY = Modality.TEXT
ACCEPTS = frozenset({"normalise"})
WIDTH = 2048


class BagOfWords:
    """Encoder of texts; decoded is the text's sparse vector: (places, values)."""

    modality = MODALITY
    preparation = None
    batch_size = 256
    budget = 1 << 22

    def __init__(self) -> None:
        self.identity = EncoderIdentity(
            encoder="bag-of-words", weights="none", weights_sha256="", width=WIDTH, pooling="sum",
            parameters={"longest": _hashing.LONGEST, "normalise": True}, versions=library_versions("numpy"),
        )  # fmt: skip

    def decode(self, content: str) -> _hashing.Sparse:
        """Places (N,) in 0 .. WIDTH-1, distinct, and their values (N,), none zero.

        Raises:
            DecodeFailure: if the text holds nothing but white space, or its words cancel out.
        """
        counts = Counter(content[: _hashing.LONGEST].lower().split())
        if not counts:
            raise undecodable("the text holds nothing but white space")
        return _hashing.hashed(counts, width=WIDTH, what="words")

    def size_of(self, decoded: _hashing.Sparse) -> int:
        """Places in use."""
        return len(decoded[0])

    def encode(self, batch: Sequence[_hashing.Sparse]) -> NDArray[np.float32]:
        """(B, WIDTH) float32, rows of length 1."""
        return _hashing.dense(batch, width=WIDTH)


def build(options: EncoderOptions) -> BagOfWords:  # noqa: ARG001 - vectors have length 1 in any case
    """The encoder."""
    return BagOfWords()


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", "none", WIDTH, "needs none", is_here=True)]
