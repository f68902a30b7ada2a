"""Finished runs side by side: means, deviations, intervals, who is best, and whether the difference could be chance.

A column is a dataset, a setting and a metric; a row is a label. docs/comparing.md says what the numbers mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from milktrain import repeats
from milktrain.comparing import facts, pairs
from milktrain.comparing import remarks as differing
from milktrain.comparing.facts import Facts
from milktrain.comparing.labelled import LabelledRun
from milktrain.comparing.pairs import Pairing, Tested
from milktrain.comparing.panels import Panel, as_rows, panels
from milktrain.comparing.results import Cell, Column, Comparison, Test
from milktrain.comparing.significance import holm
from milktrain.recipe import Run
from schemas.contracts import Part
from schemas.errors import BadValue, DataError
from schemas.plugins import check_known
from schemas.reporting import Reporter, Silent
from schemas.wording import counted

__all__ = ["Cell", "Column", "Comparison", "Test", "compare"]

#: Metrics of which more is no better: nobody is marked as the best.
UNRANKED = ("gini", "coverage")


def compare(
    runs: Sequence[LabelledRun], *, metrics: Sequence[str], part: Part = Part.TEST, against: str | None = None, resamples: int = 2000,
    seed: int = 0, reporter: Reporter | None = None,
) -> Comparison:  # fmt: skip
    """Put runs side by side and test their differences.

    Args:
        runs: in any order; their order changes nothing.
        metrics: names with cut-offs, e.g. `recall@20`.
        part: what they were judged on.
        against: label that all others are tested against; None: in each column the best.
        resamples: of the bootstrap; 0 gives no intervals.
        seed: of the bootstrap.
        reporter: is told the splits.

    Raises:
        BadValue: if nobody measured a metric, there is no such label, or a label has two runs of a split and seed that differ in settings.
        DataError: if there are no runs of this part, or files of a run are absent or damaged.
    """
    known = [(run.label, facts.of(run.manifest, folder=run.folder)) for run in runs]
    judged = [(label, run) for label, run in known if run.means(part)]
    if not judged:
        raise DataError(f"Of {counted(len(known), 'run')} none was judged on {part}. Runs of a sweep are judged on validation alone: --part val.")
    _check(judged, metrics=metrics, part=part, against=against, resamples=resamples)
    side_by_side, told = panels(judged)
    remarks = told + differing.of(side_by_side)
    if len(judged) < len(known):
        n_out = len(known) - len(judged)
        remarks.insert(0, f"{counted(n_out, 'run is', many='runs are')} left out, not judged on {part}.")
    cells: list[Cell] = []
    tests: list[Test] = []
    for panel in side_by_side:
        mine, empty = _cells(panel, metrics=metrics, part=part)
        pairing, untested = _pairing(mine, against=against)
        found = pairs.tested(
            panel, cells=[(cell.label, cell.metric) for cell in mine], pairing=pairing, part=part, resamples=resamples, seed=seed,
            reporter=reporter or Silent(),
        )  # fmt: skip
        for cell in mine:
            low, high = found.intervals.get((cell.label, cell.metric)) or (None, None)
            cells.append(replace(cell, low=low, high=high))
        tests += [test for metric in metrics for test in _corrected(panel, metric, [each for each in found.tests if each.metric == metric])]
        remarks += [*empty, *(f"{each} on {panel.name}." for each in untested)]
    return Comparison(part, tuple(metrics), tuple(cells), tuple(tests), tuple(remarks), resamples)


def _check(judged: Sequence[tuple[str, Facts]], *, metrics: Sequence[str], part: Part, against: str | None, resamples: int) -> None:
    measured = sorted({name for _, run in judged for name in run.means(part)})
    if not metrics or len(set(metrics)) < len(metrics):
        raise BadValue("Name at least one metric, and each once.")
    for metric in metrics:
        check_known(metric, measured, what=f"metric of these runs on {part}")
    if not 0 <= resamples <= 1_000_000:
        raise BadValue(f"{resamples} resamples are out of range: give 0 for no intervals, 2000, or up to 1000000.")
    names = sorted({label for label, _ in judged})
    if against is not None and against not in names:
        near = get_close_matches(against, names, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise BadValue(f"No row is labelled {against!r} to test against. {hint}There are: {', '.join(names)}.")


def _cells(panel: Panel, *, metrics: Sequence[str], part: Part) -> tuple[list[Cell], list[str]]:
    """The cells of a panel, and in words which labels have none."""
    cells, empty = [], []
    for metric in metrics:
        having = [label for label, mine in panel.runs.items() if all(metric in run.means(part) for run in mine)]
        cells += _ranked([_cell(panel, label, metric, part=part) for label in having], metric)
        if lacking := [label for label in panel.runs if label not in having]:
            have, cell = ("has", "its cell is") if len(lacking) == 1 else ("have", "their cells are")
            empty.append(f"{as_rows(lacking)} on {panel.name} {have} runs that did not measure {metric}: {cell} empty.")
    return cells, empty


def _cell(panel: Panel, label: str, metric: str, *, part: Part) -> Cell:
    runs = [
        Run(run.folder.name, run.folder, False, {"split": run.split, "metrics": {part.value: {metric: run.means(part)[metric]}}})
        for run in panel.runs[label]
    ]
    found = repeats.summed_up(runs)
    sd = found.sd[part][metric] if found.sd else None
    return Cell(
        label, panel.dataset, panel.setting, metric, found.mean[part][metric], sd, found.n, None, None, None, found.over,
        panel.is_comparable(label), panel.lacks(label),
    )  # fmt: skip


def _ranked(cells: Sequence[Cell], metric: str) -> list[Cell]:
    """Cells of a column with their ranks: as many as are better, and one."""
    if metric.partition("@")[0] in UNRANKED:
        return list(cells)
    means = [cell.mean for cell in cells if cell.comparable]
    return [replace(cell, rank=1 + sum(mean > cell.mean for mean in means)) if cell.comparable else cell for cell in cells]


def _pairing(cells: Sequence[Cell], *, against: str | None) -> tuple[list[Pairing], list[str]]:
    """What is tested against what in each column, and in words what is not."""
    found, untested = [], []
    columns: dict[str, list[Cell]] = {}
    for cell in cells:
        columns.setdefault(cell.metric, []).append(cell)
    for metric, column in columns.items():
        named = next((cell.label for cell in column if cell.label == against or (against is None and cell.rank == 1)), None)
        others = [cell.label for cell in column if cell.label != named]
        if named is not None:
            found += [Pairing(metric, label, named) for label in others]
        elif others and against is not None:
            untested.append(f"Nothing is tested in {metric}: there is no {against}")
    return found, untested


def _corrected(panel: Panel, metric: str, tested: Sequence[Tested]) -> list[Test]:
    """Tests of a column, corrected for each other."""
    p_values: Mapping[str, list[float | None]] = {name: [getattr(each, name) for each in tested] for name in ("t", "wilcoxon", "splits_t")}
    corrected = {name: holm(values) for name, values in p_values.items()}
    return [
        Test(
            each.label, each.against, panel.dataset, panel.setting, metric, each.difference, each.low, each.high, each.n_users, each.n_splits,
            each.t, corrected["t"][at], each.wilcoxon, corrected["wilcoxon"][at], each.splits_t, corrected["splits_t"][at],
        )
        for at, each in enumerate(tested)
    ]  # fmt: skip
