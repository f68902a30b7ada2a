"""Experiments over the planted catalogue that take seconds."""

from pathlib import Path

import planted

from milkprep.splitting.commands import build_named
from milktrain.experiments import carrying_out, cells, reading
from schemas.contracts import Modality
from schemas.reporting import Silent

QUICK = {"max_epochs": 3, "evaluate_every": 1, "batch_size": 256, "dim": 8, "learning_rate": 0.01}
SPACE = {"learning_rate": {"low": 1e-3, "high": 0.1, "log": True}, "dim": {"choices": [4, 8]}}


def store(folder: Path, name: str = "planted.duckdb", *, modalities: tuple[Modality, ...] = tuple(Modality)) -> Path:
    """The planted catalogue, small, without any split."""
    return planted.fill(folder / name, n_users=40, n_items=80, per_user=10, modalities=modalities)


def tables(*rows: dict, **header) -> dict:
    """A plan as TOML would give it: one setting, two seeds, quick."""
    given = list(rows) or [{"name": "MILK"}, {"name": "floor", "model": "random-order"}]
    return {"title": "Small", "settings": ["ftmt"], "seeds": 2, "set": QUICK, "row": given} | header


def plan(*rows: dict, **header):
    """The same, read."""
    return reading.checked(tables(*rows, **header), told="plan.toml")


def experiment(path: Path, planned, **more):
    """A plan tied to a store."""
    return cells.experiment("small", planned, stores=[path], **more)


def carry_out(path: Path, planned, *, reporter=None, **more):
    """Do it, with whatever splits it takes."""
    return carrying_out.carry_out(experiment(path, planned, **more), build_split=build_named, reporter=reporter or Silent())


def metrics(carried) -> dict:
    """Metrics of every finished run by its key without the store."""
    return {key[1:]: done.manifest["metrics"] for key, done in carried.done.items() if done.manifest}
