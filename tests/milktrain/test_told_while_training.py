"""What a person is told while a training is under way, and when it goes on."""

import re
from contextlib import contextmanager

import planted
import pytest

from milkprep import splits
from milktrain import config, recipe
from schemas.contracts import Setting

CHANGES = {"max_epochs": "100", "evaluate_every": "2", "patience": "1", "batch_size": "128", "dim": "8", "learning_rate": "0.05", "beta": "1"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("told") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


class Listener:
    """Hears what is told of one task."""

    def __init__(self):
        self.label, self.total, self.done, self.notes = "", 0, 0, []

    @contextmanager
    def progress(self, label, *, total, unit):
        self.label, self.total = label, total
        yield self

    def advance(self, n=1):
        self.done += n

    def note(self, text):
        self.notes.append(text)


class Stopped(Exception):
    """Ends a training where it is."""


def _train(path, folder, listener, *, stop_at=None, save_every_s=60.0, **changes):
    def watch(row):
        if row["epoch"] == stop_at:
            raise Stopped

    settings = config.load(changes=CHANGES | changes)
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=listener, watch=watch, save_every_s=save_every_s)


def test_the_end_that_is_told_is_where_training_ends_when_nothing_better_comes(path, tmp_path):
    listener = Listener()
    run = _train(path, tmp_path, listener)
    best, ends_at = re.match(r"best ndcg@10 0\.\d{4} at (\d+), else ends at (\d+) \|", listener.notes[-1]).groups()
    assert (int(best), int(ends_at)) == (run.manifest["best_epoch"], run.manifest["epochs"])
    assert run.manifest["epochs"] < 100
    assert listener.done == run.manifest["epochs"]
    assert all(part in listener.notes[-1] for part in ("loss ", "bpr ", "variance ", "alignment ", "regularisation "))


def test_before_the_first_look_at_validation_no_best_is_made_up(path, tmp_path):
    listener = Listener()
    _train(path, tmp_path, listener, max_epochs="3", evaluate_every="2")
    assert listener.notes[0].startswith("validation from epoch 2 on | loss ")
    assert re.match(r"best ndcg@10 0\.\d{4} at \d, else ends at 3 \|", listener.notes[-1])


def test_a_training_that_goes_on_counts_from_where_it_does_so_that_time_left_is_true(path, tmp_path):
    with pytest.raises(Stopped):
        _train(path, tmp_path, Listener(), stop_at=5, save_every_s=0.0, max_epochs="8", patience="50")
    listener = Listener()
    run = _train(path, tmp_path, listener, max_epochs="8", patience="50")
    assert listener.label == f"train from epoch {run.resumed_at}"
    assert listener.total == listener.done == 8 - (run.resumed_at - 1)
