"""Runs of one dataset and setting side by side: which are repeats of a label, and which labels may be compared.

Means over other splits are means of other items, and other profiles rank other candidates: such labels are shown, marked, and take no part in
marks of the best. All else that differs (seeds, device, modalities, vectors) is said and compared.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from milktrain.comparing.facts import Facts
from schemas.errors import BadValue
from schemas.wording import counted

Split = tuple[str, str]
SHOWN = 6
#: Letters that names of rows may take in a sentence; of more their number is said.
LONGEST = 100
Usual = TypeVar("Usual", str, frozenset[Split], tuple[int, ...])
Group = TypeVar("Group", bound=Hashable)
Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class Panel:
    """A dataset and a setting.

    Args:
        dataset: file name of the store.
        setting: ftft, ftmt, mtft or mtmt.
        runs: by label in alphabetical order, each ordered by split and seed.
        splits: those over which labels are compared: of most labels, of equally many those that are more.
        profile: by which labels are compared: that of most.
    """

    dataset: str
    setting: str
    runs: Mapping[str, Sequence[Facts]]
    splits: frozenset[Split]
    profile: str

    @property
    def name(self) -> str:
        """Of both, for messages."""
        return f"{self.dataset} {self.setting}"

    def units(self, label: str) -> dict[tuple[Split, int], Facts]:
        """The runs of a label by split and seed."""
        return {(run.split, run.seed): run for run in self.runs[label]}

    def by_split(self, label: str) -> dict[Split, list[Facts]]:
        """The runs of a label by split."""
        return _grouped((run.split, run) for run in self.runs[label])

    def lacks(self, label: str) -> tuple[str, ...]:
        """Splits of the comparison that a label was not run on."""
        return tuple(split_names(self.splits - {run.split for run in self.runs[label]}))

    def is_comparable(self, label: str) -> bool:
        """Whether a label's means are over the splits of the comparison, by its profile."""
        mine = self.runs[label]
        return {run.split for run in mine} == self.splits and all(run.profile == self.profile for run in mine)


def panels(labelled: Iterable[tuple[str, Facts]]) -> tuple[list[Panel], list[str]]:
    """Runs put side by side.

    Args:
        labelled: labels and runs, in any order.

    Returns:
        Panels by dataset and setting, and in words what a label leaves out or averages.

    Raises:
        BadValue: if a label has runs of one split and seed with different settings, or of different profiles.
    """
    found, remarks = [], []
    by_place = _grouped(((run.dataset, run.setting), (label, run)) for label, run in labelled)
    for (dataset, setting), mine in sorted(by_place.items()):
        runs, told = _once(dict(sorted(_grouped(mine).items())), where=f"{dataset} {setting}")
        splits = most_common(frozenset(run.split for run in each) for each in runs.values())
        profile = most_common(each[0].profile for each in runs.values())
        found.append(Panel(dataset, setting, runs, splits, profile))
        remarks += told
    return found, remarks


def split_names(splits: Iterable[Split]) -> list[str]:
    """Names of splits; where two are of one name, with the start of their fingerprints."""
    listed = sorted(splits)
    often = Counter(name for name, _ in listed)
    return [name if often[name] == 1 else f"{name} ({digest})" for name, digest in listed]


def as_rows(labels: Sequence[str]) -> str:
    """Rows by their names where these are few and short, else how many there are.

    Example:
        >>> as_rows(["milk", "duif"]), as_rows(["milk (alpha=0.0981, beta=71.39, lam=0.2691, learning_rate=0.00161)"] * 2)
        ('milk, duif', '2 rows')
    """
    names = ", ".join(labels)
    return names if len(labels) == 1 or (len(labels) <= SHOWN and len(names) <= LONGEST) else counted(len(labels), "row")


def of_rows(groups: Iterable[tuple[str, Group]]) -> dict[Group, list[str]]:
    """Labels by what is to be said of them, so that it is said once."""
    found: dict[Group, list[str]] = defaultdict(list)
    for label, said in groups:
        found[said].append(label)
    return found


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _once(runs: Mapping[str, Sequence[Facts]], *, where: str) -> tuple[dict[str, list[Facts]], list[str]]:
    """One run a label, split and seed: of several that are the same but for the version that made them, the one finished last."""
    kept: dict[str, list[Facts]] = {}
    again, averaged = [], []
    for label, mine in runs.items():
        if len({run.profile for run in mine}) > 1:
            raise BadValue(f"{label} on {where} has runs of several profiles, which rank other candidates. Label them apart with --by profile.")
        ordered = sorted(mine, key=lambda run: (run.split, run.seed, run.finished_at, str(run.folder)))
        last = {(run.split, run.seed): run for run in ordered}
        for run in ordered:
            if differing := _different(run, last[run.split, run.seed]):
                what = f"{label} on {where} has two runs of split {run.split[0]}, seed {run.seed} that differ in {', '.join(differing[:SHOWN])}"
                raise BadValue(f"{what}. Label them apart with --by {differing[0]}, or choose with --run.")
        if len(last) < len(ordered):
            again.append((label, len(ordered) - len(last)))
        if mixed := sorted({name for run in last.values() for name in _different(run, ordered[0])}):
            averaged.append((label, ", ".join(mixed[:SHOWN])))
        kept[label] = list(last.values())
    n_again = sum(n for _, n in again)
    of = f"{as_rows([label for label, _ in again])} on {where}: {counted(n_again, 'run')} {'is' if n_again == 1 else 'are'} there again from before"
    remarks = [f"{of}; of each the one finished last counts."] if again else []
    for names, labels in of_rows(averaged).items():
        remarks.append(f"{as_rows(labels)} on {where} {'averages' if len(labels) == 1 else 'average'} runs that differ in {names}.")
    return kept, remarks


def _different(one: Facts, other: Facts) -> list[str]:
    names = dict.fromkeys((*one.settings, *other.settings))
    return [name for name in names if one.settings.get(name) != other.settings.get(name)]


def most_common(values: Iterable[Usual]) -> Usual:
    """The value that most have; of equally many the longest, then the first by order."""
    often = Counter(values)
    return min(often, key=lambda value: (-often[value], -len(value), sorted(value)))


def _grouped(pairs: Iterable[tuple[Group, Member]]) -> dict[Group, list[Member]]:
    groups: dict[Group, list[Member]] = defaultdict(list)
    for key, member in pairs:
        groups[key].append(member)
    return groups
