"""Frames of a video: a few of many, upright RGB, within bounds of work and memory that no header moves.

The packets are listed first, undecoded, which tells when each frame is shown; then what is wanted is decoded, each frame from the key frame
before it. Lengths that headers state are not trusted. Damaged packets are passed over; a container with less than it states was cut short.
Pixels are taken as they are stored: those that are not square are not stretched, interlaced ones not woven.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.decode.containers import is_cut_short
from milkprep.decode.timeline import Stop
from milkprep.decode.track import NO_FRAME, Listed, frames_at, listed
from schemas.errors import BadValue

if TYPE_CHECKING:
    from av import VideoFrame
    from av.buffer import Buffer

#: How frames are chosen: in the middle of equal parts, or one of each scene.
CHOICES = ("even", "scenes")
#: Pixels that may be decoded to see even frames; of a video that needs more only a beginning is looked at.
MAX_EVEN_PIXELS = 20_000_000_000
#: Looks that are taken to find n scenes: this many times n, at most so many, within so many decoded pixels; beyond, at key frames only.
LOOKS, MAX_LOOKS, MAX_LOOKED_PIXELS = 8, 128, 4_000_000_000
#: Side of what is compared, and by how many of 255 levels the average pixel must change between looks for another scene.
SMALL, CHANGE = 32, 12.0
#: What damaged streams raise besides FFmpeg's own errors: parameters that change or make no sense.
SENSELESS = (ValueError, LookupError, ArithmeticError, MemoryError, TypeError, AttributeError)


def read_frames(path: Path, *, n: int, how: str = "even") -> list[NDArray[np.uint8]]:
    """Decode some frames of a file's first video track.

    Args:
        path: an ordinary file; its ending does not matter.
        n: frames wanted, >= 1; a shorter video gives all it has.
        how: `even` - the frames shown in the middle of n equal parts, one shown in several of them several times; `scenes` - one of the
            middle of each scene, divided where the picture changes most, or `even` where there are fewer than n scenes.

    Returns:
        1 to n frames in order of time, each (H, W, 3) uint8 RGB, contiguous, turned as the file says, H * W <= MAX_PIXELS.

    Raises:
        BadValue: if n or how is out of range.
        DecodeFailure: if it has no video track (`absent`), is no video, broke off, or is too large.
    """
    if n < 1:
        raise BadValue(f"{n} frames are out of range: ask for 1 or more.")
    if how not in CHOICES:
        raise BadValue(f"frames cannot be chosen by {how!r}: give one of {', '.join(CHOICES)}.")
    with _failures():
        if is_cut_short(path):
            raise undecodable("the video is cut short: its header states more than can be read")
        track = listed(path)
        stops = (_scenes(path, track, n) if how == "scenes" else None) or _affordable(track, n)
        frames = [_upright_rgb(frame) for _, frame in frames_at(path, stops)]
        if not frames:
            raise undecodable(NO_FRAME)
    return frames


@contextmanager
def _failures() -> Iterator[None]:
    """What goes wrong with a video becomes a `DecodeFailure`."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise undecodable(f"the video is broken or of an unknown format: {error.strerror}") from error
    except SENSELESS as error:
        raise undecodable("the video track makes no sense") from error
    except OSError as error:
        raise undecodable(f"the file cannot be read: {error.strerror}") from error


def _affordable(track: Listed, n: int) -> list[Stop]:
    """Stops for even frames, of as much of the video from its beginning as can be decoded at a bearable price."""
    timeline = track.timeline
    stops = timeline.stops(timeline.even(n))
    while timeline.cost(stops) * track.pixels > MAX_EVEN_PIXELS and len(timeline.times) > 1:
        timeline = timeline.first_half()
        stops = timeline.stops(timeline.even(n))
    return stops


def _scenes(path: Path, track: Listed, n: int) -> list[Stop] | None:
    """One stop in each of n scenes; None where no n scenes are seen.

    Evenly spaced looks are taken at the video, at a glance: grey, 32 x 32. It is divided where neighbouring looks differ most.
    """
    stops, glances = [], []
    for stop, frame in frames_at(path, _looks(track, min(LOOKS * n, MAX_LOOKS))):
        stops.append(stop)
        glances.append(_glance(frame))
    if len(stops) < n:
        return None
    changes = np.abs(np.diff(np.stack(glances), axis=0)).mean(axis=(1, 2))  # (looks - 1,) in levels of 255
    largest = np.argsort(-changes, kind="stable")[: n - 1]
    if (changes[largest] < CHANGE).any():
        return None
    edges = [0, *np.sort(largest + 1).tolist(), len(stops)]
    return [stops[(first + end - 1) // 2] for first, end in pairwise(edges)]


def _looks(track: Listed, most: int) -> list[Stop]:
    """Stops of evenly spaced looks; at key frames where others cost too much."""
    timeline = track.timeline
    stops = timeline.stops(timeline.even(most))
    if timeline.cost(stops) * track.pixels <= MAX_LOOKED_PIXELS:
        return stops
    keys = timeline.key_moments()
    spread = np.linspace(0, len(keys) - 1, min(most, len(keys))).round().astype(np.int64)
    return timeline.stops(keys[spread])


def _glance(frame: "VideoFrame") -> NDArray[np.float32]:
    """(32, 32) luminance."""
    return frame.reformat(width=SMALL, height=SMALL, format="gray").to_ndarray().astype(np.float32)


def _upright_rgb(frame: "VideoFrame") -> NDArray[np.uint8]:
    """(H, W, 3) RGB, turned as the file says; a mirror image, as some phones record, is one of the turns."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    try:
        beside = cast("Mapping[str, Buffer]", frame.side_data)
    except ValueError:  # there is something beside the frame that PyAV has no name for; the turn it knows all the same
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
    if "DISPLAYMATRIX" in beside:
        pixels = _turned(pixels, np.frombuffer(bytes(beside["DISPLAYMATRIX"]), dtype=np.int32))
    return np.ascontiguousarray(pixels)


def _turned(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Pixels where a display matrix puts them, to the nearest quarter turn.

    Args:
        pixels: (H, W, 3).
        matrix: (9,) a, b, u, c, d, v, x, y, w: column p of row q is shown in column a p + c q + x of row b p + d q + y.

    Source:
        ISO/IEC 14496-12, section 6.2.2.
    """
    a, b, c, d = matrix[[0, 1, 3, 4]].astype(np.int64).tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
