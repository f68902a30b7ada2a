"""What is tried next follows from what was tried, and from nothing else."""

import math
import statistics

import pytest

from milktrain import config
from milktrain.sweeping import records, settings_file, space, suggesting
from milktrain.sweeping.records import State, Trial

BASE = config.load()
SPACE = space.load(None, base=BASE)


def _search(n_trials, value, *, seed=0, space=SPACE):
    history = []
    for number in range(n_trials):
        settings = suggesting.suggest(space, history, start=BASE.model_dump(), seed=seed)
        found = value(settings)
        history.append(Trial(number, settings, State.COMPLETE if found is not None else State.DIVERGED, found, []))
    return history


def _planted(settings):
    """Best at a learning rate of 10 ** -2.5, and better where features are standardised."""
    return 1 - 0.3 * abs(math.log10(settings["learning_rate"]) + 2.5) + 0.1 * (settings["preprocessing"] == "standardise_row_l2")


def test_the_first_trial_is_of_the_settings_that_all_start_from():
    named = ("learning_rate", "reg", "alpha", "beta", "lam", "preprocessing", "imputation")  # neighbours mean nothing to the mean
    assert _search(1, _planted)[0].settings == {name: getattr(BASE, name) for name in named}


def test_the_same_history_and_seed_give_the_same_settings_and_another_seed_others():
    history = _search(13, _planted)
    again = [suggesting.suggest(SPACE, history[:n], start=BASE.model_dump(), seed=0) for n in range(13)]
    assert again == [trial.settings for trial in history]
    assert suggesting.suggest(SPACE, history, start=BASE.model_dump(), seed=1) != suggesting.suggest(SPACE, history, start=BASE.model_dump(), seed=0)


def test_every_suggestion_can_be_trained_and_lies_in_the_space_with_four_digits():
    for trial in _search(25, _planted, seed=3):
        settings = config.checked(BASE.model_dump() | trial.settings)
        assert SPACE.of(settings.model_dump()) == trial.settings
        assert ("neighbours" in trial.settings) == (trial.settings["imputation"] == "nearest")
        assert all(float(f"{value:.4g}") == value for value in trial.settings.values() if isinstance(value, float))


def test_later_trials_are_better_than_the_random_ones():
    for seed in range(4):
        values = [trial.value for trial in _search(30, _planted, seed=seed)]
        assert statistics.fmean(values[20:]) > statistics.fmean(values[1:11])
        assert max(values) > 1.09  # of at most 1.1


def test_where_training_diverges_is_searched_less():
    searches = [_search(30, lambda settings: None if settings["learning_rate"] > 2e-3 else 0.5, seed=seed) for seed in range(4)]
    diverged = [[trial.state is State.DIVERGED for trial in history] for history in searches]
    assert sum(sum(each[20:]) for each in diverged) < sum(sum(each[1:11]) for each in diverged)


def test_importance_names_the_setting_that_decides():
    shares = suggesting.importance(SPACE, _search(30, lambda settings: -abs(math.log10(settings["reg"]) + 3)))
    assert next(iter(shares)) == "reg"
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(("n_trials", "value"), [(9, _planted), (12, lambda settings: 0.5)])
def test_of_few_or_equal_trials_no_importance_is_told(n_trials, value):
    assert suggesting.importance(SPACE, _search(n_trials, value)) == {}


def test_the_best_is_the_greatest_value_and_of_equals_the_first():
    values = [0.1, 0.3, None, 0.3, 0.2]
    trials = [Trial(n, {}, State.COMPLETE if v is not None else State.PRUNED, v, []) for n, v in enumerate(values)]
    assert [trial.number for trial in records.best(trials)] == [1, 3, 4, 0]


@pytest.mark.parametrize("preset", config.presets())
def test_settings_come_back_from_their_file_whatever_the_preset_beneath(preset, tmp_path):
    changed = config.load(preset, changes={"reg": "3.162e-07", "cutoffs": "[5, 10]", "unbiased": "false", "seed": "9007199254740993"})
    file = tmp_path / "best.toml"
    file.write_text(settings_file.as_toml(changed, searched={"reg": 0.0}, remarks=("One.",)))
    for beneath in config.presets():
        assert config.load(beneath, file=file).model_dump(exclude={"preset"}) == changed.model_dump(exclude={"preset"})
