"""The commands `experiment` and `reproduce` as a user with a narrow terminal meets them."""

import json

import pytest
import small_experiments
from typer.testing import CliRunner

import cli
from schemas.contracts import Modality

QUICK = ["--set", "max_epochs=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store of two modalities."""
    folder = tmp_path_factory.mktemp("narrow")
    small_experiments.store(folder, "tiktok.duckdb", modalities=(Modality.VISUAL, Modality.AUDIO))
    return folder


@pytest.fixture
def run(place, monkeypatch):
    """Run a command in a terminal of 80 columns."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")

    def _run(*arguments, expect=0):
        found = CliRunner().invoke(cli.app, [*arguments, "--store", "tiktok.duckdb"])
        assert found.exit_code == expect, f"{found.stderr}\n{found.exception!r}"
        assert all(len(line.rstrip()) <= 80 for line in found.stdout.splitlines()) or "--json" in arguments
        return found

    return _run


def test_one_run_is_one_run(run):
    one = ("reproduce", "table2", "--seeds", "1", "--setting", "ftmt", "--models", "popularity")
    assert "1 run, 0 there already. Nothing was done." in run(*one, "--dry-run").stderr
    assert "1 run, 0 finished before and not trained again, 0 failed." in run(*one).stderr
    assert "1 run, 1 there already. Nothing was done." in run(*one, "--dry-run").stderr


def test_what_a_search_chose_fits_a_narrow_terminal_beside_what_was_published(run):
    found = run("reproduce", "table2", "--seeds", "1", "--setting", "ftmt", "--models", "content-knn", "--trials", "1")
    assert "Table 2: new-item recommendation of ten models: tiktok.duckdb (TikTok), ftmt,\ntest\n" in found.stdout.replace(" \n", "\n")
    of_recall, of_ndcg = found.stdout.split("Table 2:")[1:3]
    assert ("DropoutNet" in of_recall, "DropoutNet" in of_ndcg, "best other" in of_ndcg) == (True, False, True)
    table = found.stdout.partition("what searches chose, and its value on validation")[2]
    assert table.split()[:4] == ["row", "trials", "ndcg@10", "chosen"]
    assert "{" not in table
    assert "a budget of 1 trial each" in found.stderr


def test_a_scenario_that_cannot_be_is_said_once_before_and_after(run):
    arguments = ("reproduce", "figure3", "--seeds", "2", *QUICK)
    before, after = run(*arguments, "--dry-run"), run(*arguments, expect=1)
    assert "Cannot be trained: MILK, DUIF, MICRO" in before.stderr
    assert "20 runs, 0 there already, 20 that cannot be trained. Nothing was done." in before.stderr
    assert "Not there: MILK, DUIF, MICRO" in after.stderr
    for said in (before.stderr, after.stderr):
        assert said.count("The scenario has items lose two") == 1
    rows = json.loads(run(*arguments, "--dry-run", "--json").stdout)["runs"]
    assert {(each["state"], "lose two" in each["reason"]) for each in rows} == {("cannot be trained", True)}
