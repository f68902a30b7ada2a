"""What a comparison found: cells, tests, remarks; as one tidy table too."""

from dataclasses import asdict, dataclass, fields

import polars as pl

from schemas.contracts import Part

Column = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A label in a column.

    Args:
        label: the row.
        dataset: file name of the store.
        setting: of the splits.
        metric: name and cut-off.
        mean: over splits, each the mean of its seeds; over seeds where there is one split.
        sd: standard deviation over the same with divisor n - 1; None where n is 1.
        n: how many splits or seeds.
        low: lower end of the bootstrap interval of the mean over users; None where the metric is none of users.
        high: its upper end.
        rank: 1 for the best of the labels that are comparable; None for one that is not, or where nothing is best.
        over: what mean and deviation are over: splits or seeds.
        comparable: whether the mean is over the splits, and by the profile, of the others.
        lacks: splits of the others that it was not run on.
    """

    label: str
    dataset: str
    setting: str
    metric: str
    mean: float
    sd: float | None
    n: int
    low: float | None
    high: float | None
    rank: int | None
    over: str
    comparable: bool
    lacks: tuple[str, ...] = ()

    @property
    def column(self) -> Column:
        """Dataset, setting and metric."""
        return self.dataset, self.setting, self.metric


@dataclass(frozen=True, slots=True)
class Test:
    """A label against another in a column, on the splits that both have, there on the seeds that both have, if any.

    Args:
        label: the one.
        against: the other.
        dataset: see `Cell`.
        setting: see `Cell`.
        metric: see `Cell`.
        difference: mean of the one less that of the other: over splits, each the mean over its users.
        low: lower end of its bootstrap interval over users.
        high: its upper end.
        n_users: pairs of users, each of a split, averaged over seeds; 0 where the metric is none of users.
        n_splits: pairs of splits.
        t: p of paired t over users.
        t_holm: the same, corrected for all tests of the column.
        wilcoxon: p of signed ranks over users.
        wilcoxon_holm: the same, corrected.
        splits_t: p of paired t over the means of splits.
        splits_t_holm: the same, corrected.
    """

    label: str
    against: str
    dataset: str
    setting: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    n_users: int
    n_splits: int
    t: float | None
    t_holm: float | None
    wilcoxon: float | None
    wilcoxon_holm: float | None
    splits_t: float | None
    splits_t_holm: float | None

    @property
    def column(self) -> Column:
        """Dataset, setting and metric."""
        return self.dataset, self.setting, self.metric


@dataclass(frozen=True, slots=True)
class Comparison:
    """Labels compared.

    Args:
        part: of the splits, on which they were judged.
        metrics: in the order asked for.
        cells: by dataset, setting, metric and label.
        tests: in the same order.
        remarks: what differs between the rows, or is left out, in words.
        resamples: of the bootstrap; 0 where there was none.
    """

    part: Part
    metrics: tuple[str, ...]
    cells: tuple[Cell, ...]
    tests: tuple[Test, ...]
    remarks: tuple[str, ...]
    resamples: int

    @property
    def labels(self) -> list[str]:
        """Rows, in alphabetical order."""
        return sorted({cell.label for cell in self.cells})

    @property
    def columns(self) -> list[Column]:
        """Datasets, settings, and metrics in the order asked for."""
        return list(dict.fromkeys(cell.column for cell in self.cells))

    def frame(self) -> pl.DataFrame:
        """A row a label and column: every field of the cell, and of its test as `against`, `difference`, `difference_low`, ..., `p_t`, ..."""
        tested = {(test.label, *test.column): _named(test) for test in self.tests}
        rows = [
            {name: value for name, value in asdict(cell).items() if name not in ("low", "high", "lacks")}
            | {"lacks": ",".join(cell.lacks), "ci_low": cell.low, "ci_high": cell.high}
            | tested.get((cell.label, *cell.column), {})
            for cell in self.cells
        ]
        return pl.DataFrame(rows, schema=SCHEMA)


TEXT = ("label", "dataset", "setting", "metric", "over", "lacks", "against")
COUNTS = ("n", "rank", "n_users", "n_splits")
TESTED = {"low": "difference_low", "high": "difference_high"}
P_VALUES = ("t", "t_holm", "wilcoxon", "wilcoxon_holm", "splits_t", "splits_t_holm")


def _named(test: Test) -> dict[str, object]:
    """A test by the names of its columns."""
    told = {TESTED.get(name, f"p_{name}" if name in P_VALUES else name): value for name, value in asdict(test).items()}
    return {name: value for name, value in told.items() if name not in ("label", "dataset", "setting", "metric")}


def _type(name: str) -> type[pl.DataType]:
    return pl.String if name in TEXT else pl.Int64 if name in COUNTS else pl.Boolean if name == "comparable" else pl.Float64


_CELL = [each.name for each in fields(Cell) if each.name not in ("low", "high", "lacks")]
_TEST = [TESTED.get(each.name, f"p_{each.name}" if each.name in P_VALUES else each.name) for each in fields(Test)][1:]
SCHEMA = {name: _type(name) for name in dict.fromkeys([*_CELL, "lacks", "ci_low", "ci_high", *_TEST])}
