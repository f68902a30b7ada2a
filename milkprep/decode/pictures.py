"""What is seen of a file: a picture, or some frames of a video. Which of them it is, its content says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import image
from milkprep.decode.containers import is_video
from milkprep.decode.video import read_frames

#: Frames that show that a video can be decoded: at a sixth, a half and five sixths of it.
ENOUGH_FRAMES = 3


def read_pictures(path: Path, *, frames: int, how: str = "even") -> list[NDArray[np.uint8]]:
    """Decode a picture, or some frames of a video.

    Args:
        path: an ordinary file; its ending does not matter.
        frames: of a video, >= 1; a shorter one gives all it has.
        how: which frames, see `video.read_frames`.

    Returns:
        One picture, or 1 to `frames` of a video in order of time; each (H, W, 3) uint8 RGB, contiguous.

    Raises:
        BadValue: if frames or how is out of range.
        DecodeFailure: if it is neither, has no video track (`absent`), is cut short, or too large.
    """
    return read_frames(path, n=frames, how=how) if is_video(path) else [image.read_image(path)]


def refuse_undecodable(path: Path) -> None:
    """Decode a picture, or a few frames of a video, and keep nothing of it.

    Args:
        path: an ordinary file; its ending does not matter.

    Raises:
        DecodeFailure: as `read_pictures` does.
    """
    if is_video(path):
        read_frames(path, n=ENOUGH_FRAMES)
    else:
        image.refuse_undecodable(path)
