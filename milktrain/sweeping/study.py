"""A sweep: trials of settings on validation, one after the other, until there are as many as asked for.

A trial trains a run on each split and is judged by the mean of one metric on validation. Test interactions are not looked at: its
runs are judged on validation alone. What was tried is on disk after each trial, and a trial under way goes on from its runs'
last states; so a sweep that is killed ends as if it had been left alone.
"""

import logging
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milktrain import bundle, collaborative, config, devices, manifest, metrics, model_settings, recipe, runs
from milktrain.config import TrainConfig
from milktrain.loop import SAVE_EVERY_S
from milktrain.sweeping import records, settings_file, suggesting
from milktrain.sweeping.records import OnSplit, State, Trial
from milktrain.sweeping.space import Space, Value
from schemas import fingerprint, locks
from schemas.contracts import Modality, Part
from schemas.errors import BadValue, DataError, TrainingDiverged
from schemas.plugins import check_known
from schemas.reporting import Progress, Reporter, Silent
from schemas.wording import counted

logger = logging.getLogger(__name__)

#: Complete trials from which it can be known what is below the median.
FEWEST_TO_PRUNE = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched.

    Args:
        splits: their names; a trial's value is the mean over them.
        space: what is varied.
        base: all other settings; its `stop_metric` is what is looked at.
        seed: of the search; that of training is a setting.
        prune: whether a trial that is below the median of the others at a look at validation is ended there.
        modalities: which to use; None takes all that have vectors.
        device: as of `recipe.train`.
        model: name of a file in `milktrain/models`, whose settings `base` are.
    """

    splits: Sequence[str]
    space: Space
    base: TrainConfig
    seed: int = 0
    prune: bool = False
    modalities: Sequence[Modality] | None = None
    device: str = "cpu"
    model: str = model_settings.MILK

    @property
    def metric(self) -> str:
        """What is looked at on validation, the greater the better."""
        return self.base.stop_metric


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as it stands.

    Args:
        folder: where it lies; see `records`.
        trials: in order.
        n_before: how many of them had been finished before this call.
        importance: shares of what decides, see `suggesting.importance`.
    """

    folder: Path
    trials: tuple[Trial, ...]
    n_before: int = 0
    importance: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> list[Trial]:
        """Complete trials, best first."""
        return records.best(self.trials)


class _Pruned(Exception):
    """Ends a training from within, because others of its sweep did better."""


def sweep(
    store_path: Path, *, plan: Plan, n_trials: int, sweeps_folder: Path, reporter: Reporter, save_every_s: float = SAVE_EVERY_S
) -> Sweep:  # fmt: skip
    """Try settings until there are `n_trials` trials, those of an earlier call included.

    Args:
        store_path: the store.
        plan: what is searched.
        n_trials: how many there shall be in all.
        sweeps_folder: gets a folder named after the plan, where the same plan goes on; and one of collaborative vectors that all sweeps share.
        reporter: is told the trials.
        save_every_s: as of `recipe.train`.

    Raises:
        BadValue: if the metric cannot be looked at, or a split is named twice.
        DataError: if another process works on this sweep, or its records are damaged.
        MilkError: see `bundle.read`.
    """
    _refuse(plan)
    described = _describe(store_path, plan)
    folder = sweeps_folder / str(described["name"])
    folder.mkdir(parents=True, exist_ok=True)
    with locks.held(folder / ".lock", what=f"the sweep {folder}", instead="Wait for it to finish, or search with another --seed.", remove=True):
        records.begin(folder, described)
        trials = records.read(folder)
        _refuse_foreign(trials, plan=plan, folder=folder)
        n_before = len(trials)
        with reporter.progress("sweep", total=n_trials, unit="trials") as progress:
            progress.advance(min(n_before, n_trials))
            while len(trials) < n_trials:
                settings = suggesting.suggest(plan.space, trials, start=settings_file.flat(plan.base), seed=plan.seed)
                trial = _try(store_path, settings, plan=plan, before=trials, folder=folder, progress=progress, save_every_s=save_every_s)
                records.write(trial, folder)
                trials.append(trial)
                _keep_best(trials, plan=plan, folder=folder)
                progress.advance()
        _keep_best(trials, plan=plan, folder=folder)
    return Sweep(folder, tuple(trials), n_before, suggesting.importance(plan.space, trials))


def standing(store_path: Path, *, plan: Plan, sweeps_folder: Path) -> Sweep:
    """A sweep as it stands, without trying or writing anything; with no trial where it has not begun.

    Raises:
        MilkError: as `sweep`.
    """
    _refuse(plan)
    folder = sweeps_folder / str(_describe(store_path, plan)["name"])
    trials = records.read(folder)
    return Sweep(folder, tuple(trials), len(trials))


def _keep_best(trials: Sequence[Trial], *, plan: Plan, folder: Path) -> None:
    """Write the settings of the best trial, and delete the weights of all others: a sweep has many runs, and weights can be trained again."""
    for first in records.best(trials)[:1]:
        kept = {each.run_id for each in first.splits}
        for run_id in {each.run_id for trial in trials for each in trial.splits} - kept - {""}:
            (folder / records.RUNS / run_id / records.WEIGHTS).unlink(missing_ok=True)
        remarks = (
            f"The best of {counted(len(trials), 'trial')} of the sweep {folder.name}: trial {first.number}.",
            f"Mean {plan.metric} on validation of {', '.join(plan.splits)}: {first.value:.6f}.",
            f"Train with it: --model {plan.model} --config {records.BEST}",
        )
        best = settings_file.as_toml(with_settings(plan, first.settings), model=plan.model, searched=first.settings, remarks=remarks)
        records.write_best(best, folder)


def _refuse(plan: Plan) -> None:
    name, _, cutoff = plan.metric.partition("@")
    check_known(name, list(metrics.METRICS), what="metric")
    if int(cutoff) not in plan.base.cutoffs:
        raise BadValue(f"{plan.metric} is not measured: the cut-offs are {', '.join(map(str, plan.base.cutoffs))}. Add --set cutoffs=[{cutoff}].")
    if len(set(plan.splits)) < len(plan.splits) or not plan.splits:
        raise BadValue(f"The splits {', '.join(plan.splits)} name one twice, or none. Name each once.")


def _refuse_foreign(trials: Sequence[Trial], *, plan: Plan, folder: Path) -> None:
    for trial in trials:
        if plan.space.of(trial.settings) != trial.settings:
            raise DataError(f"Trial {trial.number} in {folder} has settings that this sweep does not try. Delete the folder to begin anew.")


def _describe(store_path: Path, plan: Plan) -> dict[str, object]:
    """What makes this sweep another than others: the plan, and with the base settings all data that its runs are made of."""
    kind = devices.choose(plan.device, precision=plan.base.precision).type
    of = {}
    for split in plan.splits:
        data = bundle.read(store_path, split=split, modalities=plan.modalities)
        of[split] = manifest.identity(data, model=plan.model, config=plan.base, device=kind)["fingerprint"]
    # What learns nothing is the same run whatever it is judged by, but not the same search.
    unsaid = [] if config.shaping(plan.base, model=plan.model).stop_metric == plan.metric else [plan.metric]
    whole = fingerprint.of_value([plan.space.as_value(), plan.seed, plan.prune, of, *unsaid])
    others = f"+{len(plan.splits) - 1}" if len(plan.splits) > 1 else ""
    return {
        "name": f"{plan.splits[0]}{others}-{plan.model}-{plan.base.preset}-{whole[:8]}",
        "fingerprint": whole,
        "store": store_path.name,
        "model": plan.model,
        "splits": list(plan.splits),
        "metric": plan.metric,
        "part": Part.VAL.value,
        "seed": plan.seed,
        "prune": plan.prune,
        "device": kind,
        "modalities": None if plan.modalities is None else [each.value for each in plan.modalities],
        "space": plan.space.as_value(),
        "base": plan.base.model_dump(mode="json"),
    }


def _try(
    store_path: Path, settings: dict[str, Value], *, plan: Plan, before: Sequence[Trial], folder: Path, progress: Progress, save_every_s: float
) -> Trial:  # fmt: skip
    """One trial: a run on each split, until one ends it."""
    number, done = len(before), []
    for place, split in enumerate(plan.splits):
        watch = _Watch(plan, [trial.splits[place] for trial in before if trial.state is State.COMPLETE], f"trial {number} on {split}", progress)
        state = State.COMPLETE
        try:
            run = recipe.train(
                store_path, split=split, config=with_settings(plan, settings), model=plan.model, modalities=plan.modalities, device=plan.device,
                runs_folder=folder / records.RUNS, reporter=Silent(), parts=(Part.VAL,), again=False, watch=watch, save_every_s=save_every_s,
                backbones_folder=folder.parent / collaborative.FOLDER,  # other trials and other sweeps start from the same
            )  # fmt: skip
            done.append(_on_split(run, split, plan.metric))
        except (_Pruned, TrainingDiverged) as error:
            state = State.PRUNED if isinstance(error, _Pruned) else State.DIVERGED
            logger.info("trial %d on %s: %s", number, split, error)
            done.append(OnSplit(split, "", None, watch.epochs, 0, watch.seconds, watch.looks))
            for left in (folder / records.RUNS).glob(".*.unfinished"):
                shutil.rmtree(left)
            return Trial(number, settings, state, None, done)
    return Trial(number, settings, State.COMPLETE, statistics.fmean(each.value for each in done if each.value is not None), done)


def _on_split(run: recipe.Run, split: str, metric: str) -> OnSplit:
    log = runs.read_log(run.folder)
    looks = [(int(row["epoch"]), row[f"val_{metric}"]) for row in log if f"val_{metric}" in row]
    found = run.manifest["metrics"]
    assert isinstance(found, dict)
    return OnSplit(
        split, run.run_id, found[Part.VAL][metric], len(log), int(str(run.manifest["best_epoch"])), sum(row["seconds"] for row in log), looks
    )  # fmt: skip


def with_settings(plan: Plan, settings: Mapping[str, Value]) -> TrainConfig:
    """What a trial of these settings is trained with."""
    return config.checked(plan.base.model_dump() | dict(settings), model=plan.model)


class _Watch:
    """Follows one run of a trial: tells its epochs, and ends it where it is pruned.

    Pruned is a run whose value at a look at validation, later than the patience of its settings, is below the median of what complete
    trials had on the same split at the same epoch, or at last where they had ended before.
    """

    def __init__(self, plan: Plan, others: Sequence[OnSplit], label: str, progress: Progress) -> None:
        self._plan, self._others, self._label, self._progress = plan, others, label, progress
        self.epochs, self.seconds = 0, 0.0
        self.looks: list[tuple[int, float]] = []

    def __call__(self, row: dict[str, float]) -> None:
        self.epochs, self.seconds = int(row["epoch"]), self.seconds + row["seconds"]
        value = row.get(f"val_{self._plan.metric}")
        if value is None:
            return
        self.looks.append((self.epochs, value))
        self._progress.note(f"{self._label}: epoch {self.epochs} | validation {self._plan.metric} {value:.4f}")
        others = [found for other in self._others if (found := _at(other.looks, self.epochs)) is not None]
        if not self._plan.prune or len(others) < FEWEST_TO_PRUNE or self.epochs <= self._plan.base.patience:
            return
        if value < (median := statistics.median(others)):
            raise _Pruned(f"{self._plan.metric} {value:.4f} at epoch {self.epochs} is below the median {median:.4f}")


def _at(looks: Sequence[tuple[int, float]], epoch: int) -> float | None:
    """The value at a look, or at the last one before; None where there is none."""
    return next((value for at, value in reversed(looks) if at <= epoch), None)
