"""What an encoder is: the interface every file in `extractors/` offers and the extraction engine drives.

An encoder turns content (a text, or the path of a picture, video or sound) into a vector in two steps, so that the engine can
sort by length between them: `decode` prepares one content on the CPU, `encode` embeds a batch. The vector of a content does
not depend on what else is in its batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

Content = TypeVar("Content", contravariant=True)
Decoded = TypeVar("Decoded")
#: What files become in a decoding process: one array each, of any shape and type of numbers.
Preparer = Callable[[Path], NDArray[Any]]
#: The word for weights nobody trained, drawn from a fixed seed: for tests, and said so wherever a feature set is shown.
RANDOM = "random"


class OutOfMemory(Exception):
    """The device has no memory for a batch; the engine tries it in halves."""


class Encoder(Protocol[Content, Decoded]):
    """One ready encoder, weights loaded.

    Attributes:
        modality: what it embeds. `Content` is `str` for text, `Path` for the others.
        identity: what names its feature set; everything that changes a vector is in there.
        preparation: for files, what its module's `preparer` needs to know, JSON-serialisable: decoding processes call
            `preparer(preparation)` and never see the weights. None for text, which is decoded in threads.
        batch_size: contents a batch where the user names none.
        budget: most units of `size_of` held decoded at once, and most in one padded batch; bounds the memory.
    """

    modality: Modality
    identity: EncoderIdentity
    preparation: Mapping[str, object] | None
    batch_size: int
    budget: int

    def decode(self, content: Content) -> Decoded:
        """Prepare one content; small, for hundreds of them wait for their batch. For files, what the `preparer` gives: an array.

        Raises:
            DecodeFailure: if nothing can be made of it; the engine records it and goes on.
        """
        ...

    def size_of(self, decoded: Decoded) -> int:
        """Length that a batch is padded to (tokens, samples, frames); 1 where all are equal."""
        ...

    def encode(self, batch: Sequence[Decoded]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            batch: B >= 1 decoded contents, longest first.

        Returns:
            (B, width) float32.

        Raises:
            OutOfMemory: if the device does not hold the batch; it can go on with smaller ones.
        """
        ...


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What a user may choose about an encoder; None where nothing was chosen.

    A plugin names the ones that mean something to it in `ACCEPTS`; others are refused before it is built.

    Args:
        model: which network: a name that the encoder's library knows, or a folder; None for the encoder's own choice.
        weights: which trained values: a tag, a hub name, a local file or folder, or `random`; None for the encoder's own choice.
        pooling: how pieces become one vector: `mean`, `cls`, `last`, `pooled` (the network's own pooled output).
        prefix: text put before every text.
        normalise: whether vectors are scaled to length 1.
        max_length: longest input in tokens; None: the model's own limit.
        frames: frames taken of a video.
        frame_choice: `even` or `scenes`.
        window: seconds of sound a window; longer sound is cut into windows whose vectors are averaged over time.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, `bf16`, `fp16`; None: fp32 on the CPU, fp16 on a GPU.
    """

    model: str | None = None
    weights: str | None = None
    pooling: str | None = None
    prefix: str | None = None
    normalise: bool = False
    max_length: int | None = None
    frames: int | None = None
    frame_choice: str | None = None
    window: float | None = None
    device: str = "auto"
    precision: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """Something an encoder can be asked for, as `python cli.py encoders` lists it.

    Args:
        model: what to name with --model, empty where there is no choice.
        weights: what to name with --weights, `none` where there are none.
        width: length of a vector; None where it follows from what is given.
        origin: where weights come from, in few words.
        is_here: whether they are on this machine.
    """

    model: str
    weights: str
    width: int | None
    origin: str
    is_here: bool


#: What these hold where nothing was asked for, or nothing but what every encoder does.
UNASKED = {"normalise": (False,), "device": ("auto", "cpu")}


def refuse_unknown_options(options: EncoderOptions, *, accepts: frozenset[str], encoder: str) -> None:
    """Refuse options that mean nothing to an encoder.

    Args:
        options: what the user chose.
        accepts: names of the fields of `EncoderOptions` that mean something to it.
        encoder: its name, for the message.

    Raises:
        BadValue: if another one was given; the message names it.
    """
    for option in fields(options):
        given = getattr(options, option.name)
        if option.name not in accepts and given not in UNASKED.get(option.name, (None,)):
            flag = "--" + option.name.replace("_", "-")
            raise BadValue(f"{flag} means nothing to the encoder {encoder}. Leave it out, or choose another encoder.")


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
