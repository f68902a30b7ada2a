"""The command report: which runs it takes, what it calls them, and what it does not write over."""

import json

import pytest
import small_page
from small_page import parsed, table
from typer.testing import CliRunner

import cli


def report(*arguments, code=0):
    """The command; what it says on stderr."""
    result = CliRunner().invoke(cli.app, ["report", *map(str, arguments)])
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def place(tmp_path):
    """A folder with runs of two stores."""
    small_page.write(tmp_path / "runs", model="duif")
    small_page.write(tmp_path / "runs", model="milk")
    small_page.write(tmp_path / "runs", model="gar", store="b.duckdb")
    return tmp_path


def labels(file):
    return [row["configuration"] for row in table(parsed(file.read_text()), "Test")]


def test_runs_of_one_store_are_taken_where_it_is_named_and_those_of_a_folder_otherwise(place):
    said = report("--store", place / "a.duckdb", "--out", place / "a.html")
    assert f"2 runs, {(place / 'a.html').stat().st_size / 1000:.0f} kB" in said
    assert sorted(labels(place / "a.html")) == ["duif", "milk"]
    report("--runs", place / "runs", "--out", place / "all.html")
    assert parsed((place / "all.html").read_text()).one("h1", "3 runs on a, b")
    report("--runs", place / "runs", "--run", "ftmt-0-milk", "--out", place / "one.html")
    assert labels(place / "one.html") == ["milk"]


def test_runs_of_an_experiment_are_called_as_it_calls_them(place):
    folder = place / "experiments" / "plan-1"
    folder.mkdir(parents=True)
    runs = sorted((place / "runs").glob("ftmt-0-[dm]*"))
    rows = [{"label": f"row {n}", "state": "finished", "run_id": run.name, "folder": str(run)} for n, run in enumerate(runs)]
    (folder / "record.json").write_text(json.dumps({"runs": [*rows, {"label": "late", "state": "waiting"}]}))
    said = report("--experiment", folder, "--out", place / "plan.html")
    assert sorted(labels(place / "plan.html")) == ["row 0", "row 1"]
    assert "1 of 3 runs of the experiment are not finished" in said
    parsed((place / "plan.html").read_text()).one("p", "1 of 3 runs of the experiment are not finished")


def test_a_store_beside_the_runs_is_not_written_over(place):
    small_page.write(place / "runs", store="c.html")
    (place / "c.html").write_text("a store")
    assert "is a store or a folder" in report("--runs", place / "runs", "--out", place / "c.html", code=2)
    assert (place / "c.html").read_text() == "a store"


def test_no_run_that_can_be_read_is_no_page(place):
    assert "None of 3 run folders holds a readable run of c.duckdb" in report("--store", place / "c.duckdb", "--out", place / "c.html", code=1)
    for file in (place / "runs").glob("*/run.json"):
        file.write_text("[]")
    said = report("--runs", place / "runs", "--out", place / "c.html", code=1)
    assert "is left out: " in said
    assert not (place / "c.html").exists()


def test_a_run_that_cannot_be_read_is_named_on_the_page_and_on_the_terminal(place):
    broken = next((place / "runs").glob("*duif*"))
    (broken / "run.json").write_text("{}")
    assert f"{broken.name} is left out" in report("--runs", place / "runs", "--out", place / "rest.html")
    assert sorted(labels(place / "rest.html")) == ["milk"]  # in the first table; the other store has its own
    parsed((place / "rest.html").read_text()).one("p", f"{broken.name} is left out")


def test_lines_of_one_model_that_differ_otherwise_are_told_apart_by_what_they_are_like(tmp_path):
    for dim in (32, 64):
        for lam in (0.1, 0.5):
            small_page.write(tmp_path / "runs", settings={"dim": dim, "lam": lam}, better=lam + dim / 100)
    rows = table(parsed(small_page.page(tmp_path / "runs")), "recall@20 against lam")
    assert [list(row)[1:] for row in rows] == [["like milk (lam=0.1, dim=32), n = 1", "like milk (lam=0.1, dim=64), n = 1"]] * 2
    assert rows[1]["like milk (lam=0.1, dim=32), n = 1"] == f"{0.375 * 0.82:.4f}"
