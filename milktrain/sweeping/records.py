"""What is on disk of a sweep, as JSON: what is searched, and a file a trial. Nothing is ever unpickled.

sweeps/<name>/
    sweep.json          what is searched, where, and how; written first
    trials/0000.json    one trial: its settings, how it ended, its value on each split; complete or not there
    runs/               the run folders of the trials, judged on validation alone; those of the best trial have weights
    best.toml           the settings of the best trial, for `train --config`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from milktrain.sweeping.space import Value
from schemas import durable
from schemas.errors import DataError

SWEEP, TRIALS, RUNS, BEST = "sweep.json", "trials", "runs", "best.toml"
WEIGHTS = "model.safetensors"  # of a run folder
Kept = TypeVar("Kept")


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class OnSplit:
    """A trial on one split.

    Args:
        split: its name.
        run_id: folder in `runs`; empty where the run was not finished.
        value: of the metric on validation, of the best state; None where the run was not finished.
        epochs: run.
        best_epoch: whose state was best.
        seconds: it took.
        looks: epoch and value of each look at validation.
    """

    split: str
    run_id: str
    value: float | None
    epochs: int
    best_epoch: int
    seconds: float
    looks: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice of settings, tried.

    Args:
        number: counted from 0.
        settings: what was varied, by name.
        state: how it ended.
        value: mean over the splits of the metric on validation; None unless complete.
        splits: in the order they were tried.
    """

    number: int
    settings: dict[str, Value]
    state: State
    value: float | None
    splits: list[OnSplit]

    @property
    def seconds(self) -> float:
        """All its training took."""
        return sum(each.seconds for each in self.splits)


def begin(folder: Path, description: dict[str, object]) -> None:
    """Write what is searched, or see that it is what was begun.

    Raises:
        DataError: if the folder holds another sweep.
    """
    (folder / TRIALS).mkdir(parents=True, exist_ok=True)
    file = folder / SWEEP
    if not file.exists():
        _write(file, description)
    elif _read(file, dict).get("fingerprint") != description["fingerprint"]:
        raise DataError(f"{folder} holds another sweep. Delete the folder, or name another place with --sweeps.")


def write(trial: Trial, folder: Path) -> None:
    """Keep a finished trial."""
    _write(folder / TRIALS / f"{trial.number:04}.json", trial)


def write_best(text: str, folder: Path) -> None:
    """Keep the settings of the best trial, in place of those of an earlier one."""
    _write_bytes(folder / BEST, text.encode())


def read(folder: Path) -> list[Trial]:
    """All finished trials in their order.

    Raises:
        DataError: if a file is damaged, or one is missing between others.
    """
    trials = [_read(file, Trial) for file in sorted((folder / TRIALS).glob("[0-9]*.json"), key=_place)]
    if [trial.number for trial in trials] != list(range(len(trials))):
        raise DataError(f"Trials are missing in {folder / TRIALS}. Delete those after the gap, and run the same command again.")
    return trials


def best(trials: Sequence[Trial]) -> list[Trial]:
    """Complete trials, best first; of equals the first."""
    complete = [trial for trial in trials if trial.value is not None]
    return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))


def _place(file: Path) -> tuple[int, str]:
    """By number, of however many digits."""
    return len(file.stem), file.stem


def _write(file: Path, value: object) -> None:
    _write_bytes(file, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _write_bytes(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(content)
    durable.rename(partial, file)


def _read(file: Path, kind: type[Kept]) -> Kept:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{file} is no record of a sweep: {error}. Delete it with those after it, and run the same command again.") from error
