"""What an encoder is: the interface every file in `extractors/` offers and the extraction engine drives.

An encoder turns content (a text, or the path of a picture or sound) into a vector in two steps, so that the engine can
sort by length between them: `decode` prepares one content on the CPU, `encode` embeds a batch. The vector of a content does
not depend on what else is in its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

Content = TypeVar("Content", contravariant=True)
Decoded = TypeVar("Decoded")


class Encoder(Protocol[Content, Decoded]):
    """One ready encoder, weights loaded.

    Attributes:
        modality: what it embeds. `Content` is `str` for text, `Path` for the others.
        identity: what names its feature set; everything that changes a vector is in there.
        batch_size: contents a batch where the user names none.
        budget: most units of `size_of` held decoded at once, and most in one padded batch; bounds the memory.
    """

    modality: Modality
    identity: EncoderIdentity
    batch_size: int
    budget: int

    def decode(self, content: Content) -> Decoded:
        """Prepare one content; small, for hundreds of them wait for their batch.

        Raises:
            DecodeFailure: if nothing can be made of it; the engine records it and goes on.
        """
        ...

    def size_of(self, decoded: Decoded) -> int:
        """Length that a batch is padded to (tokens, samples); 1 where all are equal."""
        ...

    def encode(self, batch: Sequence[Decoded]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            batch: B >= 1 decoded contents, longest first.

        Returns:
            (B, width) float32.
        """
        ...


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What a user may choose about an encoder; one that has no such choice refuses it.

    Args:
        weights: hub name or local folder; None for encoders without weights.
        pooling: how token vectors become one, `mean`.
        normalise: whether vectors are scaled to length 1.
        max_length: longest input in tokens; None: the model's own limit.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    """

    weights: str | None = None
    pooling: str = "mean"
    normalise: bool = False
    max_length: int | None = None
    device: str = "auto"


def refuse_model_options(options: EncoderOptions, *, encoder: str) -> None:
    """Refuse options that mean something only for a trained network.

    Raises:
        BadValue: if one was given; the message names it.
    """
    given = {
        "--max-length": options.max_length is not None,
        "--pooling": options.pooling != "mean",
        "--device": options.device not in ("auto", "cpu"),
    }
    for flag, was_given in given.items():
        if was_given:
            raise BadValue(f"{encoder} has no weights and computes on the CPU: {flag} means nothing to it. Leave it out.")


def l2_normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay zeros.

    Args:
        vectors: (B, D) float32.

    Example:
        >>> l2_normalised(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def library_versions(*packages: str) -> dict[str, str]:
    """Installed versions of the libraries that compute a vector, by distribution name."""
    return {package: version(package) for package in packages}
