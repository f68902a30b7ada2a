"""What becomes of trials that are worth little, that diverge, or that are interrupted."""

from contextlib import contextmanager

import pytest
import small_sweeps
from small_sweeps import one_setting, plan, sweep, tried

from milktrain.sweeping import study
from milktrain.sweeping.records import State
from schemas.reporting import Silent


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return small_sweeps.store(tmp_path_factory.mktemp("pruning"))


def test_what_is_below_the_median_is_pruned_and_leaves_nothing_unfinished(path, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FEWEST_TO_PRUNE", 1)
    slow = one_setting(tmp_path, "[learning_rate]\nchoices = [0.01, 1e-6]")
    found = sweep(path, tmp_path, 2, plan(seed=3, prune=True, space_file=slow, patience=2, max_epochs=6))
    by_rate = {trial.settings["learning_rate"]: trial for trial in found.trials}
    assert by_rate[0.01].state is State.COMPLETE
    pruned = by_rate[1e-6]
    assert (pruned.state, pruned.value) == (State.PRUNED, None)
    assert [epoch for epoch, _ in pruned.splits[0].looks] == [2, 4]  # the first look that is later than its patience
    assert pruned.splits[0].looks[-1][1] < dict(by_rate[0.01].splits[0].looks)[4]
    assert {trial.settings["learning_rate"] for trial in found.best} == {0.01}
    assert not list(tmp_path.rglob("*.unfinished"))


class Interrupting(Silent):
    """A reporter that ends everything at the n-th remark."""

    def __init__(self, n):
        self.left = n

    @contextmanager
    def progress(self, label, *, total, unit):
        yield self

    def advance(self, n=1):
        pass

    def note(self, text):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_trial_interrupted_before_it_is_pruned_is_pruned_as_if_left_alone(path, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FEWEST_TO_PRUNE", 1)
    slow = one_setting(tmp_path, "[learning_rate]\nchoices = [0.01, 1e-6]")
    planned = plan(seed=3, prune=True, space_file=slow, patience=2)
    with pytest.raises(KeyboardInterrupt):  # at the second look of the second trial, which is pruned there
        study.sweep(path, plan=planned, n_trials=2, sweeps_folder=tmp_path / "cut", reporter=Interrupting(4))
    found = sweep(path, tmp_path / "cut", 2, planned)
    assert found.n_before == 1
    assert found.trials[1].state is State.PRUNED
    assert tried(found) == tried(sweep(path, tmp_path / "alone", 2, planned))


def test_nothing_is_pruned_unless_asked(path, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FEWEST_TO_PRUNE", 1)
    slow = one_setting(tmp_path, "[learning_rate]\nchoices = [0.01, 1e-6]")
    found = sweep(path, tmp_path, 2, plan(seed=3, space_file=slow, patience=2))
    assert {trial.state for trial in found.trials} == {State.COMPLETE}
    assert len({trial.value for trial in found.trials}) == 2


def test_settings_with_which_training_diverges_are_a_trial_without_a_value(path, tmp_path):
    wild = one_setting(tmp_path, "[learning_rate]\nchoices = [0.01, 1e30]")
    found = sweep(path, tmp_path, 2, plan(seed=3, space_file=wild))
    states = {trial.settings["learning_rate"]: (trial.state, trial.value is None) for trial in found.trials}
    assert states == {0.01: (State.COMPLETE, False), 1e30: (State.DIVERGED, True)}


def test_where_nothing_is_complete_no_settings_are_recommended(path, tmp_path):
    wild = one_setting(tmp_path, "[learning_rate]\nchoices = [1e30, 1e31]")
    found = sweep(path, tmp_path, 2, plan(space_file=wild))
    assert found.best == []
    assert not (found.folder / "best.toml").exists()
