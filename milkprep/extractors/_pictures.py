"""What encoders of pictures share: the frames of a content, and one vector from theirs.

Decoded is (F, H, W, 3) uint8: one frame of a picture, some of a video. Their vectors are averaged, in float64. Decoding needs
numpy and Pillow alone, for it happens in processes of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.pictures import read_pictures
from milkprep.encoder import EncoderOptions, Preparer, l2_normalised
from milkprep.extractors import _device
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FRAMES, MOST_FRAMES = 8, 256
CHOICES = ("even", "scenes")
BATCH_SIZE = {"cpu": 16, "mps": 32, "cuda": 256}
#: Bytes of decoded frames held at once; as many frames again are on their way through the network.
HELD_BYTES = 96 << 20
#: A side longer than this many times the other is cut to it, around the middle, before the short one is scaled up to the network's:
#: of a line of pixels that would be gigabytes, of which the middle is kept anyway.
LONGEST = 64
#: Blocks of 16 MiB that Pillow keeps for the next picture in place of giving them back: about a fifth of the time of preparing a JPEG.
#: They hold a photograph of twelve million pixels and its copies; more would leave a process as large as its largest picture.
KEPT_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Frames:
    """Which frames of a video are seen.

    Args:
        n: how many, 1 .. MOST_FRAMES.
        how: `even` or `scenes`.
    """

    n: int
    how: str

    def parameters(self) -> dict[str, object]:
        """What of it belongs into an identity or a preparation."""
        return {"frames": self.n, "frame_choice": self.how}


def frames_of(options: EncoderOptions) -> Frames:
    """The frames that a user wants of a video.

    Raises:
        BadValue: if there are too few or too many, or no such choice of them.
    """
    n, how = FRAMES if options.frames is None else options.frames, options.frame_choice or CHOICES[0]
    if not 1 <= n <= MOST_FRAMES:
        raise BadValue(f"--frames {n} is out of range. Give 1 to {MOST_FRAMES}.")
    if how not in CHOICES:
        raise BadValue(f"There is no way to choose frames named {how!r}. Give --frame-choice {' or '.join(CHOICES)}.")
    return Frames(n, how)


def preparer(preparation: Mapping[str, object], one: Callable[[NDArray[np.uint8]], NDArray[np.generic]]) -> Preparer:
    """Pictures and videos to arrays of frames.

    Args:
        preparation: holds what `Frames.parameters` gave.
        one: (H, W, 3) uint8 RGB of any size to an array, of the same shape for all frames of a content.
    """
    from PIL import Image

    pillow: Any = Image  # which does not say that it exports its core
    pillow.core.set_blocks_max(KEPT_BLOCKS)
    n, how = int(str(preparation["frames"])), str(preparation["frame_choice"])

    def prepare(path: Path) -> NDArray[np.generic]:
        return np.stack([one(pixels) for pixels in read_pictures(path, frames=n, how=how)])

    return prepare


def shortened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a picture that is more than LONGEST times as long as it is wide, or as wide as long; others as they are.

    Args:
        pixels: (H, W, 3).
    """
    most = LONGEST * min(pixels.shape[:2])
    top, left = (max(0, (length - most) // 2) for length in pixels.shape[:2])
    return pixels[top : top + most, left : left + most]


def mean_of_frames(vectors: NDArray[np.float32], *, frames: Sequence[int]) -> NDArray[np.float32]:
    """One vector a content.

    Args:
        vectors: (sum of frames, D), those of a content together.
        frames: how many each content has, >= 1.

    Returns:
        (len(frames), D) float32.

    Example:
        >>> mean_of_frames(np.array([[1, 2], [3, 4], [5, 7]], dtype=np.float32), frames=[2, 1]).tolist()
        [[2.0, 3.0], [5.0, 7.0]]
    """
    starts = np.concatenate([[0], np.cumsum(frames)[:-1]])
    sums = np.add.reduceat(vectors.astype(np.float64), starts, axis=0)
    return np.asarray(sums / np.asarray(frames)[:, None], dtype=np.float32)


class PictureEncoder:
    """Encoder of pictures and videos by a network."""

    modality = Modality.VISUAL

    def __init__(
        self, forward: "Callable[[Tensor], Tensor]", *, identity: EncoderIdentity, preparation: Mapping[str, object], prepare: Preparer,
        size: tuple[int, int], mean: Sequence[float], std: Sequence[float], on: "torch.device", normalise: bool,
    ) -> None:  # fmt: skip
        """Wrap a loaded network.

        Args:
            forward: (N, 3, H, W) float32 to (N, width), on the device.
            identity: names the feature set; its parameters hold the precision.
            preparation: what decoding processes need to know.
            prepare: what they do: a path to (F, H, W, 3) uint8.
            size: H and W.
            mean: of red, green and blue, subtracted after a picture's values were brought to 0 .. 1.
            std: what each is divided by.
            on: where the network is.
            normalise: scale vectors to length 1.
        """
        self.identity = identity
        self.preparation = preparation
        self.batch_size = BATCH_SIZE[on.type]
        self.budget = max(MOST_FRAMES, HELD_BYTES // (3 * size[0] * size[1]))
        self._forward, self._prepare = forward, prepare
        self._mean, self._std = mean, std
        self._on, self._normalise = on, normalise
        self._precision = str(identity.parameters["precision"])

    def decode(self, content: Path) -> NDArray[np.uint8]:
        """(F, H, W, 3) uint8.

        Raises:
            DecodeFailure: if the file is no readable picture or video.
        """
        return np.asarray(self._prepare(content), dtype=np.uint8)

    def size_of(self, decoded: NDArray[np.uint8]) -> int:
        """Frames."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(B, width) float32; frames go through the network B at a time, so that a smaller batch needs less memory."""
        import torch

        frames = np.concatenate(batch)  # (N, H, W, 3)
        with _device.computing(self._on, self._precision):
            parts = [self._embedded(frames[start : start + len(batch)]) for start in range(0, len(frames), len(batch))]
            vectors = torch.cat(parts).cpu().numpy()  # (N, width)
        means = mean_of_frames(vectors, frames=[len(decoded) for decoded in batch])
        return l2_normalised(means) if self._normalise else means

    def _embedded(self, frames: NDArray[np.uint8]) -> "Tensor":
        import torch

        pixels = _device.on_device(frames, self._on).permute(0, 3, 1, 2).float()  # (N, 3, H, W), channels last in memory
        mean, std = (torch.tensor(list(values), device=self._on).view(1, 3, 1, 1) for values in (self._mean, self._std))
        return self._forward((pixels / 255 - mean) / std).float()
