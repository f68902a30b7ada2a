"""Curves for TensorBoard: what its own reader finds in them, however a run went."""

import json
import sys

import planted
import pytest

from milkprep import splits
from milktrain import config, events, recipe
from schemas.contracts import Setting
from schemas.errors import BadValue
from schemas.reporting import Silent

CHANGES = {"max_epochs": "6", "evaluate_every": "2", "batch_size": "128", "dim": "8", "learning_rate": "0.01"}


class Stopped(Exception):
    """Raised by a watcher to end a training where it is."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("events") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def _train(path, folder, *, stop_at=None, **more):
    def watch(row):
        if row["epoch"] == stop_at:
            raise Stopped

    settings = config.load(changes=CHANGES)
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), watch=watch, **more)


def _curves(folder):
    """(epoch, value) by tag, of everything in a folder of one run."""
    pytest.importorskip("tensorboard", reason="TensorBoard's reader: pip install 'milkprep[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def _of_log(run):
    expected = {}
    for line in (run.folder / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        for tag, value in events.tags(row).items():
            expected.setdefault(tag, []).append((row["epoch"], pytest.approx(value, rel=1e-6)))
    return expected


def test_curves_hold_the_log_once_after_a_run_that_was_stopped_and_went_on_and_after_one_that_replaced_it(path, tmp_path):
    with pytest.raises(Stopped):
        _train(path, tmp_path, stop_at=3, tensorboard=True)
    resumed = _train(path, tmp_path, tensorboard=True)
    assert resumed.resumed_at == 3
    place = tmp_path / "tensorboard" / resumed.run_id
    curves = _curves(place)
    assert curves == _of_log(resumed)
    assert [epoch for epoch, _ in curves["loss/total"]] == [1, 2, 3, 4, 5, 6]
    assert [epoch for epoch, _ in curves["validation/ndcg@10"]] == [2, 4, 6]
    assert {"loss/bpr", "loss/variance", "loss/alignment", "loss/regularisation", "time/seconds"} <= set(curves)
    replaced = _train(path, tmp_path, tensorboard=True)
    assert replaced.replaced
    assert _curves(place) == _of_log(replaced)


def test_a_run_that_was_finished_without_curves_gets_them_without_being_trained_again(path, tmp_path):
    _train(path, tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    reused = _train(path, tmp_path, again=False, tensorboard=True, stop_at=1)
    assert reused.reused
    assert _curves(tmp_path / "tensorboard" / reused.run_id) == _of_log(reused)


def test_without_tensorboard_the_answer_is_how_to_get_it_and_nothing_is_trained(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadValue, match=r"needs the package tensorboard.*pip install 'milkprep\[tensorboard\]'"):
        _train(path, tmp_path, stop_at=1, tensorboard=True)
    assert list(tmp_path.iterdir()) == []


def test_several_watchers_hear_of_every_row():
    first, second = [], []
    events.everyone(first.append, None, second.append)({"epoch": 1})
    assert first == second == [{"epoch": 1}]
    assert events.everyone(None, None) is None
