"""Ctrl-C in commands with long work: it is said as what it is, ends with 130, and the same command goes on."""

import json

import pytest
import small_experiments
from typer.testing import CliRunner

import cli
from milkprep.sources import amazon
from milkprep.splitting.commands import build_named
from milktrain import recipe
from schemas.contracts import Setting

PLAN = 'title = "Tiny"\nsettings = ["ftmt"]\nseeds = 1\nset = { max_epochs = 1 }\n[[row]]\nname = "floor"\nmodel = "popularity"\n'
COMMANDS = {
    "train": ["train", "--split", "ftmt-0"],
    "sweep": ["sweep", "--split", "ftmt-0", "--trials", "1", "--set", "max_epochs=1"],
    "experiment": ["experiment", "plan.toml"],
    "reproduce": ["reproduce", "table4", "--seeds", "1", "--set", "max_epochs=1"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store, a split and a plan."""
    folder = tmp_path_factory.mktemp("interrupted")
    build_named(small_experiments.store(folder), setting=Setting.FTMT, scenario=None, seed=0, name="ftmt-0")
    (folder / "plan.toml").write_text(PLAN)
    return folder


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def run(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


@pytest.mark.parametrize("command", COMMANDS)
def test_training_that_is_interrupted_is_no_error_and_says_how_to_go_on(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(recipe, "train", _interrupt)
    stopped = run(*COMMANDS[command], "--store", "planted.duckdb", "--json")
    assert (stopped.exit_code, stopped.stdout) == (130, "")
    assert stopped.stderr.splitlines()[-1] == "Stopped. Nothing is half-written: run the same command again."
    assert "Error" not in stopped.stderr


def test_an_interrupted_experiment_goes_on_with_the_same_command(place, monkeypatch):
    monkeypatch.chdir(place)
    with monkeypatch.context() as pressed:
        pressed.setattr(recipe, "train", _interrupt)
        assert run("experiment", "plan.toml", "--store", "planted.duckdb").exit_code == 130
    found = run("experiment", "plan.toml", "--store", "planted.duckdb", "--json")
    assert (found.exit_code, json.loads(found.stdout)["counts"]) == (0, {"waiting": 0, "finished": 1, "failed": 0})


def test_a_pull_that_is_interrupted_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(amazon, "pull", _interrupt)
    stopped = run("pull", "amazon", "--metadata", tmp_path / "m.json", "--reviews", tmp_path / "r.json", "--store", tmp_path / "a.duckdb")
    assert stopped.exit_code == 130, stopped.stderr
    assert stopped.stderr.splitlines()[-1].startswith("Stopped. ")
