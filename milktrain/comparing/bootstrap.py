"""Percentile bootstrap of means over users, of many series at once.

Users are drawn with replacement as often as there are, and every series is averaged over the same draws, so that intervals of differences are
those of pairs. A draw is how often each user came, and the means of all series are one product of
matrices, some draws at a time.
Efron & Tibshirani 1993, chapter 13.
"""

import numpy as np

from milktrain.comparing.per_user import Numbers

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
    known = ~np.isnan(series)
    whole = bool(known.all())
    filled = series if whole else np.where(known, series, 0.0)
    found = np.empty((resamples, series.shape[1]))
    at_once = max(1, CHUNK // max(n_users, 1))
    for start in range(0, resamples, at_once):
        counts = _counts(n_users, min(at_once, resamples - start), generator)  # (r, U)
        # What is divided by is the same for all series unless some lack users.
        weights = np.full((len(counts), 1), float(n_users)) if whole else counts @ known.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[start : start + len(counts)] = (counts @ filled) / weights
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


def _counts(n_users: int, n_draws: int, generator: np.random.Generator) -> Numbers:
    """(n_draws, n_users) how often each user is among n_users drawn with replacement."""
    counts = np.empty((n_draws, n_users))
    for row in counts:
        row[:] = np.bincount(generator.integers(n_users, size=n_users), minlength=n_users)
    return counts
