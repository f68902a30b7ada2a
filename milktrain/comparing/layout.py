"""A comparison as rows and columns of text, before any format: which label is where, what is marked, what the caption says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milktrain.comparing.bootstrap import LEVEL
from milktrain.comparing.panels import as_rows
from milktrain.comparing.results import Cell, Column, Comparison, Test
from schemas.errors import BadValue

#: Published numbers to be shown beside ours: value by column, by label.
Extra = Mapping[str, Mapping[Column, float]]
DAGGER = "†"
PLACES = 4


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell to be written.

    Args:
        text: mean, and deviation where there is one.
        place: 1 for the best, 2 for the second, 0 for all others.
        dagger: whether it is over other splits, or by another profile, than the others.
    """

    text: str
    place: int = 0
    dagger: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A table to be written.

    Args:
        columns: in order.
        rows: labels and their cells, one a column; None where there is no number.
        extra: the same for numbers that are not ours; they are never marked.
    """

    columns: Sequence[Column]
    rows: Sequence[tuple[str, Sequence[Mark | None]]]
    extra: Sequence[tuple[str, Sequence[Mark | None]]]


def lay_out(comparison: Comparison, *, extra: Extra | None = None, order: Sequence[str] = ()) -> Layout:
    """The cells of a comparison in rows and columns.

    Args:
        comparison: what was found.
        extra: published numbers; columns that we have none for are added.
        order: labels that stand first, in this order; others follow by the alphabet.

    Raises:
        BadValue: if a label of `extra` is one of ours.
    """
    theirs = extra or {}
    if both := sorted(set(theirs) & set(comparison.labels)):
        raise BadValue(f"{both[0]!r} is a row of our own. Give the published numbers another label.")
    named = dict.fromkeys([*comparison.columns, *(column for row in theirs.values() for column in row)])
    places = dict.fromkeys(column[:2] for column in named)
    columns = [column for place in places for column in named if column[:2] == place]
    found = {(cell.label, cell.column): cell for cell in comparison.cells}
    best = _places(comparison)
    rows = [(label, [_mark(found.get((label, column)), best) for column in columns]) for label in _rows(comparison, order)]
    published = [(label, [Mark(f"{row[column]:.{PLACES}f}") if column in row else None for column in columns]) for label, row in theirs.items()]
    return Layout(columns, rows, published)


def heading(column: Column) -> tuple[str, str]:
    """Of a column what stands above several metrics, and the metric: `tiktok ftmt`, `Recall@20`."""
    dataset, setting, metric = column
    name, at, cutoff = metric.partition("@")
    shown = name.capitalize() if name in ("recall", "precision", "hit", "coverage", "gini") else name.upper()
    return f"{dataset.removesuffix('.duckdb')} {setting.upper()}", f"{shown}{at}{cutoff}"


@dataclass(frozen=True, slots=True)
class Differences:
    """The tests of one column against one label, as text.

    Args:
        column: whose tests.
        title: the column.
        against: which row.
        rows: in each a label, and a text a heading of `HEADINGS`.
    """

    column: Column
    title: str
    against: str
    rows: Sequence[Sequence[str]]


#: Headings of tests, after that of the row.
HEADINGS = ("difference", f"{LEVEL:.0%} interval", "users", "t", "Holm", "Wilcoxon", "Holm", "splits", "t", "Holm")


def differences(comparison: Comparison, *, order: Sequence[str] = ()) -> list[Differences]:
    """The tests, those against one label in one column together; rows in the order of the table's."""
    at = {label: number for number, label in enumerate(_rows(comparison, order))}
    groups: dict[tuple[Column, str], list[Test]] = {}
    for test in comparison.tests:
        groups.setdefault((test.column, test.against), []).append(test)
    return [
        Differences(column, " ".join(heading(column)), against, [_test(test) for test in sorted(mine, key=lambda test: at[test.label])])
        for (column, against), mine in groups.items()
    ]


def caption(comparison: Comparison, *, marks: str) -> list[str]:
    """What the numbers are, a sentence each.

    Args:
        comparison: what was found.
        marks: how best and second are marked, as a clause.
    """
    said = [f"Mean and standard deviation (divisor n - 1) on {comparison.part}: {_over(comparison)}."]
    if len(comparison.labels) > 1 and any(cell.rank for cell in comparison.cells):
        said.append(f"Of each column {marks}.")
    return said + list(comparison.remarks)


def about_tests(comparison: Comparison) -> list[str]:
    """What the numbers of the tests are, a sentence each; none where nothing was tested."""
    if not comparison.tests:
        return []
    drawn = f"The {LEVEL:.0%} interval is of the difference, with users drawn again {comparison.resamples} times in each split."
    return [
        "Difference: the row less what it is tested against, on the splits that both have. p values are two-sided.",
        *([drawn] if comparison.resamples else []),
        "t and Wilcoxon are over users (of all splits, averaged over seeds), the last t over splits; Holm: corrected for all tests of the column.",
        "Users of a split wait for the same new items and are not independent: p over users is too small, p over splits speaks for other items.",
    ]


def p_text(p: float | None) -> str:
    """A p value in three decimals.

    Example:
        >>> p_text(0.0426), p_text(1e-7), p_text(None)
        ('.043', '<.001', '')
    """
    if p is None:
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _rows(comparison: Comparison, order: Sequence[str]) -> list[str]:
    return [label for label in dict.fromkeys([*order, *comparison.labels]) if label in comparison.labels]


def _test(test: Test) -> list[str]:
    between = "" if test.low is None or test.high is None else f"{test.low:+.{PLACES}f} to {test.high:+.{PLACES}f}"
    of_users = [str(test.n_users), p_text(test.t), p_text(test.t_holm), p_text(test.wilcoxon), p_text(test.wilcoxon_holm)]
    return [test.label, f"{test.difference:+.{PLACES}f}", between, *of_users, str(test.n_splits), p_text(test.splits_t), p_text(test.splits_t_holm)]


def _mark(cell: Cell | None, places: Mapping[tuple[str, Column], int]) -> Mark | None:
    if cell is None:
        return None
    spread = "" if cell.sd is None else f" ± {cell.sd:.{PLACES}f}"
    return Mark(f"{cell.mean:.{PLACES}f}{spread}", places.get((cell.label, cell.column), 0), not cell.comparable)


def _places(comparison: Comparison) -> dict[tuple[str, Column], int]:
    """First and second of each column where there are several to choose from; several that are equal are all first."""
    ranked = [cell for cell in comparison.cells if cell.rank]
    several = {column for column in comparison.columns if sum(cell.column == column for cell in ranked) > 1}
    return {(cell.label, cell.column): cell.rank for cell in ranked if cell.rank and cell.rank <= 2 and cell.column in several}


def _over(comparison: Comparison) -> str:
    """Over how many splits or seeds, one clause where all cells agree, else by column and label."""
    counts = {cell: f"n = {cell.n} {cell.over if cell.n > 1 else cell.over[:-1]}" for cell in comparison.cells}
    if len(set(counts.values())) == 1:
        return next(iter(counts.values()))
    clauses: dict[str, list[str]] = {}
    for cell, count in counts.items():
        clauses.setdefault(count, []).append(f"{cell.label} ({heading(cell.column)[0]})")
    usual = max(clauses, key=lambda count: len(clauses[count]))
    others = [f"{count} of {as_rows(list(dict.fromkeys(named)))}" for count, named in clauses.items() if count != usual]
    return f"{usual}, but {'; '.join(others)}"
