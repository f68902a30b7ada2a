"""What an experiment would do, without doing or writing anything of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from milktrain import bundle, devices, manifest, runs
from milktrain.bundle import Bundle
from milktrain.experiments import searching, splits
from milktrain.experiments.cells import BuildsSplit, Cell, Experiment, Source
from milktrain.experiments.chosen import settings_of
from milktrain.experiments.plan import searches
from milktrain.profiles import Profile
from milktrain.recipe import JUDGED
from milktrain.sweeping import study
from schemas import feature_sets
from schemas.errors import DataError, MilkError
from schemas.store import Store

THERE, UNFINISHED, TO_TRAIN, AFTER_SEARCH = "there already", "goes on", "to train", "after its search"
NEEDS_SPLIT, CANNOT = "after its split is made", "cannot be trained"


@dataclass(frozen=True, slots=True)
class Ahead:
    """A cell, and what would become of it.

    Args:
        cell: which.
        state: `there already`, `goes on`, `to train`, what it waits for, or that it cannot be trained.
        run_id: its run folder, where that is known before the work.
        trials: of its search that are to be tried first; counted at the first cell that needs them.
        reason: why it cannot be trained.
    """

    cell: Cell
    state: str
    run_id: str = ""
    trials: int = 0
    reason: str = ""


def look(experiment: Experiment, *, build_split: BuildsSplit) -> list[Ahead]:
    """Each cell in the order of the work, and what would become of it.

    Args:
        experiment: that is looked at.
        build_split: says of splits that are not there whether they could be made.
    """
    there: dict[Source, list[str]] = {}
    broken = splits.make(experiment, build_split, note=lambda _: None, dry_run=True)
    lacking = {source: _lacking(experiment, source) for source in experiment.sources}
    for source in experiment.sources:
        with suppress(MilkError):  # each of its splits is broken then
            there[source] = bundle.split_names(source.store)
    read = _Reader(experiment)
    counted: set[tuple[object, ...]] = set()
    found = []
    for cell in experiment.cells():
        try:
            _refuse(experiment, cell, broken, lacking[cell.source])
            found.append(_ahead(experiment, cell, there[cell.source], read, counted))
        except MilkError as error:
            found.append(Ahead(cell, CANNOT, reason=str(error)))
    return found


def _lacking(experiment: Experiment, source: Source) -> str:
    """Why a store has not the vectors that runs need; empty where it has."""
    try:
        with Store(source.store, mode="read") as store:
            for modality in searching.modalities_of(experiment) or ():
                feature_sets.current_of(store, modality)
    except MilkError as error:
        return str(error)
    return ""


def _refuse(experiment: Experiment, cell: Cell, broken: Mapping[splits.SplitKey, str], lacking: str) -> None:
    """Raise what would end the training of a cell before it begins: its split, vectors, those of its search, or the device."""
    store = str(cell.source.store)
    if own := broken.get((store, cell.split), lacking):
        raise DataError(own)
    for split in searches(experiment.plan, cell.line).get(cell.setting, ()):
        if (of_search := broken.get((store, split))) and searching.planned(experiment, cell):
            raise DataError(f"Its search looks at {split}. {of_search}")
    base = settings_of(experiment.plan, cell.line, dataset=cell.source.dataset, seed=cell.repeat)
    devices.choose(experiment.device, precision=base.precision)


def _ahead(experiment: Experiment, cell: Cell, there: list[str], read: "_Reader", counted: set[tuple[object, ...]]) -> Ahead:
    plan = searching.planned(experiment, cell)
    found: dict[str, object] = {}
    if plan is not None and cell.line.search is not None:
        if left := _left(experiment, cell, plan, there):
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
