"""An experiment carried out: splits made, settings searched, every row trained on every split, one after the other.

What is finished is taken, what was killed goes on, what fails is a row with its reason and the rest goes on. The record is written anew
after each run, so that the same call goes on wherever it was stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from milktrain import recipe
from milktrain.experiments import record, searching, splits
from milktrain.experiments.cells import BuildsSplit, Cell, Experiment
from milktrain.experiments.chosen import settings_of
from milktrain.experiments.plan import searches
from milktrain.experiments.record import Done, Searched, State
from schemas import locks
from schemas.contracts import Part
from schemas.errors import MilkError
from schemas.reporting import Progress, Reporter

Key = tuple[str, str, str, int]
#: A search is known by store, row and the splits it looks at.
SearchKey = tuple[str, str, tuple[str, ...]]


@dataclass(slots=True)
class Carried:
    """An experiment as it stands.

    Args:
        experiment: what it is.
        done: what became of each cell, by its key.
        searched: searches that were carried out, in order.
        failed_searches: those that found nothing, and why.
    """

    experiment: Experiment
    done: dict[Key, Done]
    searched: dict[SearchKey, Searched] = field(default_factory=dict)
    failed_searches: dict[SearchKey, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[tuple[Cell, str]]:
        """Cells that failed, and why."""
        return [(cell, self.done[cell.key].reason) for cell in self.experiment.cells() if self.done[cell.key].state is State.FAILED]

    def write(self) -> None:
        """Write the record."""
        record.write(self.experiment, self.done, list(self.searched.values()))


def carry_out(
    experiment: Experiment, *, build_split: BuildsSplit, reporter: Reporter, after_each: Callable[[Carried], None] | None = None
) -> Carried:  # fmt: skip
    """Do all that is not done yet.

    Args:
        experiment: what is done.
        build_split: makes splits that are not there.
        reporter: is told the runs; trials of searches count as runs.
        after_each: is called after each run, the record being written.

    Raises:
        DataError: if another process carries out the same experiment.
        OSError: if its folder cannot be written.
    """
    experiment.folder.mkdir(parents=True, exist_ok=True)
    instead = "Wait for it to finish, or look at its record meanwhile."
    with locks.held(experiment.folder / ".lock", what=f"the experiment {experiment.folder}", instead=instead, remove=True):
        cells = experiment.cells()
        carried = Carried(experiment, {cell.key: Done() for cell in cells})
        carried.write()
        with reporter.progress("experiment", total=len(cells) + n_trials(experiment), unit="runs") as progress:
            broken = splits.make(experiment, build_split, note=progress.note)
            for cell in cells:
                carried.done[cell.key] = _one(carried, cell, broken=broken, reporter=_Within(progress, cell, of_several=len(experiment.sources) > 1))
                progress.advance()
                carried.write()
                if after_each:
                    after_each(carried)
        return carried


def n_trials(experiment: Experiment) -> int:
    """How many trials all searches have; each counts as a run."""
    budgets = {}
    for cell in experiment.cells():
        if cell.line.search and (key := search_key(experiment, cell)) and _is_searched(experiment, cell):
            budgets[key] = cell.line.search.trials
    return sum(budgets.values())


def search_key(experiment: Experiment, cell: Cell) -> SearchKey:
    """By which searches are told from each other."""
    return (str(cell.source.store), cell.line.name, tuple(searches(experiment.plan, cell.line).get(cell.setting, ())))


def _is_searched(experiment: Experiment, cell: Cell) -> bool:
    return searching.planned(experiment, cell) is not None


def _one(carried: Carried, cell: Cell, *, broken: dict[tuple[str, str], str], reporter: "_Within") -> Done:
    """One cell, from its search to its run; what goes wrong is its reason."""
    experiment = carried.experiment
    if reason := broken.get((str(cell.source.store), cell.split)):
        return Done(State.FAILED, reason=reason)
    try:
        chosen = _chosen(carried, cell, reporter)
        config = settings_of(experiment.plan, cell.line, dataset=cell.source.dataset, seed=cell.repeat, found=chosen)
        run = recipe.train(
            cell.source.store, split=cell.split, config=config, runs_folder=cell.source.runs, reporter=reporter, model=cell.line.row.model,
            modalities=searching.modalities_of(experiment), device=experiment.device, parts=(Part.VAL, Part.TEST), again=False,
        )  # fmt: skip
    except MilkError as error:
        return Done(State.FAILED, reason=str(error))
    return Done(
        State.FINISHED, run_id=run.run_id, folder=str(run.folder.absolute()), settings=config.model_dump(mode="json"), chosen=chosen,
        seconds=_number(run.manifest, "seconds"), seconds_per_epoch=_number(run.manifest, "seconds_per_epoch"), reused=run.reused,
        manifest=run.manifest,
    )  # fmt: skip


def _number(manifest: dict[str, object], name: str) -> float:
    found = manifest.get(name)
    return float(found) if isinstance(found, int | float) else 0.0


def _chosen(carried: Carried, cell: Cell, reporter: "_Within") -> dict[str, object]:
    """What a search chose for a cell; nothing where nothing is searched."""
    key = search_key(carried.experiment, cell)
    if key in carried.failed_searches:
        raise MilkError(carried.failed_searches[key])
    if key not in carried.searched:
        plan = searching.planned(carried.experiment, cell)
        if plan is None:
            return {}
        try:
            carried.searched[key] = searching.search(carried.experiment, cell, plan, reporter=reporter)
        except MilkError as error:
            carried.failed_searches[key] = str(error)
            raise
    return dict(carried.searched[key].chosen)


class _Within:
    """Tells of what is under way within the one bar: trials advance it, epochs are remarks."""

    def __init__(self, progress: Progress, cell: Cell, *, of_several: bool) -> None:
        self._progress, self._cell = progress, cell
        self._of = f" of {cell.source.store.name}" if of_several else ""

    @contextmanager
    def progress(self, label: str, *, total: int | None, unit: str) -> Iterator[Progress]:  # noqa: ARG002 - the one bar has a label and a total
        """A task under the bar."""
        cell = self._cell
        named = f"{cell.line.name}, {cell.setting}, search" if unit == "trials" else f"{cell.line.name} on {cell.split}{self._of}"
        yield _Remarks(self._progress, named, counts=unit == "trials")


class _Remarks:
    """One task under the bar."""

    def __init__(self, progress: Progress, named: str, *, counts: bool) -> None:
        self._progress, self._named, self._counts = progress, named, counts

    def advance(self, n: int = 1) -> None:
        if self._counts:
            self._progress.advance(n)

    def note(self, text: str) -> None:
        self._progress.note(f"{self._named}: {text}")
