"""Tests of paired differences, and their correction where several are made.

All are two-sided. None stands for a test that cannot be made, e.g. of one pair.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from milktrain.comparing.per_user import Numbers

#: Decimals to which differences are told apart before they are ranked. Metrics are Float32: what is the same difference of two shares, such as
#: 3/5 - 2/5 and 1/5 - 0, is not the same number, and a tie, or no difference at all, must not be ranked by what rounding left.
DECIMALS = 6


def paired_t(differences: Numbers) -> float | None:
    """The p of Student's paired t: are differences zero on average?

    Args:
        differences: (n,) one a pair.

    Returns:
        None of less than two pairs; 1 where nothing differs; 0 where all differ by the same.

    Source:
        Student 1908; computed by scipy.
    """
    if len(differences) < 2:
        return None
    if not differences.any():
        return 1.0
    with warnings.catch_warnings():  # of differences that are nearly all the same it warns that their spread is rounding
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ttest_1samp(differences, 0.0).pvalue)


def signed_ranks(differences: Numbers) -> float | None:
    """The p of Wilcoxon's signed ranks: are differences symmetric about zero? Those of zero are dropped.

    Args:
        differences: (n,) one a pair.

    Returns:
        None of less than two pairs; 1 where nothing differs.

    Source:
        Wilcoxon 1945; computed by scipy, exactly for up to 50 pairs without ties, by the normal approximation with correction for ties else.
    """
    if len(differences) < 2:
        return None
    rounded = np.round(differences, DECIMALS)
    rounded = rounded[rounded != 0]
    if not len(rounded):
        return 1.0
    tied = len(np.unique(np.abs(rounded))) < len(rounded)
    method = "exact" if len(rounded) <= 50 and not tied else "asymptotic"
    return float(stats.wilcoxon(rounded, zero_method="wilcox", method=method).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values of a family of tests, corrected so that the chance of any false alarm among them stays below the level.

    Args:
        p_values: one a test; None where there was none, which does not count.

    Returns:
        In the same order: of the i-th smallest of m, the greatest of (m - j + 1) p_j over j <= i, at most 1.

    Source:
        Holm 1979.

    Example:
        >>> holm([0.25, None, 0.01])
        [0.25, None, 0.02]
    """
    made = [p for p in p_values if p is not None]
    order = sorted(range(len(p_values)), key=lambda at: (p_values[at] is None, p_values[at] or 0.0))
    corrected: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for rank, at in enumerate(order[: len(made)]):
        p = p_values[at]
        assert p is not None
        so_far = max(so_far, min(1.0, (len(made) - rank) * p))
        corrected[at] = so_far
    return corrected
