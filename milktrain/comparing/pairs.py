"""Labels of a panel tested against others, split by split: users are read, averaged over seeds, paired, and drawn again and again.

Two labels are paired on the splits that both have, and there on the seeds that both have; where they have none in common, each is averaged
over its own. Of a split only what is tested is held in memory; what stays until the end is one
number a pair of users and test.
"""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from milktrain.comparing import bootstrap, per_user, significance
from milktrain.comparing.facts import Facts
from milktrain.comparing.panels import Panel, Split
from milktrain.comparing.per_user import Numbers, PerUser
from milktrain.metrics import METRICS
from schemas import fingerprint
from schemas.contracts import Part
from schemas.reporting import Reporter

#: A label and a metric.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pairing:
    """A label to be tested against another in a metric."""

    metric: str
    label: str
    against: str


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a pairing; fields as those of `results.Test`, before correction."""

    metric: str
    label: str
    against: str
    difference: float
    low: float | None
    high: float | None
    n_users: int
    n_splits: int
    t: float | None
    wilcoxon: float | None
    splits_t: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """Intervals of means by label and metric, and tests of those pairs that have a split in common."""

    intervals: Mapping[Place, tuple[float, float] | None]
    tests: Sequence[Tested]


@dataclass(slots=True)
class _Kept:
    """What is kept of the splits looked at: means drawn, and of pairs the differences of users and of means."""

    drawn: dict[object, list[Numbers]] = field(default_factory=lambda: defaultdict(list))
    users: dict[Pairing, list[Numbers]] = field(default_factory=lambda: defaultdict(list))
    splits: dict[Pairing, list[float]] = field(default_factory=lambda: defaultdict(list))


def tested(
    panel: Panel, *, cells: Sequence[Place], pairing: Sequence[Pairing], part: Part, resamples: int, seed: int, reporter: Reporter
) -> Found:  # fmt: skip
    """Intervals of all cells, and tests of all pairings.

    Args:
        panel: the runs.
        cells: labels and metrics that have means.
        pairing: what is tested; of labels judged by different profiles nothing is.
        part: whose users.
        resamples: of the bootstrap; 0 for none.
        seed: of the bootstrap. What is drawn depends on it and the split alone.
        reporter: is told the splits.

    Raises:
        DataError: if files of users are absent, damaged, or not of their runs.
    """
    kept = _Kept()
    allowed = [pair for pair in pairing if _profile(panel, pair.label) == _profile(panel, pair.against)]
    splits = sorted({run.split for runs in panel.runs.values() for run in runs})
    with reporter.progress(f"compare {panel.name}", total=len(splits), unit="splits") as progress:
        for split in splits:
            _of_split(kept, _Split(panel, split, cells, part), pairing=allowed, resamples=resamples, seed=seed)
            progress.advance()
    intervals = {place: _interval(kept, place) for place in cells}
    return Found(intervals, [_tested(kept, pair) for pair in allowed if kept.splits[pair]])


class _Split:
    """Runs of one split, whose users are read once for each choice of seeds."""

    def __init__(self, panel: Panel, split: Split, cells: Sequence[Place], part: Part) -> None:
        self.name = [panel.dataset, panel.setting, *split]
        self.runs: dict[str, dict[int, Facts]] = {label: {run.seed: run for run in mine if run.split == split} for label, mine in panel.runs.items()}
        self.part = part
        self.places = [(label, metric) for label, metric in cells if self.runs[label] and metric.partition("@")[0] in METRICS]
        self._read: dict[tuple[str, frozenset[int]], PerUser] = {}

    def users(self, label: str, seeds: frozenset[int] | None = None) -> PerUser:
        """Users of a label, averaged over some seeds; None: all it has."""
        key = label, seeds or frozenset(self.runs[label])
        if key not in self._read:
            chosen = [self.runs[label][each] for each in sorted(key[1])]
            self._read[key] = per_user.mean_of(chosen, part=self.part, metrics=self.metrics(label))
        return self._read[key]

    def metrics(self, label: str) -> list[str]:
        """Metrics of users that a label is looked at in."""
        return [metric for each, metric in self.places if each == label]

    def seeds(self, pair: Pairing) -> tuple[frozenset[int], frozenset[int]] | None:
        """Seeds over which the two of a pair are averaged: those that both have, or all of each; None if one was not run here."""
        one, other = frozenset(self.runs[pair.label]), frozenset(self.runs[pair.against])
        if not one or not other:
            return None
        return (one & other, one & other) if one & other else (one, other)

    def has_all(self, pair: Pairing) -> bool:
        """Whether these are all the seeds of both."""
        return self.seeds(pair) == (frozenset(self.runs[pair.label]), frozenset(self.runs[pair.against]))

    def differences(self, pair: Pairing, seeds: tuple[frozenset[int], frozenset[int]]) -> PerUser:
        """(U, 1) of each user the difference of a pair."""
        one, other = self.users(pair.label, seeds[0]), self.users(pair.against, seeds[1])
        per_user.check_same(self.runs[pair.label][min(seeds[0])], one, self.runs[pair.against][min(seeds[1])], other)
        mine = one.values[:, self.metrics(pair.label).index(pair.metric)]
        return PerUser(one.users, (mine - other.values[:, self.metrics(pair.against).index(pair.metric)])[:, None])

    def difference(self, pair: Pairing, seeds: tuple[frozenset[int], frozenset[int]]) -> float:
        """That of the means, which metrics of no user have too."""
        one, other = (
            statistics.fmean(self.runs[label][seed].means(self.part)[pair.metric] for seed in sorted(chosen))
            for label, chosen in zip((pair.label, pair.against), seeds, strict=True)
        )
        return one - other


def _of_split(kept: _Kept, split: _Split, *, pairing: Sequence[Pairing], resamples: int, seed: int) -> None:
    """Read a split, and keep what is needed of it."""
    series: dict[object, PerUser] = {}
    for label, metric in split.places:
        mine = split.users(label)
        at = split.metrics(label).index(metric)
        series[label, metric] = PerUser(mine.users, mine.values[:, at : at + 1])
    for pair in pairing:
        if not (seeds := split.seeds(pair)):
            continue
        kept.splits[pair].append(split.difference(pair, seeds))
        if (pair.label, pair.metric) not in split.places:
            continue
        of_users = split.differences(pair, seeds)
        kept.users[pair].append(of_users.values[:, 0])
        # Of all seeds of both the mean difference of a draw is that of their means, which are drawn anyway.
        if not split.has_all(pair):
            series[pair] = of_users
    if not series or not resamples:
        return
    users = np.unique(np.concatenate([each.users for each in series.values()]))
    drawn = bootstrap.means(
        np.concatenate([each.on(users) for each in series.values()], axis=1),
        resamples=resamples,
        generator=np.random.default_rng([seed, int(fingerprint.of_value(split.name)[:16], 16)]),
    )
    found = {key: drawn[:, at] for at, key in enumerate(series)}
    for key, values in found.items():
        kept.drawn[key].append(values)
    for pair in pairing:
        if pair not in found and split.seeds(pair) and (pair.label, pair.metric) in found:
            kept.drawn[pair].append(found[pair.label, pair.metric] - found[pair.against, pair.metric])


def _tested(kept: _Kept, pair: Pairing) -> Tested:
    of_users = np.concatenate(kept.users[pair]) if kept.users[pair] else np.empty(0)
    of_splits = np.array(kept.splits[pair])
    low, high = _interval(kept, pair) or (None, None)
    return Tested(
        pair.metric, pair.label, pair.against, statistics.fmean(kept.splits[pair]), low, high, len(of_users), len(of_splits),
        significance.paired_t(of_users), significance.signed_ranks(of_users), significance.paired_t(of_splits),
    )  # fmt: skip


def _interval(kept: _Kept, key: object) -> tuple[float, float] | None:
    """Of the mean over splits: each split's users are drawn on their own."""
    drawn = kept.drawn.get(key)
    return bootstrap.interval(np.mean(drawn, axis=0)) if drawn else None


def _profile(panel: Panel, label: str) -> str:
    return panel.runs[label][0].profile
