"""The video track of a file: its packets listed undecoded, and the frames shown at given times.

The file is read from its beginning each time and what is not wanted passed over, rather than sought in: that gives the same frames whatever
the container, its index and its times are worth, and costs no more than reading the file does.
"""

import heapq
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from milkprep.decode import DecodeFailure, undecodable
from milkprep.decode.containers import container_options, named_format
from milkprep.decode.image import MAX_PIXELS
from milkprep.decode.timeline import MAX_PACKETS, Stop, Timeline
from schemas.contracts import AssetStatus

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

#: Pixels that are decoded at one reading of a file; what needs more is refused.
MAX_DECODED_PIXELS = 40_000_000_000
#: Seconds a unit of time has where the file does not say.
UNIT_S = 1 / 25
#: Containers that number frames and do not time them.
UNTIMED = ("avi",)
NO_FRAME = "the video has no frame that can be decoded"


@dataclass(frozen=True, slots=True)
class Listed:
    """A video track as its packets and its header tell.

    Args:
        timeline: its packets.
        pixels: of a frame, by the header; 1 where it does not say.
    """

    timeline: Timeline
    pixels: int


def listed(path: Path) -> Listed:
    """The packets of a file's first video track.

    Args:
        path: an ordinary file.

    Raises:
        DecodeFailure: if it has no such track (`absent`), none that a decoder knows, no packets, or frames that are too large.
        av.FFmpegError: if it cannot be opened.
    """
    times, keys, shown = array("q"), array("b"), array("b")
    with _opened(path) as (container, stream):
        for packet in _packets(container, stream):
            time = _time(packet)
            times.append(time if time is not None else (times[-1] + 1 if times else 0))
            keys.append(packet.is_keyframe)
            shown.append(not packet.is_discard)
        unit_s = float(stream.time_base or 0) or UNIT_S
        pixels = stream.codec_context.width * stream.codec_context.height
    if not any(shown):
        raise undecodable(NO_FRAME)
    timeline = Timeline(np.array(times, dtype=np.int64), np.array(keys, dtype=np.bool_), np.array(shown, dtype=np.bool_), unit_s)
    return Listed(timeline, max(pixels, 1))


def frames_at(path: Path, stops: Sequence[Stop]) -> Iterator[tuple[Stop, "VideoFrame"]]:
    """The frames shown at given times, one held at a time.

    Args:
        path: an ordinary file.
        stops: in order of time.

    Yields:
        A stop, and the last sound frame shown no later; the first one after where damage left none before. Of different stops that come to the
        same frame only the first.

    Raises:
        DecodeFailure: as `listed` does, or if more than `MAX_DECODED_PIXELS` would be decoded.
        av.FFmpegError: if the file or its decoder cannot be opened.
    """
    last: tuple[Stop, VideoFrame] | None = None
    for stop, frame in _found(path, deque(stops)):
        if last is None or frame is not last[1] or stop.time == last[0].time:
            yield stop, frame
            last = stop, frame


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise undecodable(f"the video has more than {MAX_PIXELS // 1_000_000} million pixels a frame")


@contextmanager
def _opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """A container and its first video track, the others passed over."""
    import av
    from av.stream import Discard, Disposition

    named = named_format(path)
    with av.open(str(path), mode="r", format=named, metadata_errors="ignore", container_options=container_options()) as container:
        tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
        if not tracks:
            raise DecodeFailure(AssetStatus.ABSENT, "the file has no video track")
        stream = tracks[0]
        if stream.codec_context is None:  # its attributes are the stream's: asking for one would be an AttributeError
            raise undecodable("the video is in a coding that no decoder knows")
        _refuse_huge(stream.codec_context.width, stream.codec_context.height)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield container, stream


def _packets(container: "InputContainer", stream: "VideoStream") -> Iterator["Packet[VideoStream]"]:
    """The packets of a track that hold something, as many as are looked at, up to where the file breaks."""
    import av

    try:
        for number, packet in enumerate(container.demux(stream)):
            if number >= MAX_PACKETS:
                return
            if packet.size:
                yield packet
    except av.FFmpegError:  # what came before is there
        return


def _found(path: Path, left: deque[Stop]) -> Iterator[tuple[Stop, "VideoFrame"]]:
    """What `frames_at` gives, repetitions included."""
    with _opened(path) as (container, stream):
        stream.codec_context.thread_count = 1  # files are decoded side by side, by processes
        stream.codec_context.options = {"max_pixels": str(2 * MAX_PIXELS)}  # it counts whole blocks, beyond what is shown
        stream.codec_context.open()
        held: VideoFrame | None = None
        for moment in _decoded(container, stream, left):
            if moment is None:  # what comes next is decoded from another key frame
                held = None
                continue
            while left and left[0].start <= moment.packet and moment.time > left[0].time:
                yield left.popleft(), held or moment.frame
            held = moment.frame
        if left and held:
            yield left.popleft(), held


@dataclass(frozen=True, slots=True)
class _Moment:
    """A decoded frame: the number of the packet that brought it out, and when it is shown."""

    packet: int
    time: int
    frame: "VideoFrame"


def _decoded(container: "InputContainer", stream: "VideoStream", left: deque[Stop]) -> Iterator[_Moment | None]:
    """Sound frames as long as stops are left; None where the decoder starts anew."""
    clock = _Clock(container.format.name in UNTIMED)
    number, runs, n_pixels = -1, False, 0
    for number, packet in enumerate(_packets(container, stream)):
        if not left:
            return
        if number < left[0].start:
            if runs:
                stream.codec_context.flush_buffers()
                clock, runs = _Clock(clock.untimed), False
                yield None
            continue
        runs = True
        clock.fed(_time(packet))
        for frame in _of_packet(stream, packet):
            _refuse_huge(frame.width, frame.height)
            n_pixels += frame.width * frame.height
            if n_pixels > MAX_DECODED_PIXELS:
                raise undecodable("the video takes too long to decode")
            yield _Moment(number, clock.time(frame), frame)
    for frame in _of_packet(stream, None) if runs else ():
        yield _Moment(number, clock.time(frame), frame)


class _Clock:
    """Tells when frames are shown that come out of a decoder in that order.

    Args:
        untimed: the container numbers packets and does not say when they are shown: then the earliest number that went in comes out.
    """

    def __init__(self, untimed: bool) -> None:
        self.untimed = untimed
        self._inside: list[int] = []

    def fed(self, time: int | None) -> None:
        """A packet goes in."""
        if self.untimed and time is not None:
            heapq.heappush(self._inside, time)

    def time(self, frame: "VideoFrame") -> int:
        """When a frame that comes out is shown."""
        if self._inside:
            return heapq.heappop(self._inside)
        return _time(frame) or 0


def _of_packet(stream: "VideoStream", packet: "Packet[VideoStream] | None") -> list["VideoFrame"]:
    """The sound frames that come out when a packet goes in, None being the end; a damaged one is passed over."""
    import av

    try:
        return [frame for frame in stream.codec_context.decode(packet) if not frame.is_corrupt]
    except av.FFmpegError:
        return []


def _time(timed: "Packet[VideoStream] | VideoFrame") -> int | None:
    return timed.pts if timed.pts is not None else timed.dts
