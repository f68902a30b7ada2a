"""What an experiment would do: said without doing it, and what cannot be done with the reason that doing it would give."""

import shutil

import pytest
import small_experiments
from small_experiments import SPACE, experiment, plan

from milkprep.splitting.commands import build_named
from milktrain.experiments import carrying_out, cells, looking_ahead
from milktrain.experiments.record import State
from schemas.contracts import Modality
from schemas.reporting import Silent

FLOOR = {"name": "floor", "model": "popularity"}
THREE = {"settings": ["three"], "scenarios": {"three": [0.5, 0.25, 0.25]}, "seeds": 1}


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Stores of three modalities and of two."""
    folder = tmp_path_factory.mktemp("ahead")
    whole = small_experiments.store(folder, "whole.duckdb")
    return whole, small_experiments.store(folder, "two.duckdb", modalities=(Modality.VISUAL, Modality.TEXT))


@pytest.fixture
def path(templates, tmp_path):
    return shutil.copy(templates[0], tmp_path / "planted.duckdb")


@pytest.fixture
def of_two(templates, tmp_path):
    return shutil.copy(templates[1], tmp_path / "two.duckdb")


def look(planned):
    return looking_ahead.look(planned, build_split=build_named)


def _listing(folder):
    return {file.relative_to(folder): (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def test_looking_ahead_says_what_would_be_done_and_touches_nothing(path):
    planned = experiment(
        path, plan({"name": "MILK"}, {"name": "floor", "model": "random-order", "search": False}, search={"trials": 3, "space": SPACE})
    )
    before = _listing(path.parent)
    ahead = look(planned)
    assert _listing(path.parent) == before
    assert [(each.state, each.trials) for each in ahead] == [
        (looking_ahead.AFTER_SEARCH, 3), (looking_ahead.NEEDS_SPLIT, 0), (looking_ahead.AFTER_SEARCH, 0), (looking_ahead.NEEDS_SPLIT, 0)
    ]  # fmt: skip
    carried = carrying_out.carry_out(planned, build_split=build_named, reporter=Silent())
    before = _listing(path.parent)
    ahead = look(planned)
    assert _listing(path.parent) == before
    assert [(each.state, each.run_id) for each in ahead] == [(looking_ahead.THERE, carried.done[each.cell.key].run_id) for each in ahead]
    changed = look(experiment(path, plan({"name": "MILK", "set": {"beta": 7.0}}, seeds=1)))
    assert [each.state for each in changed] == [looking_ahead.TO_TRAIN]


def _both(planned):
    """What is said before, and what becomes of it: reasons by cell, of those that are not there."""
    before = _listing(planned.sources[0].store.parent)
    ahead = {each.cell.key: each.reason for each in look(planned) if each.state == looking_ahead.CANNOT}
    assert _listing(planned.sources[0].store.parent) == before
    carried = carrying_out.carry_out(planned, build_split=build_named, reporter=Silent())
    return ahead, {key: done.reason for key, done in carried.done.items() if done.state is State.FAILED}


def test_a_scenario_that_loses_more_modalities_than_a_store_has_is_said_before_as_after(of_two):
    ahead, failed = _both(experiment(of_two, plan({"name": "MILK"}, FLOOR, **THREE)))
    assert ahead == failed
    (reason,) = set(ahead.values())
    assert "The scenario has items lose two, but the store has vectors of 2 modalities" in reason
    assert "--" not in reason


def test_a_scenario_whose_split_is_another_is_said_before_as_after(path):
    build_named(path, setting=None, scenario=[0.5, 0.5], seed=0, name="three-0")
    ahead, failed = _both(experiment(path, plan(FLOOR, **THREE)))
    assert ahead == failed
    (reason,) = ahead.values()
    assert "already has another split 'three-0', made otherwise. Name this one otherwise" in reason


@pytest.mark.parametrize("there", [False, True])
def test_a_modality_without_vectors_is_said_before_as_after(of_two, there):
    if there:
        build_named(of_two, setting=None, scenario=[0.5, 0.5], seed=0, name="half-0")
    planned = plan(FLOOR, settings=["half"], scenarios={"half": [0.5, 0.5]}, seeds=1, modalities=["text", "audio"])
    ahead, failed = _both(experiment(of_two, planned))
    assert ahead == failed
    assert "audio" in next(iter(ahead.values()))


def test_a_search_on_a_split_that_cannot_be_made_is_said(of_two):
    planned = plan({"name": "MILK"}, search={"trials": 2, "space": SPACE, "each_setting": False}, **THREE | {"settings": ["three", "ftmt"]})
    ahead = look(experiment(of_two, planned))
    assert [each.state for each in ahead] == [looking_ahead.CANNOT] * 2
    assert ahead[1].reason.startswith("Its search looks at three-0. The scenario has items lose two")


def test_a_device_that_is_not_there_is_said_before_splits_are_made(path):
    (found,) = look(experiment(path, plan(FLOOR, seeds=1), device="cuda:99"))
    assert (found.state, "--device cuda:99" in found.reason) == (looking_ahead.CANNOT, True)


def test_what_is_no_store_is_said(tmp_path):
    (tmp_path / "none.duckdb").write_text("no store")
    (found,) = look(experiment(tmp_path / "none.duckdb", plan(FLOOR, seeds=1)))
    assert (found.state, "none.duckdb" in found.reason) == (looking_ahead.CANNOT, True)


def test_cells_that_are_not_there_for_one_reason_are_told_together(path):
    found = experiment(path, plan({"name": "MILK"}, FLOOR, seeds=2)).cells()
    reasons = ["x", "x", "x", "y"]
    assert cells.grouped(zip(found, reasons, strict=True)) == [
        "MILK on ftmt-0, ftmt-1 of planted.duckdb: x", "floor on ftmt-0 of planted.duckdb: x", "floor on ftmt-1 of planted.duckdb: y"
    ]  # fmt: skip
    assert cells.grouped((cell, "x") for cell in found) == ["MILK, floor on ftmt-0, ftmt-1 of planted.duckdb: x"]
