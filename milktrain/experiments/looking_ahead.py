"""What an experiment would do, without doing or writing anything of it."""

from dataclasses import dataclass

from milktrain import bundle, devices, manifest, runs
from milktrain.bundle import Bundle
from milktrain.experiments import searching
from milktrain.experiments.cells import Cell, Experiment, Source
from milktrain.experiments.chosen import settings_of
from milktrain.profiles import Profile
from milktrain.recipe import JUDGED
from milktrain.sweeping import study
from schemas.errors import MilkError

THERE, UNFINISHED, TO_TRAIN, AFTER_SEARCH = "there already", "goes on", "to train", "to train after its search"
NEEDS_SPLIT = "to train after its split is made"


@dataclass(frozen=True, slots=True)
class Ahead:
    """A cell, and what would become of it.

    Args:
        cell: which.
        state: `there already`, `goes on`, `to train`, what it waits for, or why it cannot be.
        run_id: its run folder, where that is known before the work.
        trials: of its search that are to be tried first; counted at the first cell that needs them.
    """

    cell: Cell
    state: str
    run_id: str = ""
    trials: int = 0


def look(experiment: Experiment) -> list[Ahead]:
    """Each cell in the order of the work, and what would become of it."""
    there: dict[Source, list[str] | str] = {}
    for source in experiment.sources:
        try:
            there[source] = bundle.split_names(source.store)
        except MilkError as error:
            there[source] = str(error)
    read = _Reader(experiment)
    counted: set[tuple[object, ...]] = set()
    return [_ahead(experiment, cell, there[cell.source], read, counted) for cell in experiment.cells()]


def _ahead(experiment: Experiment, cell: Cell, there: list[str] | str, read: "_Reader", counted: set[tuple[object, ...]]) -> Ahead:
    if isinstance(there, str):
        return Ahead(cell, there)
    try:
        plan = searching.planned(experiment, cell)
        found = {}
        if plan is not None and cell.line.search is not None:
            left = _left(experiment, cell, plan, there)
            if left:
                key = (cell.source, cell.line.name, tuple(plan.splits))
                first = key not in counted
                counted.add(key)
                return Ahead(cell, AFTER_SEARCH, trials=left if first else 0)
            standing = study.standing(cell.source.store, plan=plan, sweeps_folder=experiment.sweeps)
            found = searching.summed_up(standing, cell, plan, budget=cell.line.search.trials).chosen
        config = settings_of(experiment.plan, cell.line, dataset=cell.source.dataset, seed=cell.repeat, found=found)
        if cell.split not in there:
            return Ahead(cell, NEEDS_SPLIT)
        kind = devices.choose(experiment.device, precision=config.precision).type
        known = manifest.identity(read(cell), model=cell.line.row.model, config=config, device=kind, profile=Profile.MILK)
    except MilkError as error:
        return Ahead(cell, f"cannot be trained: {error}")
    folder = cell.source.runs / str(known["run_id"])
    done = runs.finished(folder, fingerprint=str(known["fingerprint"]))
    state = THERE if done and manifest.judges(done, JUDGED) else UNFINISHED if runs.unfinished(folder).is_dir() else TO_TRAIN
    return Ahead(cell, state, run_id=folder.name)


def _left(experiment: Experiment, cell: Cell, plan: study.Plan, there: list[str]) -> int:
    """How many trials of a search are to be tried."""
    assert cell.line.search is not None
    if not set(plan.splits) <= set(there):
        return cell.line.search.trials
    standing = study.standing(cell.source.store, plan=plan, sweeps_folder=experiment.sweeps)
    return max(0, cell.line.search.trials - len(standing.trials))


class _Reader:
    """Splits as they are needed, one in memory at a time."""

    def __init__(self, experiment: Experiment) -> None:
        self._modalities = searching.modalities_of(experiment)
        self._key: tuple[Source, str] | None = None
        self._read: Bundle | None = None

    def __call__(self, cell: Cell) -> Bundle:
        """The split of a cell."""
        if self._read is None or self._key != (cell.source, cell.split):
            self._read, self._key = bundle.read(cell.source.store, split=cell.split, modalities=self._modalities), (cell.source, cell.split)
        return self._read
