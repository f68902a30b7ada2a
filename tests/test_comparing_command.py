"""The command compare, on run folders written by hand."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_runs import rewrite, write
from typer.testing import CliRunner

import cli

METRIC, OTHER = "recall@20", "ndcg@20"


@pytest.fixture
def runs(tmp_path):
    """Two models on two splits, beside a file that stands for their store."""
    generator = np.random.default_rng(0)
    for split in ("ftmt-0", "ftmt-1"):
        for model, gain in (("milk", 0.3), ("duif", 0.0)):
            values = np.clip(generator.random(40) * 0.5 + gain, 0, 1)
            write(tmp_path / "runs", {METRIC: values, OTHER: values / 2}, model=model, split=split)
    (tmp_path / "a.duckdb").write_bytes(b"a store")
    return tmp_path / "runs"


def ask(*arguments, expect=0):
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})
    assert result.exit_code == expect, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def test_a_terminal_of_80_columns_shows_means_and_tests(runs):
    said = ask("--store", runs.parent / "a.duckdb")
    lines = said.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:2] == ["a", "FTMT"] for line in lines)
    (row,) = [line.split() for line in lines if line.split()[:1] == ["milk"]]
    assert row[2] == "±"
    assert row[3].endswith("*")
    assert "a FTMT Recall@20, against milk" in said.stdout
    assert "n = 2 splits" in said.stderr


def test_json_has_cells_tests_and_remarks(runs):
    found = json.loads(ask("--runs", runs, "--metric", METRIC, "--against", "duif", "--json").stdout)
    assert [(cell["label"], cell["rank"]) for cell in found["cells"]] == [("duif", 2), ("milk", 1)]
    (test,) = found["tests"]
    assert (test["label"], test["against"], test["n_users"], test["n_splits"]) == ("milk", "duif", 80, 2)
    assert test["t_holm"] < 0.001
    assert found["remarks"] == []


@pytest.mark.parametrize(("form", "start"), [("markdown", "|  | a FTMT Recall@20 |"), ("latex", "% needs"), ("csv", "label,dataset,")])
def test_a_file_is_what_stdout_would_have_been(runs, tmp_path, form, start):
    out = tmp_path / "table.txt"
    given = ("--runs", runs, "--format", form, "--resamples", 50)
    assert ask(*given, "--out", out).stdout == ""
    assert out.read_text().startswith(start)
    assert ask(*given).stdout == out.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.duckdb", "runs", "table.txt"]


def test_csv_can_be_read_as_a_table(runs, tmp_path):
    ask("--runs", runs, "--format", "csv", "--out", tmp_path / "t.csv")
    assert pl.read_csv(tmp_path / "t.csv").select("label", "metric").unique().height == 4


def test_a_bootstrap_is_as_its_seed_says(runs):
    def low(*given):
        return json.loads(ask("--runs", runs, "--metric", METRIC, "--json", *given).stdout)["cells"][0]["low"]

    assert low() == low("--seed", 0) != low("--seed", 1)
    assert low("--resamples", 0) is None


def test_stores_and_run_folders_are_not_written_over(runs, tmp_path):
    one = next(runs.iterdir())
    for out, words in (
        (tmp_path / "a.duckdb", "is a store"),
        (one / "run.json", "lies in a run folder"),
        (runs, "a folder"),
        (tmp_path / "no" / "x", "lies in no folder"),
    ):
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        assert words in ask("--runs", runs, "--format", "csv", "--out", out, expect=2).stderr
        assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    linked = tmp_path / "linked.csv"
    linked.symlink_to(tmp_path / "a.duckdb")
    assert "is a store" in ask("--runs", runs, "--format", "csv", "--out", linked, expect=2).stderr


def test_a_file_that_cannot_be_written_is_not_half_there(runs, tmp_path, monkeypatch):
    def full(partial, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("schemas.durable.rename", full)
    assert "No space left" in ask("--runs", runs, "--format", "csv", "--out", tmp_path / "t.csv", expect=1).stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.duckdb", "runs"]


def test_an_experiment_is_compared_in_the_order_of_its_plan(runs, tmp_path):
    rows = [
        {"label": label, "state": "finished", "run_id": run.name, "folder": str(run)}
        for label, model in (("ours", "milk"), ("a floor", "duif")) for run in sorted(runs.glob(f"*-{model}-*"))
    ]  # fmt: skip
    folder = tmp_path / "experiments" / "one"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"runs": [*rows, {"label": "late", "state": "waiting"}]}))
    said = ask("--experiment", folder, "--metric", METRIC)
    assert said.stdout.index("ours") < said.stdout.index("a floor")
    assert "1 of 5 runs of the experiment are not finished" in said.stderr
    assert "Leave --runs, --run and --by out" in ask("--experiment", folder, "--runs", runs, expect=2).stderr


def test_unequal_splits_are_told(runs):
    shutil.rmtree(next(runs.glob("ftmt-1-duif-*")))
    said = ask("--runs", runs, "--metric", METRIC)
    assert "†" in said.stdout
    assert "with ftmt-1 besides" in said.stderr or "without ftmt-1" in said.stderr


PAGE = (Path(cli.__file__).parent / "docs" / "comparing.md").read_text(encoding="utf-8")


def test_the_python_of_the_page_runs(runs, monkeypatch, capsys):
    for run in runs.iterdir():
        rewrite(run, store="tiktok.duckdb")
    monkeypatch.chdir(runs.parent)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/comparing.md", "exec"), {})
    assert "| published | 0.2000 |" in capsys.readouterr().out


def test_the_columns_of_the_page_are_those_of_the_file(runs):
    columns = ask("--runs", runs, "--format", "csv").stdout.splitlines()[0].split(",")
    told = re.findall(r"`(\w+)`", PAGE.partition("| columns | what they hold |")[2].partition("`--json`")[0])
    assert {name.removesuffix("_holm") for name in columns} == set(told) - {"_holm"}
    assert {f"{name}_holm" for name in told if name.startswith("p_")} <= set(columns)
