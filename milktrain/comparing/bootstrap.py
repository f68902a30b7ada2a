"""Percentile bootstrap of means over users, of many series at once.

Users are drawn with replacement as often as there are, and every series is averaged over the same draws, so that intervals of differences are
those of pairs. A draw is how often each user came, and the means of all series are one product of matrices, many draws at a time.

Many users go by blocks that a processor's cache holds: how many of a draw's users are of each block is multinomial, and within a block they
are drawn as among few. That is the same distribution; what is in memory besides the series does not grow with the users.
Efron & Tibshirani 1993, chapter 13.
"""

import numpy as np
import numpy.typing as npt

from milktrain.comparing.per_user import Numbers

#: Users drawn among at a time: their counts are 256 kB.
BLOCK = 1 << 15
#: Counts held at a time: 32 MB of float64.
CHUNK = 4 << 20
TAIL = 0.025  # that is left out on either side
LEVEL = 1 - 2 * TAIL


def means(series: Numbers, *, resamples: int, generator: np.random.Generator) -> Numbers:
    """Means of series over users drawn again and again.

    Args:
        series: (U, S) a row a user; NaN where a series has no such user.
        resamples: how often all users are drawn.
        generator: draws them; series do not change what is drawn.

    Returns:
        (resamples, S); NaN where none of a series' users was drawn.
    """
    n_users = len(series)
    blocks = [slice(start, min(start + BLOCK, n_users)) for start in range(0, n_users, BLOCK)]
    sizes = [block.stop - block.start for block in blocks]
    # Each block draws from a stream of its own, so that what is drawn does not depend on how many draws are held at a time.
    shares, *streams = generator.spawn(1 + len(blocks)) if len(blocks) > 1 else (generator, generator)
    found = np.empty((resamples, series.shape[1]))
    at_once = max(1, CHUNK // max(min(n_users, BLOCK), 1))
    for start in range(0, resamples, at_once):
        n_draws = min(at_once, resamples - start)
        n_of_each = shares.multinomial(n_users, np.divide(sizes, n_users), size=n_draws) if len(blocks) > 1 else np.full((n_draws, 1), n_users)
        totals, weights = np.zeros((n_draws, series.shape[1])), np.zeros((n_draws, series.shape[1]))
        for at, (block, stream) in enumerate(zip(blocks, streams, strict=True)):
            _add(totals, weights, series[block], _counts(n_of_each[:, at], sizes[at], stream))
        with np.errstate(invalid="ignore", divide="ignore"):
            found[start : start + n_draws] = totals / weights
    return found


def interval(drawn: Numbers) -> tuple[float, float] | None:
    """The middle share `LEVEL` of means; None where some draw had none.

    Args:
        drawn: (resamples,) means.

    Example:
        >>> interval(np.arange(1001.0))
        (25.0, 975.0)
    """
    if not len(drawn) or np.isnan(drawn).any():
        return None
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _add(totals: Numbers, weights: Numbers, series: Numbers, counts: Numbers) -> None:
    """Add to (r, S) totals and weights what draws bring of a block of users: (r, U) counts of (U, S) series."""
    known = ~np.isnan(series)
    if known.all():  # what is divided by is the same for all series unless some lack users
        totals += counts @ series
        weights += counts.sum(axis=1, keepdims=True)
    else:
        totals += counts @ np.where(known, series, 0.0)
        weights += counts @ known.astype(np.float64)


def _counts(n_drawn: npt.NDArray[np.int64], n_users: int, generator: np.random.Generator) -> Numbers:
    """(r, n_users) how often each user is among those drawn with replacement; `n_drawn` is how many in each of r draws."""
    counts = np.empty((len(n_drawn), n_users))
    for row, n in zip(counts, n_drawn.tolist(), strict=True):
        row[:] = np.bincount(generator.integers(n_users, size=n), minlength=n_users)
    return counts
