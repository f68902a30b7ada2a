"""Users one by one: how a metric is spread over them, and how many get nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milktrain.page.blocks import Block, Cell, Figure, Figures, Section, Words, table
from milktrain.page.charts import Axes, Series, lines
from milktrain.page.palette import Colours
from milktrain.page.reading import Found, by_context, by_label, in_place, in_words, spread

METRICS = ("recall@20", "ndcg@20")
FILE = "users_test.parquet"
#: Values above which users are counted.
GRID = tuple(n / 20 for n in range(21))
QUANTILES = (0.9, 0.95, 0.99)
#: Values are Float32: one that is a value of the grid may lie beside it by this.
ROUNDING = 1e-6
#: Runs that are named whose users cannot be read.
NAMED = 5


@dataclass(frozen=True, slots=True)
class _Spread:
    """Of one run and metric: users, the share of them above each value of the grid, the mean of those above 0, and quantiles of all."""

    n_users: int
    above: tuple[float, ...]
    mean_above: float
    quantiles: tuple[float, ...]


def section(found: Sequence[Found], colours: Colours) -> Section:
    """The distribution of metrics over test users, by configuration."""
    inside: list[Section] = []
    said: list[str] = []
    for context, same in by_context(found):
        spreads: dict[str, dict[str, _Spread]] = {}
        for run in same:
            try:
                spreads[run.name] = _read(run.folder / FILE)
            except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                said.append(f"{run.name} has no metrics of single users: {in_place(error, run.folder)}")
        if blocks := _blocks([run for run in same if spreads.get(run.name)], spreads, colours):
            inside.append(Section(f"users-{len(inside) + 1}", in_words(context), blocks))
    told = (
        "The share of test users with more than the value on the axis, counted in each run and averaged over repeats. At 0: users who get anything."
    )
    said = [*said[:NAMED], *([f"The same goes for {len(said) - NAMED} more runs."] if len(said) > NAMED else [])]
    return Section(
        "users", "Users", [Words(told if inside else "No run has metrics of single users."), *(Words(each, "loud") for each in said)], inside
    )


def _read(file: Path) -> dict[str, _Spread]:
    """The spread of each metric; one column is in memory at a time."""
    names = set(pl.read_parquet_schema(file))
    found = {}
    for metric in METRICS:
        if metric in names:
            values = pl.read_parquet(file, columns=[metric])[metric].cast(pl.Float64).drop_nulls().drop_nans()
            if len(values):
                above = tuple(float((values > value + ROUNDING).sum()) / len(values) for value in GRID)
                quantiles = tuple(float(values.quantile(q, "linear") or 0.0) for q in QUANTILES)
                found[metric] = _Spread(len(values), above, _mean(values.filter(values > ROUNDING)), quantiles)
    return found


def _mean(values: pl.Series) -> float:
    return math.fsum(values) / len(values) if len(values) else 0.0


def _blocks(same: Sequence[Found], spreads: dict[str, dict[str, _Spread]], colours: Colours) -> list[Block]:
    figures: list[Figure] = []
    tables: list[Block] = []
    for metric in METRICS:
        labelled = by_label([run for run in same if metric in spreads[run.name]])
        if not labelled:
            continue
        series, rows = [], []
        for label, runs in colours.ordered(labelled).items():
            each = [(run.split, spreads[run.name][metric]) for run in runs]
            above = [spread([(split, one.above[n]) for split, one in each])[0] for n in range(len(GRID))]
            rows.append([label, len(runs), *_row(each)])
            series.append(Series(label, list(zip(GRID, above, strict=True)), colours.of(label)))
        drawn = series[: len(colours.drawn(labelled))]
        described = "Share of users who get anything: " + "; ".join(f"{line.name} {100 * line.points[0][1]:.1f} %" for line in drawn) + "."
        axes = Axes(metric, "share of users with more than that", from_zero=True)
        figures.append(lines(drawn, title=f"{metric} of users", description=described, axes=axes, step=True))
        columns = [
            "configuration",
            "runs",
            "users a run",
            "with nothing",
            "mean of the others",
            *(f"{100 * q:.0f} % have at most" for q in QUANTILES),
        ]
        tables.append(table(f"{metric} of users: means over runs", columns, rows, folded=bool(tables)))
    return [Figures(tuple(figures)), *tables] if figures else []


def _row(each: Sequence[tuple[str, _Spread]]) -> list[object]:
    zero, sd = spread([(split, 1 - one.above[0]) for split, one in each])
    users, others = (
        spread([(split, value(one)) for split, one in each])[0] for value in (lambda one: float(one.n_users), lambda one: one.mean_above)
    )
    quantiles = [spread([(split, one.quantiles[n]) for split, one in each])[0] for n in range(len(QUANTILES))]
    return [round(users), Cell(f"{100 * zero:.1f} %", note="" if sd is None else f"± {100 * sd:.1f}"), others, *quantiles]
