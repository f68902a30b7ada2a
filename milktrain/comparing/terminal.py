"""A comparison for a terminal: short tables, the best first, without rows and columns that hold nothing, and what they mean.

What does not fit is left to the files, which have it all, and is counted: long labels stand as numbers, with a table that says what they are;
of many rows the best are shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from milktrain.comparing import layout
from milktrain.comparing.bootstrap import LEVEL
from milktrain.comparing.layout import DAGGER, Differences, Extra, Layout, Mark
from milktrain.comparing.results import Cell, Comparison
from schemas.wording import counted

#: Rows of a table that are shown where nobody says how many.
MEANS, TESTS = 40, 10
#: Letters of a label that 80 columns have room for beside two metrics, or a test.
LONGEST = 26
#: So many rows want choosing among.
MANY = 12
OVER, SPLITS = "over", "splits"
#: A terminal has room for p values after correction.
HEADS = ("", "gain", "low", "high", "t users", "Wilcoxon", SPLITS, "t splits")
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a terminal shows.

    Args:
        tables: titles and frames: means, a dataset and setting each; tests, a column each; labels that are too long for either.
        notes: what they mean, a sentence each.
    """

    tables: list[tuple[str, pl.DataFrame]]
    notes: list[str]


def show(comparison: Comparison, *, extra: Extra | None = None, order: Sequence[str] = (), most: int | None = None) -> Shown:
    """Tables and notes of a comparison.

    Args:
        comparison: what was found.
        extra: published numbers, which stand last.
        order: labels that stand first, in this order; by default the best of the first metric, those that are not comparable last.
        most: rows of a table; 0 for all, None for `MEANS` and `TESTS`.
    """
    laid = layout.lay_out(comparison, extra=extra, order=order)
    places = list(dict.fromkeys(column[:2] for column in laid.columns))
    standing = {place: [label for label, _ in laid.rows] if order else _standing(comparison, place) for place in places}
    short = _short([*dict.fromkeys(label for place in places for label in standing[place]), *(label for label, _ in laid.extra)])
    means = [_means(comparison, laid, place, standing[place], short) for place in places]
    tests = [
        _of_tests(each, sorted(each.rows, key=_place_of(standing[each.column[:2]])), short) for each in layout.differences(comparison, order=order)
    ]
    cut, notes = [], [*_about_means(comparison, means), *_about_tests(comparison, tests)]
    for what, tables, at_most in (("means", means, MEANS if most is None else most), ("tests", tests, TESTS if most is None else most)):
        longest = max((frame.height for _, frame in tables), default=0)
        cut += [(title, frame.head(at_most or longest)) for title, frame in tables]
        if at_most and longest > at_most:
            notes.append(f"The {'first' if order else 'best'} {at_most} rows of {what} are shown, of up to {longest}: --rows 0 shows all.")
    said = {name for _, frame in cut for name in frame[""]} | {short[test.against] for test in comparison.tests}
    names = [(name, label) for label, name in short.items() if name != label and name in said]
    legend = pl.DataFrame({"": [name for name, _ in names], "label": [label for _, label in names]})
    return Shown([*cut, *([("labels in full", legend)] if names else [])], notes)


def how_to_choose(comparison: Comparison, *, n_runs: int) -> list[str]:
    """How to see less than all, where there is much of it."""
    if len(comparison.labels) <= MANY:
        return []
    return [
        f"{counted(n_runs, 'run')} in {counted(len(comparison.labels), 'row')}. To choose: --run NAME keeps those whose names begin so "
        "(`python cli.py runs` lists them), --experiment FOLDER those of an experiment; --by SETTING says what rows are."
    ]  # fmt: skip


def _standing(comparison: Comparison, place: Place) -> list[str]:
    """Labels of a dataset and setting, the best of its first metric first; where nothing is best by the alphabet."""
    first = next((column for column in comparison.columns if column[:2] == place), None)
    cells = {cell.label: cell for cell in comparison.cells if cell.column == first}
    ranked = any(cell.rank for cell in cells.values())

    def by(label: str) -> tuple[bool, bool, float, str]:
        cell = cells.get(label)
        return cell is None, cell is not None and not cell.comparable, -cell.mean if cell and ranked else 0.0, label

    return sorted(comparison.labels, key=by)


def _place_of(standing: Sequence[str]) -> Callable[[Sequence[str]], int]:
    at = {label: number for number, label in enumerate(standing)}
    return lambda row: at[row[0]]


def _means(comparison: Comparison, laid: Layout, place: Place, standing: Sequence[str], short: Mapping[str, str]) -> tuple[str, pl.DataFrame]:
    """Means of a dataset and setting, of labels that have any there."""
    at = [number for number, column in enumerate(laid.columns) if column[:2] == place]
    rows = dict((*laid.rows, *laid.extra))
    labels = [label for label in (*standing, *(label for label, _ in laid.extra)) if any(rows[label][each] for each in at)]
    over = _over(comparison, place)
    counts = {OVER: [over.get(label, "") for label in labels]} if len(set(over.values())) > 1 else {}
    texts = {layout.heading(laid.columns[each])[1]: [_plain(rows[label][each]) for label in labels] for each in at}
    return layout.heading((*place, ""))[0], pl.DataFrame({"": [short[label] for label in labels]} | counts | texts)


def _of_tests(tests: Differences, rows: Sequence[Sequence[str]], short: Mapping[str, str]) -> tuple[str, pl.DataFrame]:
    """Tests as a frame; how many splits they are over is in the title where it is the same for all."""
    title = f"{tests.title}, against {short[tests.against]}"
    texts = [
        [short[label], gain, *(between.split(" to ") if between else ("", "")), t, ranks, n, over]
        for label, gain, between, _, _, t, _, ranks, n, _, over in rows
    ]
    frame = pl.DataFrame(texts, schema=dict.fromkeys(HEADS, pl.String), orient="row")
    frame = frame.select("", *(name for name in HEADS[1:] if (frame[name] != "").any()))
    n_splits = frame[SPLITS].unique().to_list()
    if len(n_splits) == 1:
        return f"{title}, on {counted(int(n_splits[0]), 'split')}", frame.drop(SPLITS)
    return title, frame


def _over(comparison: Comparison, place: Place) -> dict[str, str]:
    """Of each label over how many splits its means are, or seeds of one."""

    def told(cell: Cell) -> str:
        return counted(cell.n, "split" if cell.n == 1 or cell.over == SPLITS else "seed")

    return {cell.label: told(cell) for cell in comparison.cells if cell.column[:2] == place}


def _short(labels: Sequence[str]) -> dict[str, str]:
    """What labels are called in tables: long ones by the model and a number."""
    found: dict[str, str] = {}
    for label in labels:
        n_long = sum(len(each) > LONGEST for each in found)
        found[label] = label if len(label) <= LONGEST else f"{label.partition(' (')[0][: LONGEST - 6]} [{n_long + 1}]"
    return found


def _about_means(comparison: Comparison, means: Sequence[tuple[str, pl.DataFrame]]) -> list[str]:
    said = layout.caption(comparison, marks="the best has *, the second '")
    if any(OVER in frame.columns for _, frame in means):
        said[0] = f"Mean and standard deviation (divisor n - 1) on {comparison.part}, over the splits, or seeds of one split, that stand in `{OVER}`."
    return said


def _about_tests(comparison: Comparison, tests: Sequence[tuple[str, pl.DataFrame]]) -> list[str]:
    if not tests:
        return []
    columns = {name for _, frame in tests for name in frame.columns}
    drawn = f"; low, high: its {LEVEL:.0%} interval, with users drawn again {comparison.resamples} times in each split"
    of_splits = (
        "t splits: over splits, which speaks for other items."
        if "t splits" in columns
        else "Each test is on one split, and says nothing of other items."
    )
    return [
        f"gain: the row less what it is tested against, on the splits that both have{drawn if 'low' in columns else ''}.",
        "t users, Wilcoxon: two-sided p values over users, corrected for all tests of the column (Holm); the other formats have those before it too. "
        f"Users of a split wait for the same new items, so p over users is too small. {of_splits}",
    ]


def _plain(mark: Mark | None) -> str:
    return "" if mark is None else f"{mark.text}{('', '*', chr(39))[mark.place]}{DAGGER * mark.dagger}"
