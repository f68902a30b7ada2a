"""Metrics of each user of finished runs, read from their folders as far as they are needed and checked against the runs' own means."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from milktrain.comparing.facts import Facts
from schemas.contracts import Part
from schemas.errors import DataError

Numbers = npt.NDArray[np.float64]
Users = npt.NDArray[np.int64]
#: How far a mean may be from what the record says: metrics are Float32, whose sums may be taken in another order.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class PerUser:
    """Metrics of the users of one split.

    Args:
        users: (U,) ids, ascending.
        values: (U, M) float64, a column a metric.
    """

    users: Users
    values: Numbers

    def on(self, users: Users) -> Numbers:
        """(n, M) values of some users, ascending; NaN of those who are not among these."""
        if np.array_equal(users, self.users):
            return self.values
        at = np.searchsorted(self.users, users).clip(max=max(len(self.users) - 1, 0))
        known = self.users[at] == users if len(self.users) else np.zeros(len(users), dtype=bool)
        return np.where(known[:, None], self.values[at], np.nan) if len(self.users) else np.full((len(users), self.values.shape[1]), np.nan)


def mean_of(runs: Sequence[Facts], *, part: Part, metrics: Sequence[str]) -> PerUser:
    """Metrics of each user, averaged over the seeds of one split.

    Args:
        runs: of one split, one a seed; at least one.
        part: whose users.
        metrics: columns of `users_<part>.parquet`.

    Raises:
        DataError: if a file is absent, damaged, or not of its run.
    """
    read = [_read(run, part=part, metrics=metrics) for run in runs]
    for run, each in zip(runs, read, strict=True):
        check_same(runs[0], read[0], run, each)
    return PerUser(read[0].users, reduce(np.add, (each.values for each in read)) / len(read))


def check_same(one: Facts, ones: PerUser, other: Facts, others: PerUser) -> None:
    """See that two runs of a split were judged on the same users.

    Raises:
        DataError: if not.
    """
    if not np.array_equal(ones.users, others.users):
        raise DataError(
            f"{one.folder} and {other.folder} were judged on other users of split {one.split[0]}. Train one of them again, or leave it out."
        )


def _read(run: Facts, *, part: Part, metrics: Sequence[str]) -> PerUser:
    file = run.folder / f"users_{part}.parquet"
    frame = _frame(file, ["user_idx", *metrics]).sort("user_idx")
    users, values = frame["user_idx"].to_numpy(), frame.select(pl.col(metrics).cast(pl.Float64)).to_numpy()
    if len(users) > 1 and (np.diff(users) == 0).any():
        raise DataError(f"{file} has users twice. Train the run again, or leave it out.")
    if not np.isfinite(values).all():
        raise DataError(f"{file} has metrics that are no numbers. Train the run again, or leave it out.")
    for name, mean in zip(metrics, values.mean(axis=0), strict=True):
        if abs(mean - run.means(part)[name]) > TOLERANCE:
            told = run.means(part)[name]
            raise DataError(f"{file} is not of its run: the mean of {name} is {mean:.6f}, and run.json says {told:.6f}. Train the run again.")
    return PerUser(users.astype(np.int64), values)


def _frame(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(file, columns=list(columns))
    except FileNotFoundError as error:
        raise DataError(f"{file} is not there, and tests need the metrics of each user. Train the run again, or leave it out.") from error
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"{file} does not hold the metrics of users: {error}. Train the run again, or leave it out.") from error
    whole = frame.schema["user_idx"].is_integer() and all(frame.schema[name].is_numeric() for name in columns)
    if not whole or not frame.height or frame.null_count().sum_horizontal().item():
        raise DataError(f"{file} does not hold the metrics of users: it is empty or has other columns. Train the run again, or leave it out.")
    return frame
