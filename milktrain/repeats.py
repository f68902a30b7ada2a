"""One training repeated over seeds and over splits, and how far its metrics spread.

Repeats run one after the other. Each is the run that its split and seed alone would give, in the same folder; one that is finished is not
trained again, so that a repeat that was stopped goes on, and more seeds cost what is new. Standard deviations divide by n - 1.
"""

import statistics
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

from milktrain import bundle
from milktrain.config import TrainConfig
from milktrain.metrics import chosen
from milktrain.recipe import Run
from schemas.errors import BadValue, TrainingDiverged
from schemas.reporting import Progress, Reporter
from schemas.wording import counted

#: Means by metric, by part of the split.
Metrics = dict[str, dict[str, float]]


class Trains(Protocol):
    """`recipe.train` with all that repeats have in common already said."""

    def __call__(self, *, split: str, config: TrainConfig, reporter: Reporter) -> Run:
        """One run."""
        ...


@dataclass(frozen=True, slots=True)
class Repeats:
    """Finished runs that differ in split or seed alone.

    Args:
        runs: in the order of the splits, and of the seeds within each.
        over: what the spread is over: splits where there are several, each with the mean of its seeds, because the seeds of one split
            are no independent trials of the method; seeds where there is one split.
        n: how many splits or seeds.
        mean: over them, by part and metric.
        sd: standard deviation over them with divisor n - 1; None where n is 1.
    """

    runs: tuple[Run, ...]
    over: Literal["splits", "seeds"]
    n: int
    mean: Metrics
    sd: Metrics | None

    def in_words(self) -> list[str]:
        """What mean and standard deviation are of, and what of it was there before."""
        n_seeds = len(self.runs) // self.n if self.over == "splits" else 1
        each = f", each the mean of its {n_seeds} seeds" if n_seeds > 1 else ""
        spread = f"Mean and standard deviation (divisor n - 1) over n = {self.n} {self.over}{each}."
        alone = f"One of the {self.over} alone has no standard deviation: give --seeds 2 or more, or several splits."
        n_reused = sum(run.reused for run in self.runs)
        reused = [f"{n_reused} of {counted(len(self.runs), 'run')} had been finished before, and not trained again."] if n_reused else []
        return [spread if self.sd else alone, *reused, f"Run folders: in {self.runs[0].folder.parent}"]


def matching(store_path: Path, given: Sequence[str]) -> list[str]:
    """Names of splits, with patterns such as `ftmt-*` replaced by all names they fit; each once.

    Args:
        store_path: the store.
        given: names and patterns.

    Raises:
        SplitMissing: if a name is of no split, or a pattern fits none.
    """
    known = bundle.split_names(store_path)
    found: dict[str, None] = {}
    for name in given:
        fitting = [name] if name in known else [each for each in known if fnmatchcase(each, name)]
        if not fitting:
            raise bundle.no_such_split(store_path, name, known=known)
        found |= dict.fromkeys(fitting)
    return list(found)


def run(train: Trains, *, splits: Sequence[str], config: TrainConfig, n_seeds: int, reporter: Reporter) -> Repeats:
    """Train on every split with every seed from the settings' own on.

    Args:
        train: makes one run; to reuse finished ones is its choice.
        splits: names, each once.
        config: the settings; its seed is the first.
        n_seeds: how many seeds.
        reporter: is told the epochs of each run under its split and seed.

    Raises:
        BadValue: if the last seed is out of range.
        MilkError: as `recipe.train`; runs that finished before stay.
    """
    if config.seed + n_seeds > 2**63:
        raise BadValue(f"{n_seeds} seeds from {config.seed} on: the last would be too large. Begin lower with --seed.")
    each_once = [(split, seed) for split in splits for seed in range(config.seed, config.seed + n_seeds)]
    found = []
    for number, (split, seed) in enumerate(each_once, start=1):
        told = _Under(reporter, f"{split} seed {seed} ({number} of {len(each_once)})")
        try:
            found.append(train(split=split, config=config.model_copy(update={"seed": seed}), reporter=told))
        except TrainingDiverged as error:
            raise TrainingDiverged(f"{split}, seed {seed}: {error}") from error
    return summed_up(found)


def summed_up(runs: Sequence[Run]) -> Repeats:
    """The spread of runs that are finished.

    Args:
        runs: at least one; those of a split side by side.
    """
    by_split = [[_metrics(run) for run in mine] for _, mine in groupby(runs, key=lambda run: run.manifest["split"])]
    over: Literal["splits", "seeds"] = "splits" if len(by_split) > 1 else "seeds"
    units = [_over(mine, statistics.fmean) for mine in by_split] if over == "splits" else by_split[0]
    sd = _over(units, statistics.stdev) if len(units) > 1 else None
    return Repeats(tuple(runs), over, len(units), _over(units, statistics.fmean), sd)


def table(found: Repeats, *, part: str, metrics: Sequence[str]) -> pl.DataFrame:
    """A row a run, then the mean and the standard deviation.

    Args:
        found: the runs.
        part: of the splits, `val` or `test`.
        metrics: names without cut-off; all cut-offs are shown.
    """
    rows: list[dict[str, object]] = []
    for run in found.runs:
        names = {"split": run.manifest["split"], "seed": str(run.manifest["seed"])}
        rows.append({**names, "epochs": run.manifest["epochs"], "best": run.manifest["best_epoch"], **chosen(_metrics(run)[part], metrics)})
    for name, values in (("mean", found.mean), ("sd", found.sd)):
        if values:
            rows.append({"split": name, **chosen(values[part], metrics)})
    return pl.DataFrame(rows, infer_schema_length=None)


class _Statistic(Protocol):
    def __call__(self, data: Sequence[float], /) -> float: ...


def _over(units: Sequence[Mapping[str, Mapping[str, float]]], statistic: _Statistic) -> Metrics:
    return {part: {name: statistic([unit[part][name] for unit in units]) for name in metrics} for part, metrics in units[0].items()}


def _metrics(run: Run) -> Metrics:
    metrics = run.manifest["metrics"]
    assert isinstance(metrics, dict)
    return metrics


class _Under:
    """A reporter that puts a name behind every label."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter, self._name = reporter, name

    def progress(self, label: str, *, total: int | None, unit: str) -> AbstractContextManager[Progress]:
        return self._reporter.progress(f"{label} {self._name}", total=total, unit=unit)
