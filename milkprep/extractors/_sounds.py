"""What encoders of sound share: files to samples, long sound to windows, vectors of windows to one vector.

The vector of a sound is the mean over time of its windows' vectors, each weighted by the samples of the sound in it; what a
window is padded with has no weight. Windows of all sounds of a batch share forward passes, bounded in size, and where
padding would change a vector only windows of one length do, so that no vector depends on its batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.audio import MAX_SECONDS, at_rate, read_sound, refuse_inaudible
from milkprep.encoder import OutOfMemory
from schemas.errors import BadValue

#: What one forward pass does: W windows to (W, D) float32.
Forward = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]
#: Seconds of sound in one forward pass; wav2vec 2.0 takes about 20 MB for each, and a CPU is no faster with more.
PASS_SECONDS = {"cpu": 30, "mps": 30, "cuda": 600}
#: Sounds a batch where the user names none.
BATCH_SIZE = {"cpu": 8, "mps": 8, "cuda": 64}


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sound.

    Args:
        owner: place of its sound in the batch.
        weight: samples of the sound in it, padding not counted.
        values: what the network takes; the first axis is the one that is padded.
    """

    owner: int
    weight: int
    values: NDArray[np.float32]


def samples_of(path: Path, *, rate: int, shortest: int) -> NDArray[np.float32]:
    """A file's sound at a rate.

    Args:
        path: any container with a sound track.
        rate: samples per second wanted.
        shortest: fewest samples that are any use.

    Returns:
        (T,) float32 mono, shortest <= T <= `MAX_SECONDS` * rate.

    Raises:
        DecodeFailure: if there is no sound, it cannot be read, is silent throughout or too short.
    """
    samples = at_rate(read_sound(path), rate)[: MAX_SECONDS * rate]
    refuse_inaudible(samples, min_samples=shortest, rate=rate)
    return samples


def window_samples(asked: float | None, *, rate: int, shortest: int, usual: float, longest: float = MAX_SECONDS) -> int:
    """Samples of a window, as asked or as usual.

    Args:
        asked: seconds, None where the user names none.
        rate: samples per second.
        shortest: fewest samples that the network takes.
        usual: seconds of a window where none are named.
        longest: most seconds that the network takes.

    Raises:
        BadValue: if no window of that length is possible.
    """
    seconds = usual if asked is None else asked
    if not shortest / rate <= seconds <= longest:
        raise BadValue(f"--window {seconds:g} is out of range: give {shortest / rate:g} to {longest:g} seconds.")
    return int(seconds * rate)


def cut(n_samples: int, *, window: int, shortest: int, join: bool) -> list[tuple[int, int]]:
    """Where the windows of a sound begin and end, one after the other without overlap.

    Args:
        n_samples: of the sound, at least `shortest`.
        window: samples of a window.
        shortest: a remainder of fewer is no window of its own.
        join: put such a remainder to the window before it (for networks that take any length); else drop it.

    Example:
        >>> cut(25, window=10, shortest=3, join=True)
        [(0, 10), (10, 20), (20, 25)]
        >>> cut(22, window=10, shortest=3, join=True), cut(22, window=10, shortest=3, join=False)
        ([(0, 10), (10, 22)], [(0, 10), (10, 20)])
    """
    edges = [*range(0, n_samples, window), n_samples]
    if len(edges) > 2 and edges[-1] - edges[-2] < shortest:
        del edges[-2 if join else -1]
    return list(pairwise(edges))


def averaged(windows: Sequence[Window], forward: Forward, *, n_sounds: int, most: int, equal: bool) -> NDArray[np.float32]:
    """Vectors of sounds from those of their windows.

    Args:
        windows: of all sounds of a batch, at least one each.
        forward: embeds windows, W of them to (W, D).
        n_sounds: B.
        most: what the windows of one forward pass, padded, may hold along the first axis; one window is always taken.
        equal: only windows of one length share a pass.

    Returns:
        (B, D) float32, means weighted by the windows' own samples.

    Raises:
        OutOfMemory: if the device has no memory for a single window.
    """
    totals: NDArray[np.float64] | None = None
    weights = np.zeros(n_sounds)
    for some in _passes(windows, most=most, equal=equal):
        vectors = _halving(some, forward)
        if totals is None:
            totals = np.zeros((n_sounds, vectors.shape[1]))
        for window, vector in zip(some, vectors, strict=True):
            totals[window.owner] += window.weight * vector.astype(np.float64)
            weights[window.owner] += window.weight
    assert totals is not None, "no windows"
    assert weights.all(), "a sound without a window"
    return (totals / weights[:, None]).astype(np.float32)


def padded(windows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """(W, T) float32: windows of (T_w,) samples, filled up with zeros to the longest."""
    filled = np.zeros((len(windows), max(map(len, windows))), dtype=np.float32)
    for row, window in enumerate(windows):
        filled[row, : len(window)] = window
    return filled


def _passes(windows: Sequence[Window], *, most: int, equal: bool) -> Iterator[list[Window]]:
    """Windows longest first, as many together as may share a forward pass."""
    ordered = sorted(windows, key=lambda window: -len(window.values))  # stable: within a length as they came
    groups = [list(group) for _, group in groupby(ordered, key=lambda window: len(window.values))] if equal else [ordered]
    for group in groups:
        start = 0
        while start < len(group):
            n = max(1, most // len(group[start].values))
            yield group[start : start + n]
            start += n


def _halving(windows: Sequence[Window], forward: Forward) -> NDArray[np.float32]:
    """A forward pass, in halves where the device has no memory for it at once: one long sound is a batch that cannot shrink."""
    try:
        return forward([window.values for window in windows])
    except OutOfMemory:
        if len(windows) == 1:
            raise
    middle = len(windows) // 2
    return np.concatenate([_halving(windows[:middle], forward), _halving(windows[middle:], forward)])
