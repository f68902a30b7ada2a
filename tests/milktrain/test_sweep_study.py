"""Sweeps on a catalogue whose tastes are known: on validation alone, exact when resumed, and worth what their runs are."""

import json
import math
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_sweeps
from small_sweeps import QUICK, plan, sweep, tried
from typer.testing import CliRunner

import cli
from milktrain import config, recipe, runs
from milktrain.sweeping import plot, records
from milktrain.sweeping.records import State
from schemas import pictures
from schemas.errors import BadValue, DataError, UnknownName
from schemas.reporting import Silent
from schemas.store import Store

#: A trial whose settings may lie outside of the default space.
TRIAL = '{"number": 1, "settings": {"beta": BETA}, "state": "complete", "value": 1.0, "splits": []}'
CHILD = """
import json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from milktrain import config
from milktrain.sweeping import space, study
base = config.load(changes=json.loads(sys.argv[4]))
plan = study.Plan(("ftmt-0",), space.load(None, base=base), base)
class Dying:
    left = int(sys.argv[3])
    def advance(self, n=1): pass
    def note(self, text):
        Dying.left -= 1
        if not Dying.left:
            os.kill(os.getpid(), signal.SIGKILL)
    @contextmanager
    def progress(self, label, *, total, unit):
        yield self
study.sweep(Path(sys.argv[1]), plan=plan, n_trials=3, sweeps_folder=Path(sys.argv[2]), reporter=Dying(), save_every_s=0.0)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return small_sweeps.store(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def alone(path, tmp_path_factory):
    """A sweep of three trials that nobody disturbed."""
    return sweep(path, tmp_path_factory.mktemp("alone"), 3)


def test_a_trial_is_worth_the_mean_over_the_splits_of_what_its_runs_are_worth(path, tmp_path):
    found = sweep(path, tmp_path, 1, plan("ftmt-0", "ftmt-1", stop_metric="recall@20"))
    for trial in found.trials:
        settings = config.checked(found_base(found) | trial.settings)
        by_hand = [
            recipe.train(path, split=split, config=settings, runs_folder=tmp_path / "runs", reporter=Silent()).manifest["metrics"]["val"]["recall@20"]
            for split in ("ftmt-0", "ftmt-1")
        ]
        assert [each.value for each in trial.splits] == by_hand
        assert trial.value == pytest.approx(sum(by_hand) / 2, abs=1e-15)
        assert trial.splits[0].looks[-1][0] == 4


def found_base(found):
    """The settings all trials of a sweep started from, as its folder says."""
    return json.loads((found.folder / records.SWEEP).read_text())["base"]


def test_the_search_neither_reads_nor_keeps_test_interactions(path, alone, tmp_path):
    blind = Path(shutil.copy(path, tmp_path / "planted.duckdb"))
    with Store(blind, mode="update") as store:
        store.run("DELETE FROM interactions WHERE item_idx IN (SELECT item_idx FROM split_items WHERE split_id = 1 AND part = 'test')")
    found = sweep(blind, tmp_path / "sweeps", 3)
    assert found.folder.name == alone.folder.name
    assert tried(found) == tried(alone)
    for file in found.folder.rglob("run.json"):
        assert set(json.loads(file.read_text())["metrics"]) == {"val"}
    assert not list(found.folder.rglob("*test*"))


def test_validation_interactions_do_steer_it(path, alone, tmp_path):
    other = Path(shutil.copy(path, tmp_path / "planted.duckdb"))
    with Store(other, mode="update") as store:
        store.run(
            "DELETE FROM interactions WHERE user_idx < 30 AND item_idx IN (SELECT item_idx FROM split_items WHERE split_id = 1 AND part = 'val')"
        )
    found = sweep(other, tmp_path / "sweeps", 1)
    assert found.trials[0].settings == alone.trials[0].settings
    assert found.trials[0].value != alone.trials[0].value


def test_another_seed_is_another_search(path, alone, tmp_path):
    other = sweep(path, tmp_path, 2, plan(seed=1))
    assert other.folder.name != alone.folder.name
    assert other.trials[0].settings == alone.trials[0].settings  # both begin where all start from
    assert other.trials[1].settings != alone.trials[1].settings


def test_a_search_killed_in_the_middle_of_runs_ends_as_if_left_alone(path, alone, tmp_path):
    command = [sys.executable, "-c", CHILD, str(path), str(tmp_path), "4", json.dumps(QUICK)]
    child = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert child.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("trials/0*.json"))) == 1
    assert list(tmp_path.rglob("last.safetensors"))  # it was under way
    found = sweep(path, tmp_path, 3)
    assert found.n_before == 1
    assert tried(found) == tried(alone)
    assert (found.folder / "best.toml").read_text() == (alone.folder / "best.toml").read_text()
    assert not list(tmp_path.rglob("*.unfinished"))


def test_more_trials_are_added_to_those_there_are(path, alone, tmp_path):
    first = sweep(path, tmp_path, 1)
    found = sweep(path, tmp_path, 2)
    assert (len(first.trials), found.n_before) == (1, 1)
    assert tried(found) == tried(alone)[:2]
    assert tried(sweep(path, tmp_path, 1)) == tried(alone)[:2]  # nothing is taken away


def test_finished_runs_are_not_trained_again(path, alone, tmp_path):
    folder = Path(shutil.copytree(alone.folder, tmp_path / alone.folder.name))
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("run.json")}
    for record in (folder / records.TRIALS).iterdir():
        record.unlink()
    assert tried(sweep(path, tmp_path, 3)) == tried(alone)
    assert len(before) == 3
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("run.json")} == before


def test_weights_are_kept_of_the_best_trial_alone(alone):
    kept = {file.parent.name for file in alone.folder.rglob(records.WEIGHTS)}
    assert kept == {each.run_id for each in alone.best[0].splits}
    assert len(list(alone.folder.rglob("run.json"))) == 3


def test_training_with_the_file_of_the_best_gives_the_value_of_the_best(path, alone, tmp_path):
    chosen = config.load(file=alone.folder / "best.toml")
    run = recipe.train(path, split="ftmt-0", config=chosen, runs_folder=tmp_path, reporter=Silent())
    assert run.manifest["metrics"]["val"]["ndcg@10"] == alone.best[0].value == max(trial.value for trial in alone.trials)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"stop_metric": "ndgc@10"}, UnknownName, "Did you mean 'ndcg'"),
        ({"stop_metric": "ndcg@7"}, BadValue, r"--set cutoffs=\[7\]"),
    ],
)
def test_a_metric_that_is_not_measured_is_refused_before_anything_is_trained(path, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        sweep(path, tmp_path, 1, plan(**changes))
    assert list(tmp_path.iterdir()) == []


def test_a_split_named_twice_is_refused(path, tmp_path):
    with pytest.raises(BadValue, match="Name each once"):
        sweep(path, tmp_path, 1, plan("ftmt-0", "ftmt-0"))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (records.SWEEP, '{"fingerprint": "of another"}', "holds another sweep"),
        (records.SWEEP, "[", "is no record of a sweep"),
        ("trials/0001.json", '{"number": 1}', r"0001\.json is no record of a sweep"),
        ("trials/0001.json", TRIAL.replace("BETA", "0.5"), r"Trial 1 in .* has settings that this sweep does not try"),
        ("trials/0001.json", None, "Trials are missing"),
    ],
    ids=["of another sweep", "cut", "cut trial", "foreign trial", "no trial"],
)
def test_damaged_records_are_named(path, alone, tmp_path, file, text, words):
    folder = Path(shutil.copytree(alone.folder, tmp_path / alone.folder.name))
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(DataError, match=words):
        sweep(path, tmp_path, 3)


def test_trials_are_in_order_however_many_there_are(tmp_path):
    (tmp_path / records.TRIALS).mkdir()
    for number in range(9_998, 10_002):
        records.write(records.Trial(number, {}, State.DIVERGED, None, []), tmp_path)
    names = [file.name for file in sorted((tmp_path / records.TRIALS).iterdir(), key=records._place)]
    assert names == ["9998.json", "9999.json", "10000.json", "10001.json"]


def test_a_sweep_is_drawn_into_a_file_that_is_whole(alone, tmp_path):
    png = tmp_path / "sweep.png"
    plot.write(alone, plan=plan(), png=png)
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(tmp_path.iterdir()) == [png]


@pytest.mark.parametrize("name", ["x.jpg", "nowhere/x.png", "."])
def test_a_picture_that_cannot_be_meant_is_refused(tmp_path, name):
    with pytest.raises(BadValue, match="--png"):
        pictures.refuse(tmp_path / name, store=tmp_path / "a.duckdb")


def test_runs_of_a_sweep_are_listed_like_others(alone):
    found = runs.frame(alone.folder / records.RUNS)
    assert math.isclose(found["val_ndcg_10"].max(), alone.best[0].value)
    assert not [name for name in found.columns if name.startswith("test_")]


def test_a_run_judged_on_validation_alone_does_not_stand_for_one_judged_on_both(path, alone, tmp_path):
    shutil.copytree(alone.folder / records.RUNS, tmp_path / "runs")
    settings = config.checked(found_base(alone) | alone.trials[0].settings)
    run = recipe.train(path, split="ftmt-0", config=settings, runs_folder=tmp_path / "runs", reporter=Silent(), again=False)
    assert not run.reused
    assert set(run.manifest["metrics"]) == {"val", "test"}


def test_what_is_told_of_a_sweep_fits_a_narrow_terminal(path, tmp_path):
    names = [argument for name, value in QUICK.items() for argument in ("--set", f"{name}={value}")]
    line = ["sweep", "--split", "ftmt-0", "--split", "ftmt-1", "--trials", "1", "--store", str(path), "--sweeps", str(tmp_path), *names]
    result = CliRunner().invoke(cli.app, line, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "sd over splits" in result.stdout
    assert re.search(r"^ +preprocessing +row_l2 *$", result.stdout, re.MULTILINE)
    assert "test" not in result.stdout
    assert re.search(r"train --split ftmt-0 --config \S+/best\.toml --store", result.stderr)


def test_the_python_of_the_page_runs(path, tmp_path, monkeypatch):
    shutil.copy(path, tmp_path / "tiktok.duckdb")
    monkeypatch.chdir(tmp_path)
    page = (Path(cli.__file__).parent / "docs" / "sweeps.md").read_text()
    code = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]
    names = {}
    exec(code.replace('"60"', '"2"').replace("n_trials=20", "n_trials=1"), names)
    assert config.load(file=names["found"].folder / "best.toml").beta == names["best"].settings["beta"] == 50
    assert 0 < names["best"].value <= 1
