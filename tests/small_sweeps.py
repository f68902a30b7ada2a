"""Sweeps over the planted catalogue that take seconds."""

import planted

from milkprep import splits
from milktrain import config
from milktrain.sweeping import space, study
from schemas.contracts import Setting
from schemas.reporting import Silent

QUICK = {"max_epochs": "4", "evaluate_every": "2", "patience": "100", "batch_size": "256", "dim": "8", "learning_rate": "0.01", "beta": "1"}


def store(folder):
    """The planted catalogue with two splits."""
    path = planted.fill(folder / "planted.duckdb")
    for seed in (0, 1):
        splits.build(path, setting=Setting.FTMT, seed=seed)
    return path


def plan(*names, seed=0, prune=False, space_file=None, **changes):
    base = config.load(changes=QUICK | {name: str(value) for name, value in changes.items()})
    return study.Plan(names or ("ftmt-0",), space.load(space_file, base=base), base, seed, prune)


def sweep(path, folder, n_trials, planned=None):
    return study.sweep(path, plan=planned or plan(), n_trials=n_trials, sweeps_folder=folder, reporter=Silent())


def tried(found):
    """All that is known of each trial."""
    return [(trial.settings, trial.state, trial.value, [(each.split, each.value, each.looks) for each in trial.splits]) for trial in found.trials]


def one_setting(folder, text):
    """A file of a space."""
    file = folder / "space.toml"
    file.write_text(text)
    return file
