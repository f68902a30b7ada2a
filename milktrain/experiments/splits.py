"""The splits of an experiment: those that are not there are made, or it is found out whether they could be."""

from collections.abc import Callable

from milktrain import bundle
from milktrain.experiments.cells import BuildsSplit, Experiment, setting_of
from schemas.errors import MilkError

#: A split is known by store and name.
SplitKey = tuple[str, str]


def make(experiment: Experiment, build_split: BuildsSplit, *, note: Callable[[str], None], dry_run: bool = False) -> dict[SplitKey, str]:
    """Make the splits that are not there.

    One of a scenario is asked for in any case: it is left alone if it is what was asked for, and refused if its name stands for another.

    Args:
        experiment: whose.
        build_split: makes one.
        note: is told which is being made.
        dry_run: nothing is stored.

    Returns:
        Those that cannot be made, and why.
    """
    broken: dict[SplitKey, str] = {}
    for source in experiment.sources:
        try:
            there = set(bundle.split_names(source.store))
        except MilkError as error:
            broken |= {(str(source.store), split): str(error) for split in experiment.splits()}
            continue
        for split in experiment.splits():
            setting, scenario, seed = setting_of(experiment.plan, split)
            if split in there and scenario is None:
                continue
            note(f"making split {split} of {source.store.name}")
            try:
                build_split(source.store, setting=setting, scenario=scenario, seed=seed, name=split, dry_run=dry_run)
            except MilkError as error:
                broken[str(source.store), split] = str(error)
    return broken
