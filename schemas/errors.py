"""Every error a user can meet, in one tree.

    MilkError                  exit code 1
    ├── UsageError             exit code 2: the command line cannot be meant
    │   ├── UnknownName        a plugin, preset or encoder nobody knows
    │   └── BadValue           a flag or configuration value out of its range
    └── DataError              exit code 1: files or the store do not hold what is needed
        ├── SourceError        a raw file is missing, cut short, or not in the stated format
        ├── StoreError         the DuckDB file cannot be opened or read
        │   ├── StoreLocked    another process holds it
        │   └── QueryError     a user's SQL was refused
        ├── FeatureMissing     a modality has no feature set
        ├── NothingEmbedded    there was content, and an encoder could use none of it
        ├── WeightsMissing     pretrained weights are not on this machine
        ├── SplitMissing       no split of that name
        ├── Stale              derived data was made from another state of the store
        ├── ShapeError         arrays disagree about users, items or width
        └── TrainingDiverged   a loss stopped being a number

A message says what happened, to which thing, and what to do next, in one or two sentences.
`assert` is kept for this project's own mistakes.
"""

from typing import ClassVar, Self


class MilkError(Exception):
    """Root of the tree; the command line prints its message and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class UsageError(MilkError):
    """The command line or configuration cannot be meant as written."""

    exit_code: ClassVar[int] = 2


class UnknownName(UsageError):
    """A name that no plugin, preset or encoder answers to."""


class BadValue(UsageError):
    """A value outside the range its field allows."""


class DataError(MilkError):
    """Files or the store do not hold what the command needs."""


class SourceError(DataError):
    """A raw input file is missing, truncated, or in another format than stated."""


#: What systems say of a disk that takes no more.
DISK_FULL = ("No space left on device", "File too large", "Disk quota exceeded")


class StoreError(DataError):
    """The DuckDB file cannot be opened, migrated, read or written."""

    @classmethod
    def about(cls, path: object, error: Exception) -> Self:
        """The error of a store in whose file something failed; of a full disk it says what next.

        Args:
            path: of the store.
            error: what the database said.
        """
        full = next((words for words in DISK_FULL if words in str(error)), None)
        if full is None:
            return cls(f"{path}: {error}")
        return cls(f"{path} cannot be written to: {full}. Make room on its disk and run the same command again; what was stored before is whole.")


class StoreLocked(StoreError):
    """Another process holds the store and did not let go within the wait."""


class QueryError(StoreError):
    """DuckDB refused a statement that the user wrote."""


class FeatureMissing(DataError):
    """A modality was asked for that has no feature set in the store."""


class NothingEmbedded(DataError):
    """There was content of a modality, and an encoder could use none of it."""


class WeightsMissing(DataError):
    """Pretrained weights are neither on this machine nor reachable."""


class SplitMissing(DataError):
    """The store holds no split of that name."""


class Stale(DataError):
    """Derived data was made from another state of the store than the present one."""


class ShapeError(DataError):
    """Arrays that should describe the same users, items or widths do not."""


class TrainingDiverged(DataError):
    """A loss became infinite or not a number; the run is stopped and not recorded."""
