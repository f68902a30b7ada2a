"""Which settings to try next: Optuna's TPE, told anew of every trial before.

The settings of trial n follow from the space, the seed, n, and the trials before it, and from nothing else: no state of a
sampler is kept, so that a sweep that was killed goes on as if it had not been. Values of ranges have four digits that count.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from milktrain.sweeping.records import State, Trial
from milktrain.sweeping.space import Dimension, Space, Value

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

#: Trials drawn at random before the sampler learns from them.
AT_RANDOM = 10
DIGITS = 4
#: Complete trials from which it is said what mattered; what counts as good is the best tenth of them, and no fewer than five.
FEWEST_FOR_IMPORTANCE = 10
GOOD, FEWEST_GOOD = 0.1, 5


def suggest(space: Space, history: Sequence[Trial], *, start: Mapping[str, Value], seed: int) -> dict[str, Value]:
    """Settings of the next trial.

    Args:
        space: what is varied.
        history: all trials before, in order.
        start: the settings that the sweep began from; the first trial is of these, where they lie in the space.
        seed: of the search.
    """
    if not history and (first := space.of(start)):
        return first
    drawn = int(np.random.SeedSequence([seed, len(history)]).generate_state(1)[0])
    trial = _study(space, history, seed=drawn).ask()
    settings: dict[str, Value] = {}
    for each in space.dimensions:
        if each.is_active(settings):
            settings[each.name] = _suggest(trial, each)
    return settings


def importance(space: Space, trials: Sequence[Trial]) -> dict[str, float]:
    """How much each setting decides whether a trial is among the good ones, most first; shares of 1.

    Empty where there are fewer than ten complete trials, or all have the same value.

    Source:
        Watanabe, Bansal & Hutter 2023, PED-ANOVA.
    """
    import optuna

    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    if len(complete) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in complete}) == 1:
        return {}
    good = max(GOOD, FEWEST_GOOD / len(complete))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=good)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some regimes for parameter")  # a setting that was seldom varied: its share is rough
        found = optuna.importance.get_param_importances(_study(space, complete, seed=0), evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def _study(space: Space, history: Sequence[Trial], *, seed: int) -> "optuna.Study":
    """The history as Optuna knows it; in memory, as all that is kept is ours."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(n_startup_trials=AT_RANDOM, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known = {each.name: _distribution(each) for each in space.dimensions}
    states = {State.COMPLETE: optuna.trial.TrialState.COMPLETE, State.PRUNED: optuna.trial.TrialState.PRUNED}
    for trial in history:
        looks = [value for split in trial.splits for _, value in split.looks] if trial.state is State.PRUNED else []
        study.add_trial(
            optuna.trial.create_trial(
                state=states.get(trial.state, optuna.trial.TrialState.PRUNED),  # one that diverged is the worst there can be
                value=trial.value,
                params=trial.settings,
                distributions={name: known[name] for name in trial.settings},
                intermediate_values=dict(enumerate(looks)),
            )
        )
    return study


def _distribution(each: Dimension) -> "BaseDistribution":
    from optuna import distributions

    if each.choices:
        return distributions.CategoricalDistribution(each.choices)
    if each.whole:
        return distributions.IntDistribution(int(each.low), int(each.high), log=each.log)
    return distributions.FloatDistribution(each.low, each.high, log=each.log)


def _suggest(trial: "optuna.Trial", each: Dimension) -> Value:
    if each.choices:
        chosen = trial.suggest_categorical(each.name, each.choices)
        assert chosen is not None
        return chosen
    if each.whole:
        return trial.suggest_int(each.name, int(each.low), int(each.high), log=each.log)
    drawn = trial.suggest_float(each.name, each.low, each.high, log=each.log)
    return min(max(float(f"{drawn:.{DIGITS}g}"), each.low), each.high)
