"""Experiments carried out: what is done is taken, what is killed goes on, what fails is a row, and test decides nothing."""

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_experiments
from small_experiments import SPACE, carry_out, experiment, metrics, plan

from milkprep.splitting.commands import build_named
from milktrain.experiments import carrying_out, figures, record, results, tables
from milktrain.experiments.record import State
from schemas import locks
from schemas.contracts import Modality, Setting
from schemas.errors import BadValue, DataError
from schemas.reporting import Silent
from schemas.store import Store

CHILD = """
import sys
sys.path[:0] = ["tests", "."]
from pathlib import Path
import small_experiments
small_experiments.carry_out(Path(sys.argv[1]), small_experiments.plan(search={"trials": 2, "space": small_experiments.SPACE}, seeds=3))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return small_experiments.store(tmp_path_factory.mktemp("experiments"))


@pytest.fixture
def path(template, tmp_path):
    """A store of its own: experiments write beside it."""
    return shutil.copy(template, tmp_path / "planted.duckdb")


class Stops:
    """A reporter that interrupts when so many runs are done, as a user's Ctrl-C does."""

    def __init__(self, after):
        self.left = after

    @contextmanager
    def progress(self, label, *, total, unit):
        with Silent().progress(label, total=total, unit=unit) as progress:
            outer = self

            class Counting:
                note = progress.note

                def advance(self, n=1):
                    outer.left -= n
                    if outer.left <= 0:
                        raise KeyboardInterrupt

            yield Counting()


def _listing(folder):
    return {file.relative_to(folder): (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def _record(carried):
    return json.loads((carried.experiment.folder / record.RECORD).read_text())


def test_every_row_is_trained_on_split_r_with_seed_r(path):
    carried = carry_out(path, plan(settings=["ftmt", "mtmt"]))
    found = _record(carried)
    assert found["counts"] == {"waiting": 0, "finished": 8, "failed": 0}
    assert [(each["split"], each["repeat"], each["settings"]["seed"]) for each in found["runs"][::2]] == [
        ("ftmt-0", 0, 0), ("mtmt-0", 0, 0), ("ftmt-1", 1, 1), ("mtmt-1", 1, 1)
    ]  # fmt: skip
    assert len(found["labels"]["MILK"]) == 4
    for each in found["runs"]:
        run = json.loads((Path(each["folder"]) / "run.json").read_text())
        assert (run["run_id"], run["split"], run["seed"], run["model"]) == (each["run_id"], each["split"], each["repeat"], each["model"])
    assert json.loads((carried.experiment.folder / record.PLAN).read_text())["row"][0]["name"] == "MILK"


def test_what_is_finished_is_not_trained_again_and_a_changed_setting_is_another_run(path):
    first = carry_out(path, plan())
    before = _listing(path.parent / "runs")
    again = carry_out(path, plan())
    assert all(done.reused for done in again.done.values())
    assert _listing(path.parent / "runs") == before
    changed = carry_out(path, plan({"name": "MILK", "set": {"beta": 7.0}}, {"name": "floor", "model": "random-order"}))
    assert changed.experiment.folder != first.experiment.folder
    for repeat in (0, 1):
        old, new = (each.done[(str(path), "ftmt", "MILK", repeat)] for each in (first, changed))
        assert not new.reused
        assert (new.run_id != old.run_id, new.settings["beta"], old.settings["beta"]) == (True, 7.0, 50.0)
        assert changed.done[(str(path), "ftmt", "floor", repeat)].reused
    assert _listing(path.parent / "runs").items() >= before.items()


def test_an_experiment_that_is_interrupted_goes_on_where_it_was(path, template, tmp_path):
    planned = plan(search={"trials": 2, "space": SPACE})
    (tmp_path / "alone").mkdir()
    alone = carry_out(Path(shutil.copy(template, tmp_path / "alone" / "planted.duckdb")), planned)
    for after in (1, 4):  # within its search, and after runs
        with pytest.raises(KeyboardInterrupt):
            carry_out(path, planned, reporter=Stops(after))
    assert _record(alone)["counts"]["finished"] == 4
    partly = json.loads((experiment(path, planned).folder / record.RECORD).read_text())
    assert 0 < partly["counts"]["finished"] < 4
    before = _listing(path.parent / "runs")
    done = carry_out(path, planned)
    assert metrics(done) == metrics(alone)
    assert _listing(path.parent / "runs").items() >= before.items()
    assert [each["chosen"] for each in _record(done)["searches"]] == [each["chosen"] for each in _record(alone)["searches"]]


def test_an_experiment_that_is_killed_goes_on_where_it_was(path):
    planned = plan(search={"trials": 2, "space": SPACE}, seeds=3)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=Path(__file__).parents[2])
    deadline, runs = time.monotonic() + 120, path.parent / "runs"
    while not list(runs.glob("[!.]*/run.json")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.kill()
    assert child.wait() == -signal.SIGKILL  # it was under way
    before = _listing(runs)
    kept = {file for file in before if not file.parts[0].startswith(".")}
    assert kept
    assert json.loads((experiment(path, planned).folder / record.RECORD).read_text())["counts"]["failed"] == 0
    done = carry_out(path, planned)
    assert _record(done)["counts"] == {"waiting": 0, "finished": 6, "failed": 0}
    after = _listing(runs)
    assert all(after[file] == before[file] for file in kept)


def test_a_search_looks_at_validation_alone(path, template, tmp_path):
    planned = plan(search={"trials": 4, "space": SPACE}, seeds=1)
    (tmp_path / "poisoned").mkdir()
    poisoned = Path(shutil.copy(template, tmp_path / "poisoned" / "planted.duckdb"))
    for store in (path, poisoned):
        build_named(store, setting=Setting.FTMT, scenario=None, seed=0, name="ftmt-0")
    with Store(poisoned, mode="write") as store:
        store.run("DELETE FROM interactions WHERE user_idx < 30 AND item_idx IN (SELECT item_idx FROM split_items WHERE part = 'test')")
    clean, other = carry_out(path, planned), carry_out(poisoned, planned)
    searched, same = _record(clean)["searches"], _record(other)["searches"]
    assert [each["row"] for each in searched] == ["MILK"]
    assert [(each["chosen"], each["value"], each["trials"]) for each in searched] == [
        (each["chosen"], each["value"], each["trials"]) for each in same
    ]
    assert metrics(clean)["ftmt", "MILK", 0]["val"] == metrics(other)["ftmt", "MILK", 0]["val"]
    assert metrics(clean)["ftmt", "MILK", 0]["test"] != metrics(other)["ftmt", "MILK", 0]["test"]
    done = clean.done[(str(path), "ftmt", "MILK", 0)]
    assert done.settings.items() >= searched[0]["chosen"].items() == done.chosen.items()
    trials = [json.loads(file.read_text()) for file in sorted(Path(searched[0]["folder"]).glob("trials/*.json"))]
    assert searched[0]["value"] == max(trial["value"] for trial in trials)
    assert len(trials) == searched[0]["trials"] == 4


def test_a_budget_is_kept_to_where_more_was_tried_before(path):
    more = carry_out(path, plan(search={"trials": 4, "space": SPACE}, seeds=1))
    less = carry_out(path, plan(search={"trials": 1, "space": SPACE}, seeds=1))
    first, second = _record(less)["searches"][0], _record(more)["searches"][0]
    assert (first["trials"], second["trials"], first["folder"] == second["folder"]) == (1, 4, True)
    assert first["chosen"] == {"learning_rate": 0.01, "dim": 8}  # the first trial is what all start from


def test_what_fails_is_a_row_with_its_reason_and_the_rest_goes_on(path):
    carried = carry_out(path, plan({"name": "wild", "set": {"learning_rate": 1e30}}, {"name": "floor", "model": "popularity"}, modalities=["text"]))
    assert [(cell.line.name, "became" in reason or "finite" in reason) for cell, reason in carried.failed] == [("wild", True)] * 2
    assert _record(carried)["counts"] == {"waiting": 0, "finished": 2, "failed": 2}
    assert "Not there: wild on ftmt-0" in next(file for file in tables.write(carried) if file.suffix == ".md").read_text()


def test_a_split_that_cannot_be_made_fails_the_runs_on_it_alone(tmp_path):
    path = small_experiments.store(tmp_path, modalities=(Modality.VISUAL, Modality.TEXT))
    carried = carry_out(path, plan({"name": "floor", "model": "popularity"}, settings=["ftmt", "three"], scenarios={"three": [0.5, 0.25, 0.25]}))
    assert {(cell.setting, done.state) for cell in carried.experiment.cells() for done in [carried.done[cell.key]]} == {
        ("ftmt", State.FINISHED), ("three", State.FAILED)
    }  # fmt: skip


def test_a_split_of_a_scenario_whose_name_stands_for_another_is_not_taken(path):
    build_named(path, setting=None, scenario=[0.5, 0.5], seed=0, name="gone-0")
    carried = carry_out(path, plan({"name": "floor", "model": "popularity"}, settings=["gone"], scenarios={"gone": [0.25, 0.75]}, seeds=1))
    ((_, reason),) = carried.failed
    assert "gone-0" in reason
    same = carry_out(path, plan({"name": "floor", "model": "popularity"}, settings=["gone"], scenarios={"gone": [0.5, 0.5]}, seeds=1))
    assert not same.failed


def test_two_processes_cannot_carry_out_one_experiment(path):
    planned = experiment(path, plan())
    planned.folder.mkdir(parents=True)
    with (
        locks.held(planned.folder / ".lock", what="it", instead="Wait.", remove=True),
        pytest.raises(DataError, match=r"Another process works on the experiment .*Wait for it to finish"),
    ):
        carrying_out.carry_out(planned, build_split=build_named, reporter=Silent())


def test_published_numbers_stand_beside_ours_for_the_dataset_that_a_store_is_of(path):
    planned = plan({"name": "MILK"}, {"name": "without e = 0", "set": {"environments": "without_uniform"}}, seeds=1, published="table4")
    carried = carry_out(path, planned, datasets=["Baby"])
    (title, frame), *_ = tables.beside(carried)
    assert "Baby" in title
    ours = metrics(carried)["ftmt", "MILK", 0]["test"]["recall@20"]
    row = frame.row(0, named=True)
    assert (row[""], row["recall@20"], row["recall@20 published"], row["ndcg@20 published"]) == ("MILK", f"{ours:.4f}", "0.0628", "0.0277")
    alone = frame.filter(frame["recall@20"] == "")
    assert alone[""].to_list() == ["independent draws", "one draw for all"]
    assert any("on other data than ours" in line for line in tables.remarks(carried))
    files = {file.name: file.read_text() for file in tables.write(carried)}
    for name in ("table.md", "table.tex", "table.csv"):
        assert "without e = 0 (published)" in files[name], name
        assert "0.0433" in files[name], name
    assert "other training seeds" not in files["table.md"]
    unknown = carry_out(path, planned)
    assert "recall@20 published" not in tables.beside(unknown)[0][1].columns
    assert any("none are known of these stores" in line for line in tables.remarks(unknown))
    not_there = carry_out(path, planned, datasets=["TikTok"])
    assert any("has none of table4 for TikTok" in line for line in tables.remarks(not_there))


def test_what_is_lost_between_two_settings_is_in_per_cent_of_the_first(path):
    settings = {"settings": ["ftft", "ftmt"], "loss": {"before": "ftft", "after": "ftmt"}, "metrics": ["ndcg@20"]}
    carried = carry_out(path, plan({"name": "both"}, published="figure5", picture={"kind": "loss"}, **settings), datasets=["Baby"])
    found = results.losses(carried).row(0, named=True)
    each = [[metrics(carried)[setting, "both", repeat]["test"]["ndcg@20"] for setting in ("ftft", "ftmt")] for repeat in (0, 1)]
    assert found["mean"] == pytest.approx(sum(100 * (before - after) / before for before, after in each) / 2)
    assert (found["n"], found["published"], found["metric"]) == (2, 24.59, "loss of ndcg@20")


@pytest.mark.parametrize("kind", ["bars", "lines", "groups"])
def test_figures_are_written_whole_as_png_and_svg(path, kind):
    rows = [{"name": "MILK", "vary": {"beta": [1.0, 1000.0]}}] if kind == "lines" else [{"name": "floor", "model": "popularity"}]
    carried = carry_out(path, plan(*rows, picture={"kind": kind}, metrics=["recall@20"], seeds=1))
    png, svg = figures.write(carried)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text().rstrip().endswith("</svg>")
    before = _listing(carried.experiment.folder)
    assert [file.read_bytes() for file in figures.write(carried)] == [before[Path(name)][1] for name in figures.FILES]  # the same picture again
    assert not list(carried.experiment.folder.glob(".*partial"))


def test_results_by_missing_modalities_are_those_of_the_run_folders(path):
    carried = carry_out(path, plan({"name": "floor", "model": "popularity"}, picture={"kind": "groups"}, metrics=["recall@20"]))
    found = results.by_missing(carried)
    assert found["group"].to_list() == ["all", "0", "1"]
    every = [metrics(carried)["ftmt", "floor", repeat]["test"]["recall@20"] for repeat in (0, 1)]
    assert found["mean"][0] == pytest.approx(sum(every) / 2)
    assert tables.by_missing(carried)[0][1].columns == ["row", "all", "missing 0", "missing 1"]


def test_stores_are_named_once_and_are_there(path):
    with pytest.raises(BadValue, match="names no store"):
        small_experiments.cells.experiment("small", plan(), stores=[])
    with pytest.raises(BadValue, match="one name"):
        small_experiments.cells.experiment("small", plan(), stores=[path, path])
    with pytest.raises(DataError, match="There is no store at nowhere"):
        small_experiments.cells.experiment("small", plan(), stores=[Path("nowhere.duckdb")])
    with pytest.raises(BadValue, match=r"2 datasets are named for 1 store\."):
        experiment(path, plan(), datasets=["Baby", "Clothing"])


def test_all_rows_are_done_once_before_any_is_repeated(path):
    order = [(cell.repeat, cell.line.name) for cell in experiment(path, plan()).cells()]
    assert order == list(itertools.product((0, 1), ("MILK", "floor")))
