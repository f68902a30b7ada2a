"""When a video shows which frame, by its packets, and where decoding must start to see it.

Headers are not asked: lengths they state are missing or wrong often enough. A frame is shown until the next one, yet counts for no more than
`LONGEST_FRAME_S`, so that one damaged time does not stretch a video over days; the last is shown as long as the others on average.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Seconds a frame counts for at most, and seconds of a video that are looked at.
LONGEST_FRAME_S, MAX_SECONDS = 60, 2 * 3600
#: Packets that are looked at: two hours at 60 a second.
MAX_PACKETS = 432_000


@dataclass(frozen=True, slots=True)
class Stop:
    """A frame to take.

    Args:
        start: the packet to decode from, the last key frame shown no later, by its number in the file.
        time: when the frame is shown, in the stream's units.
    """

    start: int
    time: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The packets of a video track, P of them in the order of the file.

    Args:
        times: (P,) int64, when each one's frame is shown, in units of `unit_s`.
        keys: (P,) bool, whether it can be decoded without those before it.
        shown: (P,) bool, whether its frame is shown at all.
        unit_s: seconds a unit of time has.
    """

    times: NDArray[np.int64]
    keys: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    unit_s: float

    def even(self, n: int) -> NDArray[np.int64]:
        """Times of the frames shown in the middle of n equal parts; each frame's once where there are no more than n.

        Args:
            n: >= 1.

        Returns:
            (<= n,) int64, ascending. A frame that is shown in the middle of several parts is there several times.
        """
        moments = np.unique(self.times[self.shown])
        if len(moments) <= n:
            return moments
        seconds = np.minimum(np.diff(moments) * self.unit_s, LONGEST_FRAME_S)
        begins = np.concatenate([[0.0], np.cumsum(seconds)])  # (frames,), when each would begin without the gaps
        length = min(float(begins[-1] + seconds.mean()), MAX_SECONDS)
        middles = (np.arange(n) + 0.5) / n * length
        # What lies between two units of time is rounding: a middle that falls on a frame's first moment is that frame's.
        return moments[np.searchsorted(begins, middles + self.unit_s / 1000, side="right") - 1]

    def first_half(self) -> "Timeline":
        """What lies in the first half of the packets."""
        half = (len(self.times) + 1) // 2
        return Timeline(self.times[:half], self.keys[:half], self.shown[:half], self.unit_s)

    def key_moments(self) -> NDArray[np.int64]:
        """Times of the frames that can be decoded alone, ascending."""
        return np.unique(self.times[self.keys & self.shown])

    def stops(self, wanted: NDArray[np.int64]) -> list[Stop]:
        """Where to decode from, for each wanted time.

        Args:
            wanted: (n,) times, ascending.
        """
        keys = np.flatnonzero(self.keys)
        reached = [keys[self.times[keys] <= time] for time in wanted]  # n is small
        return [Stop(int(found[-1]) if len(found) else 0, int(time)) for found, time in zip(reached, wanted, strict=True)]

    def cost(self, stops: list[Stop]) -> int:
        """Frames that are decoded to see those of some stops."""
        n_frames = at = 0
        ends = np.searchsorted(np.maximum.accumulate(self.times), [stop.time for stop in stops], side="left")
        for stop, end in zip(stops, ends.tolist(), strict=True):
            begin = max(stop.start, at)
            at = max(end + 1, begin)
            n_frames += at - begin
        return n_frames
