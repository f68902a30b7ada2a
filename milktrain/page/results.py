"""Results: configurations by metrics, mean and deviation over repeats, the best and the second marked, and whether differences could be chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milktrain.comparing import comparison, facts, labelled
from milktrain.comparing.labelled import LabelledRun
from milktrain.comparing.results import Comparison
from milktrain.comparing.results import Test as Tested
from milktrain.page.blocks import Block, Cell, Figure, Figures, Section, Table, Words, table
from milktrain.page.charts import Bar, bars
from milktrain.page.palette import Colours
from milktrain.page.reading import PARTS, PREFERRED, Found, by_context, by_label, in_place, in_words, measured, metrics_of, spread
from schemas.contracts import Part
from schemas.errors import MilkError

DRAWN = ("recall@20", "ndcg@20")
#: Draws of the bootstrap of differences, from a fixed seed.
RESAMPLES = 1000
PLACES = {1: "best", 2: "second"}
OVER_SPLITS = "p (t, splits)"


@dataclass(frozen=True, slots=True)
class _Number:
    """Mean and deviation of a configuration in a metric, over n; its place among those that are comparable, or 0."""

    mean: float
    sd: float | None
    n: int
    place: int = 0
    comparable: bool = True


#: By metric, by label.
_Numbers = Mapping[str, Mapping[str, _Number]]


def section(found: Sequence[Found], colours: Colours) -> Section:
    """Tables of metrics, one a context and part, and bars of two of them."""
    told = (
        "Mean ± standard deviation (divisor n - 1): over splits, each the mean of its seeds, or over seeds where there is one split. "
        "The best of a column is marked ●, the second ○; † marks what was not run on the splits of the others and is not ranked."
    )
    inside = [Section(f"results-{n}", in_words(context), _blocks(same, colours)) for n, (context, same) in enumerate(by_context(found), start=1)]
    return Section("results", "Results", [Words(told), *map(Words, _unsaid(found))], inside)


def _unsaid(found: Sequence[Found]) -> list[str]:
    """What labels go without saying; nothing where an experiment gave them."""
    runs = [LabelledRun(run.label, run.folder, run.record) for run in found]
    made = labelled.labels([facts.of(run.record, folder=run.folder) for run in found])
    return labelled.unsaid(runs) if made == [run.label for run in found] else []


def _blocks(same: Sequence[Found], colours: Colours) -> list[Block]:
    part = "test" if any("test" in run.metrics for run in same) else "val"
    known = metrics_of(same, part)
    main = [name for name in known if name in PREFERRED] or known[:4]
    blocks: list[Block] = []
    if part == "val":
        blocks.append(Words("These runs were judged on validation alone; nothing below is of test.", "loud"))
    compared, problem = _compared(same, part, main)
    numbers = _of_comparison(compared) if compared else _summed_up(same, part, main)
    blocks += [Words(f"Nothing could be tested. {problem}", "loud")] if problem else []
    blocks += [Words(remark) for remark in (compared.remarks if compared else ())]
    blocks.append(_table(PARTS[part].capitalize(), numbers, main))
    figures = tuple(_bars(part, name, numbers[name], colours) for name in DRAWN if numbers.get(name))
    blocks += [Figures(figures)] if figures else []
    blocks += _tests(compared.tests, standing=_standing(numbers, main)) if compared else []
    for one in dict.fromkeys((part, "val")):
        blocks += _all_metrics(same, one)
    return blocks


def _all_metrics(same: Sequence[Found], part: str) -> list[Table]:
    """Every metric of a part, a table a cut-off."""
    known = metrics_of(same, part)
    cutoffs = sorted({name.rpartition("@")[2] for name in known}, key=lambda cutoff: (len(cutoff), cutoff))
    made = []
    for cutoff in cutoffs:
        names = [name for name in known if name.rpartition("@")[2] == cutoff]
        caption = f"{PARTS[part].capitalize()}: every metric at {cutoff}"
        made.append(_table(caption, _summed_up(same, part, names), names, folded=True))
    return made


def _compared(same: Sequence[Found], part: str, metrics: Sequence[str]) -> tuple[Comparison | None, str]:
    """The comparison, or why there is none."""
    runs = [LabelledRun(run.label, run.folder, run.record) for run in same]
    try:
        return comparison.compare(runs, metrics=metrics, part=Part(part), resamples=RESAMPLES), ""
    except MilkError as error:
        return None, in_place(error, *(run.folder for run in same))


def _of_comparison(compared: Comparison) -> _Numbers:
    found: dict[str, dict[str, _Number]] = {}
    for cell in compared.cells:
        found.setdefault(cell.metric, {})[cell.label] = _Number(cell.mean, cell.sd, cell.n, cell.rank or 0, cell.comparable)
    return {metric: _placed(cells) if any(cell.place for cell in cells.values()) else cells for metric, cells in found.items()}


def _placed(cells: Mapping[str, _Number]) -> dict[str, _Number]:
    """Nobody is the best who is alone."""
    alone = sum(cell.place > 0 for cell in cells.values()) < 2
    return {label: _Number(cell.mean, cell.sd, cell.n, 0 if alone else cell.place, cell.comparable) for label, cell in cells.items()}


def _summed_up(same: Sequence[Found], part: str, metrics: Sequence[str]) -> _Numbers:
    """Means without places, of all metrics alike."""
    found: dict[str, dict[str, _Number]] = {metric: {} for metric in metrics}
    for label, runs in by_label(same).items():
        for metric in metrics:
            if values := measured(runs, part, metric):
                mean, sd = spread(values)
                found[metric][label] = _Number(
                    mean, sd, len({split for split, _ in values}) if len({split for split, _ in values}) > 1 else len(values)
                )
    return found


def _standing(numbers: _Numbers, metrics: Sequence[str]) -> list[str]:
    """Labels in the order of a table: the best of its first metric first, those that are not comparable last."""

    def by(label: str) -> tuple[bool, bool, float, str]:
        mine = [numbers[metric].get(label) for metric in metrics if metric in numbers]
        first = mine[0] if mine else None
        return not all(cell.comparable for cell in mine if cell), first is None, -first.mean if first else 0.0, label

    return sorted({label for cells in numbers.values() for label in cells}, key=by)


def _table(caption: str, numbers: _Numbers, metrics: Sequence[str], *, folded: bool = False) -> Table:
    rows = []
    for label in _standing(numbers, metrics):
        mine = [numbers.get(metric, {}).get(label) for metric in metrics]
        dagger = "" if all(cell.comparable for cell in mine if cell) else " †"
        rows.append([label + dagger, max(cell.n for cell in mine if cell), *(_cell(cell) if cell else None for cell in mine)])
    return table(caption, ["configuration", "n", *metrics], rows, folded=folded)


def _cell(number: _Number) -> Cell:
    return Cell(f"{number.mean:.4f}", PLACES.get(number.place, ""), "" if number.sd is None else f"± {number.sd:.4f}")


def _bars(part: str, metric: str, cells: Mapping[str, _Number], colours: Colours) -> Figure:
    drawn = []
    for label in _standing({metric: cells}, [metric]):
        cell = cells[label]
        said = f"{cell.mean:.4f}" + ("" if cell.sd is None else f" ± {cell.sd:.4f}")
        drawn.append(Bar(label, [(max(cell.mean, 0.0), colours.of(label))], said, cell.sd))
    described = "; ".join(f"{bar.name}: {bar.value}" for bar in drawn)
    numbers = _table(f"{PARTS[part].capitalize()} {metric}", {metric: cells}, [metric], folded=True)
    return bars(drawn, title=f"{PARTS[part].capitalize()} {metric}", description=f"{described}.", x=metric, numbers=numbers)


def _tests(tests: Sequence[Tested], *, standing: Sequence[str]) -> list[Block]:
    """A table a metric; the first is open; rows as they stand above."""
    if not tests:
        return []
    told = (
        "Could the differences be chance? Each configuration against the best, paired by user on the splits and seeds that both have; p values are "
        f"two-sided and corrected for all tests of the table (Holm). Intervals: users drawn again {RESAMPLES} times within each split."
    )
    by_metric: dict[str, list[Tested]] = {}
    for test in sorted(tests, key=lambda test: standing.index(test.label)):
        by_metric.setdefault(test.metric, []).append(test)
    return [Words(told), *(_tested(by_metric[metric], folded=n > 0) for n, metric in enumerate(dict.fromkeys(test.metric for test in tests)))]


def _tested(same: Sequence[Tested], *, folded: bool) -> Table:
    rows = []
    for test in same:
        interval = None if test.low is None or test.high is None else Cell(f"{test.low:+.4f} to {test.high:+.4f}")
        p_values = [_p(value) for value in (test.t_holm, test.wilcoxon_holm, test.splits_t_holm)]
        rows.append([test.label, Cell(f"{test.difference:+.4f}"), interval, test.n_users, *p_values, test.n_splits])
    columns = ["configuration", "difference", "95 % interval", "users", "p (t)", "p (Wilcoxon)", OVER_SPLITS, "splits"]
    if all(test.splits_t is None for test in same):  # which is so of one split
        at = columns.index(OVER_SPLITS)
        rows, columns = [[*row[:at], *row[at + 1 :]] for row in rows], [*columns[:at], *columns[at + 1 :]]
    return table(f"{same[0].metric}: against {same[0].against}", columns, rows, folded=folded)


def _p(value: float | None) -> Cell | None:
    return None if value is None else Cell("< 0.0001" if value < 0.0001 else f"{value:.4f}")
