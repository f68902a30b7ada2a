"""The search that a row asks for: on validation alone, within its budget, begun once and gone on with afterwards."""

from milktrain.experiments.cells import Cell, Experiment
from milktrain.experiments.chosen import settings_of, space_of
from milktrain.experiments.plan import searches
from milktrain.experiments.record import Searched
from milktrain.sweeping import records, study
from milktrain.sweeping.study import Plan as SweepPlan
from milktrain.sweeping.study import Sweep
from schemas.contracts import Modality
from schemas.errors import TrainingDiverged
from schemas.reporting import Reporter


def planned(experiment: Experiment, cell: Cell) -> SweepPlan | None:
    """The sweep that decides what a cell is trained with; None where nothing is searched.

    Raises:
        MilkError: if settings or space are wrong.
    """
    line, plan = cell.line, experiment.plan
    splits = searches(plan, line).get(cell.setting)
    if line.search is None or not splits:
        return None
    base = settings_of(plan, line, dataset=cell.source.dataset, seed=0)
    space = space_of(line, base=base)
    if space is None:
        return None
    return SweepPlan(
        splits=splits, space=space, base=base, seed=line.search.seed, modalities=modalities_of(experiment), device=experiment.device,
        model=line.row.model,
    )  # fmt: skip


def modalities_of(experiment: Experiment) -> list[Modality] | None:
    """Which modalities all runs use; None for all that have vectors."""
    given = experiment.plan.modalities
    return None if given is None else [Modality(name) for name in given]


def search(experiment: Experiment, cell: Cell, plan: SweepPlan, *, reporter: Reporter) -> Searched:
    """Carry a search out, or go on with it, or find it done.

    Raises:
        TrainingDiverged: if no trial was complete.
        MilkError: as `study.sweep`.
    """
    assert cell.line.search is not None
    budget = cell.line.search.trials
    found = study.sweep(cell.source.store, plan=plan, n_trials=budget, sweeps_folder=experiment.sweeps, reporter=reporter)
    return summed_up(found, cell, plan, budget=budget)


def summed_up(found: Sweep, cell: Cell, plan: SweepPlan, *, budget: int) -> Searched:
    """What a sweep found within a budget; trials beyond it, of another plan, are not looked at.

    Raises:
        TrainingDiverged: if no trial was complete.
    """
    trials = found.trials[:budget]
    best = records.best(trials)
    if not best:
        raise TrainingDiverged(f"No trial of its search was complete, of {budget}; see {found.folder}")
    return Searched(
        store=cell.source.store.name, setting=cell.setting, row=cell.line.name, splits=tuple(plan.splits), metric=plan.metric, trials=len(trials),
        n_complete=len(best), value=best[0].value, chosen=dict(best[0].settings), seconds=sum(trial.seconds for trial in trials),
        folder=str(found.folder),
    )  # fmt: skip
