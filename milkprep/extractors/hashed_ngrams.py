"""Text without weights: word and character n-grams, hashed.

Words and pairs of words, and runs of three to five characters, are counted; a count c weighs 1 + ln c; each n-gram adds its
weight, with a sign, at a place its CRC-32 names; the vector is scaled to length 1. Near texts share n-grams, so their
vectors are near. The same on every machine and Python. Of a longer text the first 100 000 characters are read, which bounds the memory
of one text at some 35 MB.

Source: Weinberger et al. 2009, feature hashing with signs.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.encoder import EncoderOptions, Offer, library_versions
from milkprep.extractors import _hashing
from schemas.contracts import EncoderIdentity, Modality

MODALITY = Modality.TEXT
ACCEPTS = frozenset({"normalise"})
WIDTH = 512
WORD_NGRAMS = (1, 2)
CHARACTER_NGRAMS = (3, 4, 5)
LONGEST = _hashing.LONGEST
WORD = re.compile(r"\w+")


class HashedNgrams:
    """Encoder of texts; decoded is the text's sparse vector: (places, values)."""

    modality = MODALITY
    preparation = None
    batch_size = 256
    budget = 1 << 22

    def __init__(self) -> None:
        parameters: dict[str, object] = {
            "word_ngrams": [*WORD_NGRAMS], "character_ngrams": [*CHARACTER_NGRAMS], "longest": LONGEST, "normalise": True,
        }  # fmt: skip
        self.identity = EncoderIdentity(
            encoder="hashed-ngrams", weights="none", weights_sha256="", width=WIDTH, pooling="sum", parameters=parameters,
            versions=library_versions("numpy"),
        )  # fmt: skip

    def decode(self, content: str) -> _hashing.Sparse:
        """Places (N,) in 0 .. WIDTH-1, distinct, and their values (N,), not all zero; of the first LONGEST characters.

        Raises:
            DecodeFailure: if the text holds nothing but white space, or its n-grams cancel out.
        """
        counts = Counter(_ngrams(content[:LONGEST]))
        if not counts:
            raise undecodable("the text holds nothing but white space")
        return _hashing.hashed(counts, width=WIDTH, what="n-grams")

    def size_of(self, decoded: _hashing.Sparse) -> int:
        """Places in use."""
        return len(decoded[0])

    def encode(self, batch: Sequence[_hashing.Sparse]) -> NDArray[np.float32]:
        """(B, WIDTH) float32, rows of length 1."""
        return _hashing.dense(batch, width=WIDTH)


def build(options: EncoderOptions) -> HashedNgrams:  # noqa: ARG001 - vectors have length 1 in any case
    """The encoder."""
    return HashedNgrams()


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", "none", WIDTH, "needs none", is_here=True)]


def _ngrams(text: str) -> Iterator[str]:
    """Every n-gram of a text, as often as it occurs; words and characters are told apart by a first letter."""
    lowered = text.lower()
    words = WORD.findall(lowered)
    for n in WORD_NGRAMS:
        yield from ("w" + " ".join(words[start : start + n]) for start in range(len(words) - n + 1))
    spaced = " ".join(lowered.split())
    if not spaced:
        return
    spaced = f" {spaced} "  # edges are n-grams of their own, and a single letter has one
    for n in CHARACTER_NGRAMS:
        yield from ("c" + spaced[start : start + n] for start in range(len(spaced) - n + 1))
