"""Run folders written by hand: metrics of each user as given, and a record that says what they come to."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from milktrain.comparing.labelled import LabelledRun
from schemas import fingerprint

SETTINGS = {"preset": "default", "lam": 0.5, "dim": 64}


def write(folder, values, *, users=None, model="milk", split="ftmt-0", seed=0, store="a.duckdb", part="test", settings=None, of_lists=None, **record):
    """A run folder in `folder`; `values` are a number a user of each metric, `of_lists` metrics of no user, `record` other fields of `run.json`."""
    config = SETTINGS | {"seed": seed} | (settings or {})
    per_user = pl.DataFrame({name: np.asarray(numbers, dtype=np.float32) for name, numbers in values.items()})
    users = list(range(per_user.height)) if users is None else users
    means = {name: float(per_user[name].cast(pl.Float64).mean()) for name in values} | (of_lists or {})
    told = {
        "store": store, "model": model, "split": split, "setting": split.partition("-")[0], "split_fingerprint": f"of {split}", "seed": seed,
        "config": config, "metrics": {part: means}, "modalities": "visual,audio", "device": "cpu", "profile": "milk",
        "feature_sets": {name: {"encoder": "imported", "fingerprint": name, "contents": "x"} for name in ("visual", "audio")},
        "finished_at": "2020-01-01T00:00:00+00:00",
    } | record  # fmt: skip
    run = Path(folder) / f"{split}-{model}-default-{fingerprint.of_value(told)[:8]}"
    run.mkdir(parents=True)
    per_user.with_columns(pl.Series("user_idx", users, dtype=pl.Int64)).write_parquet(run / f"users_{part}.parquet")
    (run / "run.json").write_text(json.dumps(told))
    return run


def labelled(label, run):
    """A run folder under a label."""
    return LabelledRun(label, run, json.loads((run / "run.json").read_text()))


def rewrite(run, **record):
    """Change what the record of a run says."""
    file = run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | record))
