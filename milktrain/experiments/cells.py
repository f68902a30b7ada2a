"""An experiment taken apart: one cell is one training, and stands for one store, setting, row and repeat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from milktrain.experiments import published
from milktrain.experiments.plan import Line, Plan, lines, searches
from schemas import fingerprint, wording
from schemas.contracts import Setting
from schemas.errors import BadValue, DataError, MilkError, UnknownName
from schemas.plugins import check_known

RUNS, EXPERIMENTS, SWEEPS = "runs", "experiments", "sweeps"


class BuildsSplit(Protocol):
    """What makes a split that is not there; given by who knows how."""

    def __call__(
        self, store_path: Path, *, setting: Setting | None, scenario: Sequence[float] | None, seed: int, name: str, dry_run: bool = False
    ) -> object:  # fmt: skip
        """Store a split under a name; with `dry_run` only raise what would be raised."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A store, and which dataset of the publication it is of; None where it is of none that is known."""

    store: Path
    dataset: str | None

    @property
    def runs(self) -> Path:
        """Where its runs lie."""
        return self.store.parent / RUNS


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: repeat r is on split `<setting>-<r>`, with seed r."""

    source: Source
    setting: str
    line: Line
    repeat: int

    @property
    def split(self) -> str:
        """Name of its split."""
        return f"{self.setting}-{self.repeat}"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """By which it is told from the others of its experiment."""
        return (str(self.source.store), self.setting, self.line.name, self.repeat)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A plan, on these stores, at this place.

    Args:
        name: of its folder, before the fingerprint.
        plan: what is done.
        sources: on which stores, at least one.
        folder: of what it finds.
        device: as of `recipe.train`.
    """

    name: str
    plan: Plan
    sources: tuple[Source, ...]
    folder: Path
    device: str = "cpu"

    @property
    def sweeps(self) -> Path:
        """Of its searches; beside it, so that a plan that differs elsewhere finds them again."""
        return self.folder.parent / SWEEPS

    def cells(self) -> list[Cell]:
        """All trainings in the order of the work: all rows once before any is repeated."""
        own, plan = lines(self.plan), self.plan
        return [
            Cell(source, setting, line, repeat)
            for source in self.sources
            for repeat in range(plan.seeds)
            for setting in plan.settings
            for line in own
        ]  # fmt: skip

    def splits(self) -> list[str]:
        """Names of all splits that are needed, those of searches among them."""
        plan = self.plan
        trained = [f"{setting}-{repeat}" for repeat in range(plan.seeds) for setting in plan.settings]
        searched = [split for line in lines(plan) for splits in searches(plan, line).values() for split in splits]
        return list(dict.fromkeys((*trained, *searched)))


def experiment(
    name: str, plan: Plan, *, stores: Sequence[Path], datasets: Sequence[str] = (), out: Path | None = None, device: str = "cpu"
) -> Experiment:  # fmt: skip
    """A plan tied to stores and a place.

    Args:
        name: of the experiment.
        plan: what is done.
        stores: besides those that the plan names.
        datasets: of the publication that the stores are of: one for all, or one each; guessed from their file names when none is given.
        out: folder of experiments; `experiments` beside the first store when None.
        device: as of `recipe.train`.

    Raises:
        MilkError: the first of `wrong_beside`.
    """
    for error in wrong_beside(plan.stores, stores=stores, datasets=datasets):
        raise error
    paths = [*(Path(each) for each in plan.stores), *stores]
    guessed = [published.guess(path.name) for path in paths]
    known: list[str | None] = [*datasets] * len(paths) if len(datasets) == 1 else [*datasets] or guessed
    sources = tuple(Source(path, dataset) for path, dataset in zip(paths, known, strict=True))
    whole = fingerprint.of_value([plan.model_dump(mode="json"), [[each.store.name, each.dataset] for each in sources], device])
    return Experiment(name, plan, sources, (out or paths[0].parent / EXPERIMENTS) / f"{name}-{whole[:8]}", device)


def wrong_beside(named: Sequence[str] | None, *, stores: Sequence[Path], datasets: Sequence[str]) -> list[MilkError]:
    """What is wrong with the stores and datasets that a plan is asked to be carried out on.

    Args:
        named: stores that the plan names; None where that cannot be known.
        stores: besides those.
        datasets: of the publication that the stores are of: one for all, or one each.

    Returns:
        BadValue: if there is no store, one is named twice, or the datasets are not as many as the stores.
        UnknownName: if a dataset is none of the publication's.
        DataError: if a store is not there.
    """
    paths, found = [*(Path(each) for each in named or ()), *stores], list[MilkError]()
    if not paths and named is not None:
        found.append(BadValue("The plan names no store. Name one with --store, or several."))
    if len({path.name for path in paths}) < len(paths):
        found.append(BadValue("Two stores have one name, by which tables tell them apart, or one is named twice. Name each once, and rename files."))
    for dataset in dict.fromkeys(datasets):
        try:
            check_known(dataset, published.datasets(), what="dataset of the publication")
        except UnknownName as error:
            found.append(error)
    if paths and named is not None and 1 < len(datasets) != len(paths):
        told = f"{len(datasets)} datasets are named for {wording.counted(len(paths), 'store')}."
        found.append(BadValue(f"{told} Name one --dataset for all, or one for each --store."))
    if missing := [str(path) for path in paths if not path.is_file()]:
        found.append(DataError(f"There is no store at {', '.join(missing)}. Make one with `python cli.py pull`."))
    return found


def grouped(cells: Iterable[tuple[Cell, str]]) -> list[str]:
    """Cells with the reasons why they are not there, those of one reason together: rows, splits, store, reason."""
    by_row: dict[tuple[str, str, str], list[str]] = {}
    for cell, reason in cells:
        by_row.setdefault((cell.source.store.name, reason, cell.line.name), []).append(cell.split)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (store, reason, row), splits in by_row.items():
        together.setdefault((store, reason, tuple(splits)), []).append(row)
    return [f"{', '.join(rows)} on {', '.join(splits)} of {store}: {reason}" for (store, reason, splits), rows in together.items()]


def setting_of(plan: Plan, split: str) -> tuple[Setting | None, list[float] | None, int]:
    """What a split of a plan is made by: setting, or scenario; and seed."""
    key, _, number = split.rpartition("-")
    scenario = plan.scenarios.get(key)
    return (Setting.FTMT if scenario else Setting(key), scenario, int(number))
