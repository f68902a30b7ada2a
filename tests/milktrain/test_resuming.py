"""A training that is interrupted ends as if it had been left alone; a state that is damaged or of another run is refused."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import planted
import pytest

from milkprep import splits
from milktrain import config, loop, recipe, training
from schemas.contracts import Setting
from schemas.errors import BadValue, DataError, UnknownName
from schemas.reporting import Silent

CHANGES = {"max_epochs": "60", "evaluate_every": "7", "patience": "100", "batch_size": "64", "dim": "16", "learning_rate": "0.01", "beta": "1"}
CHILD = """
import sys, tomllib
from pathlib import Path
from milktrain import config, recipe
from schemas.reporting import Silent
settings = config.load(changes=dict(pair.split("=") for pair in sys.argv[3:]))
recipe.train(Path(sys.argv[1]), split="ftmt-0", config=settings, runs_folder=Path(sys.argv[2]), reporter=Silent(), save_every_s=0.0)
"""


class Interrupted(Exception):
    """Raised by a watcher to end a training where it is."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("resuming") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def _train(path, folder, *, stop_at=None, **changes):
    def watch(row):
        if row["epoch"] == stop_at:
            raise Interrupted

    settings = config.load(changes=CHANGES | changes)
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), watch=watch, save_every_s=0.0)


def _interrupt(path, folder, *, stop_at, **changes):
    with pytest.raises(Interrupted):
        _train(path, folder, stop_at=stop_at, **changes)


def _end(run):
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found = json.loads((run / "run.json").read_text())
    return (run / "model.safetensors").read_bytes(), found["metrics"], found["best_epoch"], [row | {"seconds": 0} for row in log]


@pytest.mark.parametrize("optimizer", ["adam", "sparse_adam"])
def test_a_training_interrupted_at_several_epochs_ends_as_if_left_alone(path, tmp_path, optimizer):
    alone = _train(path, tmp_path / "alone", optimizer=optimizer, max_epochs="20")
    for epoch in (3, 7, 15):
        _interrupt(path, tmp_path / "cut", stop_at=epoch, optimizer=optimizer, max_epochs="20")
    resumed = _train(path, tmp_path / "cut", optimizer=optimizer, max_epochs="20")
    assert resumed.resumed_at >= 14
    assert _end(resumed.folder) == _end(alone.folder)
    assert [folder.name for folder in (tmp_path / "cut").iterdir()] == [resumed.run_id]


def test_a_training_killed_at_seeded_moments_ends_as_if_left_alone(path, tmp_path):
    alone, moments = _train(path, tmp_path / "alone"), random.Random(4)
    command = [sys.executable, "-c", CHILD, str(path), str(tmp_path / "killed"), *(f"{name}={value}" for name, value in CHANGES.items())]
    for _ in range(2):
        child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        deadline, before = time.monotonic() + 60, _saved(tmp_path / "killed")
        while _saved(tmp_path / "killed") == before and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        child.kill()
        assert child.wait() == -signal.SIGKILL  # it was under way
        assert _saved(tmp_path / "killed")
    resumed = _train(path, tmp_path / "killed")
    assert resumed.resumed_at >= 1
    assert _end(resumed.folder) == _end(alone.folder)


def _saved(folder):
    return [file.stat().st_mtime_ns for file in folder.glob(".*.unfinished/last.safetensors")]


def _state(folder):
    return next(folder.glob(".*.unfinished/last.safetensors"))


def test_states_are_written_by_the_clock_also_where_epochs_are_shorter_than_the_time_between_them(path, tmp_path, monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)), perf_counter=time.perf_counter)
    for module in (loop, training):
        monkeypatch.setattr(module, "time", clock)
    steps = []

    def watch(row):
        steps.append(next(ticks))
        if row["epoch"] == 12:
            raise Interrupted

    settings = config.load(changes=CHANGES | {"evaluate_every": "100", "max_epochs": "100"})
    with pytest.raises(Interrupted):
        recipe.train(path, split="ftmt-0", config=settings, runs_folder=tmp_path, reporter=Silent(), watch=watch, save_every_s=60)
    assert max(b - a for a, b in itertools.pairwise(steps)) < 60 < steps[-1]  # no epoch is as long as that, all together are
    assert list(tmp_path.rglob("*.safetensors"))


def test_a_best_state_that_no_last_one_names_goes_when_training_goes_on(path, tmp_path):
    """Planted, as one leaves it that is killed between writing the two; training would take it for the best of that epoch."""
    alone = _train(path, tmp_path / "alone", max_epochs="20")
    _interrupt(path, tmp_path / "cut", stop_at=8, max_epochs="20")
    folder = _state(tmp_path / "cut").parent
    named = next(folder.glob("best-*.safetensors"))
    planted_at = folder / "best-000014.safetensors"
    planted_at.write_bytes(named.read_bytes())
    stood = []
    real = training.Training.begin_epoch
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training.Training, "begin_epoch", lambda self: (stood.append(planted_at.exists()), real(self)))
        resumed = _train(path, tmp_path / "cut", max_epochs="20")
    assert not stood[0]
    assert _end(resumed.folder) == _end(alone.folder)


def test_a_best_state_alone_is_nothing_to_go_on_from(path, tmp_path):
    _interrupt(path, tmp_path, stop_at=8)
    state = _state(tmp_path)
    orphan = next(state.parent.glob("best-*.safetensors"))
    state.unlink()
    _interrupt(path, tmp_path, stop_at=1)
    assert state.exists()
    assert not orphan.exists()


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_state_that_was_cut_is_refused(path, tmp_path, keep):
    _interrupt(path, tmp_path, stop_at=2)
    state = _state(tmp_path)
    state.write_bytes(state.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cannot go on: last\.safetensors is damaged.*Delete the folder"):
        _train(path, tmp_path)


def test_a_changed_byte_is_noticed(path, tmp_path):
    _interrupt(path, tmp_path, stop_at=2)
    state = _state(tmp_path)
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with pytest.raises(DataError, match="its checksum does not fit"):
        _train(path, tmp_path)


def test_the_state_of_another_run_is_refused(path, tmp_path):
    for seed in ("1", "2"):
        _interrupt(path, tmp_path / seed, stop_at=2, seed=seed)
    _state(tmp_path / "2").write_bytes(_state(tmp_path / "1").read_bytes())
    with pytest.raises(DataError, match="is not of this run"):
        _train(path, tmp_path / "2", seed="2")


def test_what_cannot_be_trained_is_refused(path, tmp_path):
    with pytest.raises(UnknownName, match="no metric named 'ndgc'"):
        _train(path, tmp_path, stop_metric="ndgc@10")
    with pytest.raises(BadValue, match="bfloat16 needs a GPU"):
        _train(path, tmp_path, precision="bfloat16")
    with pytest.raises(BadValue, match="sparse_adam moves the users of a batch alone"):
        _train(path, tmp_path, optimizer="sparse_adam", regularisation="parameters")
