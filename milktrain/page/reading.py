"""The runs that a page is about, read so far that nothing of their records can surprise it later.

A record is what some program wrote: of another version, cut short, or made to mislead. One that is damaged is left out and named, and every
text is plain text to whoever shows it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from milktrain import model_settings
from milktrain.comparing import facts, labelled
from milktrain.comparing.facts import Facts
from schemas import fingerprint
from schemas.errors import DataError

#: What a page compares by where a run has it, and else the first it has.
PREFERRED = ("recall@20", "ndcg@20", "recall@10", "ndcg@10")
PARTS = {"test": "test", "val": "validation"}
#: Settings that say nothing of how a run was made that the others do not.
NAMES_ONLY = ("seed", "preset")
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One finished run.

    Args:
        folder: of the run.
        label: what repeats of it are called together; the same label is the same configuration.
        model: name of it.
        store: file name of the store it was trained on.
        split: name of its split.
        setting: where modalities are lost, e.g. `ftmt`.
        seed: of the training.
        profile: how it was judged.
        settings: all settings, nested ones as `outer.inner`.
        metrics: means by metric, by part; finite numbers.
        record: the whole of `run.json`.
    """

    folder: Path
    label: str
    model: str
    store: str
    split: str
    setting: str
    seed: int
    profile: str
    settings: Mapping[str, object]
    metrics: Mapping[str, Mapping[str, float]]
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """By which its files are found."""
        return self.folder.name

    @property
    def context(self) -> tuple[str, str, str]:
        """What runs must have in common for their metrics to be compared: store, setting, profile."""
        return self.store, self.setting, self.profile

    @property
    def configuration(self) -> str:
        """A name for everything that shapes a run besides split and seed."""
        kept = {name: value for name, value in self.settings.items() if name not in NAMES_ONLY}
        return fingerprint.of_value([self.model, self.record.get("modalities"), self.record.get("device"), kept])

    def number(self, name: str) -> float | None:
        """A number of the record; None where it is none."""
        return number(self.record.get(name))


def read(folders: Iterable[Path], *, labels: Mapping[str, str] | None = None) -> tuple[list[Found], list[str]]:
    """Run folders as runs.

    Args:
        folders: of runs.
        labels: what runs are called, by name of the folder; where it has none, what a table of them says, see `labelled`.

    Returns:
        The runs in the order of their labels, settings, splits, seeds and names; and in words, what was left out.
    """
    known: list[tuple[Facts, dict[str, object], dict[str, Any]]] = []
    left_out = []
    for folder in sorted(set(folders)):
        try:
            record = facts.read(folder)
            run = facts.of(record, folder=folder)
            config = record["config"]
            assert isinstance(config, dict)  # as facts.of has seen
            known.append((run, dict(_flat(model_settings.told(run.model, config))), record))
        except (DataError, RecursionError) as error:  # of groups in groups without end
            left_out.append(f"{folder.name} is left out: {in_place(error, folder)}")
    given = labels or {}
    named = [given.get(run.folder.name) or label for (run, *_), label in zip(known, labelled.labels([run for run, *_ in known]), strict=True)]
    runs = [
        Found(
            run.folder, label[:LONGEST_TEXT], run.model, run.dataset, run.split[0], run.setting, run.seed, run.profile, settings, run.metrics, record
        )
        for (run, settings, record), label in zip(known, named, strict=True)
    ]
    return sorted(runs, key=lambda run: (run.label, *run.context, run.split, run.seed, run.name)), left_out


def _flat(settings: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def differences(runs: Sequence[Found]) -> list[str]:
    """Settings, and what else shapes a run besides split and seed, that are not the same in all."""
    everything = [_aspects(run) for run in runs]
    names = dict.fromkeys(name for each in everything for name in each)
    return sorted(name for name in names if len({repr(each.get(name)) for each in everything}) > 1)


def _aspects(run: Found) -> dict[str, object]:
    kept = {name: value for name, value in run.settings.items() if name not in NAMES_ONLY}
    return kept | {name: run.record.get(name) for name in ("modalities", "device")}


def in_place(error: Exception, *folders: Path) -> str:
    """What an error says, with names of run folders for their paths: a page says the same wherever the runs lie, and not where that is."""
    said = str(error)
    for folder in folders:
        said = said.replace(str(folder), folder.name)
    return said


def number(value: object) -> float | None:
    """A finite number as a float; None for all else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def by_context(runs: Sequence[Found]) -> list[tuple[tuple[str, str, str], list[Found]]]:
    """Runs that may be compared with each other, together."""
    ordered = sorted(runs, key=lambda run: run.context)
    return [(context, list(same)) for context, same in groupby(ordered, key=lambda run: run.context)]


def by_label(runs: Sequence[Found]) -> dict[str, list[Found]]:
    """Repeats of each configuration together, in the order of labels."""
    found: dict[str, list[Found]] = {}
    for run in runs:
        found.setdefault(run.label, []).append(run)
    return found


def in_words(context: tuple[str, str, str]) -> str:
    """What runs have in common, as a heading."""
    store, setting, profile = context
    return f"{store}, {setting.upper()}" + (f", judged by {profile}" if profile not in ("milk", "unknown") else "")


def metrics_of(runs: Sequence[Found], part: str) -> list[str]:
    """Every metric that a run has of a part, the preferred first."""
    known = dict.fromkeys(name for run in runs for name in run.metrics.get(part, {}))
    return [*(name for name in PREFERRED if name in known), *sorted(name for name in known if name not in PREFERRED)]


def spread(values: Sequence[tuple[str, float]]) -> tuple[float, float | None]:
    """Mean and standard deviation of repeats, as `repeats.summed_up` has them.

    Args:
        values: one or more, each with the split of its run.

    Returns:
        Of several splits, over splits, each the mean of its seeds; of one split, over its seeds. The deviation has divisor n - 1; None of one.

    Example:
        >>> mean, sd = spread([("a", 1.0), ("a", 3.0), ("b", 6.0), ("b", 6.0)])
        >>> mean, round(sd, 4)
        (4.0, 2.8284)
    """
    by_split: dict[str, list[float]] = {}
    for split, value in values:
        by_split.setdefault(split, []).append(value)
    each = [_mean(seeds) for seeds in by_split.values()] if len(by_split) > 1 else [value for _, value in values]
    mean = _mean(each)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in each) / (len(each) - 1)) if len(each) > 1 else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def measured(runs: Sequence[Found], part: str, metric: str) -> list[tuple[str, float]]:
    """A metric of those runs that have it, each with its split, for `spread`."""
    return [(run.split, run.metrics[part][metric]) for run in runs if metric in run.metrics.get(part, {})]
