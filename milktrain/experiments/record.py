"""What is on disk of an experiment, written whole or not at all, and again after each run.

experiments/<name>-<fingerprint>/
    plan.json            the plan as it was read
    record.json          each run: label, run folder, settings, state, seconds; each search: budget, what was found
    table.md ...         tables and pictures, see `tables` and `figures`
experiments/sweeps/      the searches, as `python cli.py sweep` writes them
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from milktrain.experiments.cells import Cell, Experiment
from schemas import durable

PLAN, RECORD = "plan.json", "record.json"


class State(StrEnum):
    """How far a run is."""

    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(slots=True)
class Done:
    """What became of a cell.

    Args:
        state: how far it is.
        run_id: its run folder, once it is finished.
        folder: where that lies.
        settings: it was trained with.
        chosen: those of them that a search chose.
        seconds: the training took, whenever that was.
        seconds_per_epoch: the median of its epochs; 0 where it has none.
        reused: whether it had been finished before.
        reason: why it failed.
        manifest: of the finished run; not written here, as it is in the run folder.
    """

    state: State = State.WAITING
    run_id: str = ""
    folder: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_per_epoch: float = 0.0
    reused: bool = False
    reason: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that was carried out.

    Args:
        store: file name.
        setting: whose runs use what it found.
        row: name of the row.
        splits: whose validation decided.
        metric: that was looked at.
        trials: how many were tried; the budget.
        n_complete: of them.
        value: of the best, on validation; None where none was complete.
        chosen: settings of the best, by name.
        seconds: all trials took.
        folder: of the sweep.
    """

    store: str
    setting: str
    row: str
    splits: tuple[str, ...]
    metric: str
    trials: int
    n_complete: int
    value: float | None
    chosen: dict[str, Any]
    seconds: float
    folder: str


def write(experiment: Experiment, done: dict[tuple[str, str, str, int], Done], searched: list[Searched]) -> None:
    """Write the plan and the record; what was there before is replaced in one step."""
    experiment.folder.mkdir(parents=True, exist_ok=True)
    put(experiment.folder / PLAN, as_json(experiment.plan.model_dump(mode="json", by_alias=True)))
    put(experiment.folder / RECORD, as_json(described(experiment, done, searched)))


def described(experiment: Experiment, done: dict[tuple[str, str, str, int], Done], searched: list[Searched]) -> dict[str, Any]:
    """The record as JSON holds it."""
    cells = experiment.cells()
    states = [done[cell.key].state for cell in cells]
    labels: dict[str, list[str]] = {}
    for cell in cells:
        labels.setdefault(cell.line.name, []).extend([done[cell.key].run_id] if done[cell.key].run_id else [])
    return {
        "name": experiment.name,
        "title": experiment.plan.title,
        "folder": str(experiment.folder),
        "stores": [{"store": str(each.store), "dataset": each.dataset, "runs": str(each.runs)} for each in experiment.sources],
        "counts": {state.value: states.count(state) for state in State},
        "labels": labels,
        "runs": [_row(cell, done[cell.key]) for cell in cells],
        "searches": [asdict(each) for each in searched],
    }


def put(file: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    durable.rename(partial, file)


def as_json(value: object) -> str:
    """For people and programs."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _row(cell: Cell, done: Done) -> dict[str, Any]:
    told = {name: value for name, value in asdict(done).items() if name != "manifest"}
    return {
        "label": cell.line.name,
        "model": cell.line.row.model,
        "store": cell.source.store.name,
        "setting": cell.setting,
        "split": cell.split,
        "repeat": cell.repeat,
        **told,
    }
