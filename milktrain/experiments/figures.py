"""An experiment as a picture, PNG and SVG: means with deviations over repeats, and published values as diamonds where they are known.

Colours are those of Okabe and Ito (2008), which people tell apart who see colours differently; series differ in shape as well.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from milktrain.experiments import results
from milktrain.experiments.carrying_out import Carried
from milktrain.experiments.plan import lines
from schemas import pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
SHAPES = ("o", "s", "^", "v", "D", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
PUBLISHED, INK = "published, on the authors' data", "#222222"
WIDTH, LINES_HEIGHT, ROW_HEIGHT, DPI = 4.6, 2.9, 0.34, 150  # inches of a panel, of a panel of lines, of a row; dots an inch
FILES = ("figure.png", "figure.svg")


def write(carried: Carried) -> list[Path]:
    """Draw an experiment into its folder, each file complete or not there; nothing where no run is finished.

    Args:
        carried: the experiment.

    Returns:
        The files.

    Raises:
        OSError: if a file cannot be written.
    """
    import matplotlib as mpl

    kind = carried.experiment.plan.picture.kind
    frame = {"loss": results.losses, "groups": results.by_missing}.get(kind, results.means)(carried)
    metrics = carried.experiment.plan.picture.metrics or carried.experiment.plan.metrics
    named = [results.LOSS.format(metric=metric) for metric in metrics] if kind == "loss" else metrics
    frame = frame.filter(pl.col("metric").is_in(named))
    if frame.is_empty():
        return []
    files = [carried.experiment.folder / name for name in FILES]
    with mpl.rc_context({"text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 8, "svg.hashsalt": "milk"}):
        draw = _draw_lines if kind == "lines" else _draw_rows
        figure = draw(carried, frame, named)
        for file in files:
            pictures.save(figure, file, dpi=DPI)
    return files


def _draw_rows(carried: Carried, frame: pl.DataFrame, metrics: Sequence[str]) -> Any:  # noqa: ANN401 - a figure of matplotlib
    """A panel a store (and, by group, a setting) and metric; in it the rows of the plan, one above the other."""
    kind = carried.experiment.plan.picture.kind
    series_of = "group" if kind == "groups" else "setting"
    places = frame.select("store", "setting").unique(maintain_order=True).rows() if kind == "groups" else [(s, None) for s in _of(frame, "store")]
    names = [line.name for line in lines(carried.experiment.plan) if line.name in _of(frame, "row")]
    n_series = len(_of(frame, series_of))
    height = max(1.6, ROW_HEIGHT * len(names) * max(1.0, n_series / 2) + 0.9)
    figure, panels = _figure(carried, n_rows=len(places), n_columns=len(metrics), height=height)
    for row, (store, setting) in enumerate(places):
        for column, metric in enumerate(metrics):
            here = frame.filter((pl.col("store") == store) & (pl.col("metric") == metric))
            mine = here.filter(pl.col("setting") == setting) if setting else here
            axes = panels[row][column]
            _rows(axes, mine, names=names, series_of=series_of, bars=kind != "groups")
            axes.set_title(" ".join(each for each in (store, setting) if each), loc="left")
            axes.set_xlabel(f"{metric}, %" if kind == "loss" else metric)
            if column:
                axes.set_yticklabels([])
    _legend(figure, panels)
    return figure


def _rows(axes: "Axes", frame: pl.DataFrame, *, names: Sequence[str], series_of: str, bars: bool) -> None:
    """Rows one above the other, the first on top; of each a bar or point a series."""
    series = _of(frame, series_of)
    thick = 0.8 / max(1, len(series))
    for at, name in enumerate(series):
        mine = {row["row"]: row for row in frame.filter(pl.col(series_of) == name).iter_rows(named=True)}
        shown = [row for row in names if row in mine]
        y = [names.index(row) - 0.4 + thick * (at + 0.5) for row in shown]
        means, sds = [mine[row]["mean"] for row in shown], [_spread(mine[row]["sd"]) for row in shown]
        colour, label = COLOURS[at % len(COLOURS)], _series_name(series_of, name)
        if bars:
            axes.barh(y, means, height=thick, color=colour, hatch=HATCHES[at % len(HATCHES)], edgecolor="white", label=label)
            axes.errorbar(means, y, xerr=sds, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
        else:
            axes.errorbar(means, y, xerr=sds, fmt=SHAPES[at % len(SHAPES)], color=colour, markersize=4, elinewidth=0.8, capsize=2, label=label)
        printed = [(mine[row]["published"], place) for row, place in zip(shown, y, strict=True) if mine[row]["published"] is not None]
        if printed:
            x, places = zip(*printed, strict=True)
            axes.plot(x, places, "D", markerfacecolor="white", markeredgecolor=INK, markersize=4, label=PUBLISHED)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_lines(carried: Carried, frame: pl.DataFrame, metrics: Sequence[str]) -> Any:  # noqa: ANN401 - a figure of matplotlib
    """A panel a store, metric and setting of the model that is varied; a line a setting of losses."""
    varied: dict[str, list[tuple[float, str]]] = {}
    for line in lines(carried.experiment.plan):
        if line.varied and isinstance(line.varied[1], int | float):
            varied.setdefault(line.varied[0], []).append((float(line.varied[1]), line.name))
    places = [(store, metric) for store in _of(frame, "store") for metric in metrics]
    figure, panels = _figure(carried, n_rows=len(places), n_columns=max(1, len(varied)), height=LINES_HEIGHT)
    for row, (store, metric) in enumerate(places):
        mine = frame.filter((pl.col("store") == store) & (pl.col("metric") == metric))
        for column, (name, points) in enumerate(varied.items()):
            axes = panels[row][column]
            _line(axes, mine, points=sorted(points))
            axes.set_title(store, loc="left")
            axes.set_xlabel(name)
            axes.set_ylabel(metric)
    _legend(figure, panels)
    return figure


def _line(axes: "Axes", frame: pl.DataFrame, *, points: Sequence[tuple[float, str]]) -> None:
    for at, setting in enumerate(_of(frame, "setting")):
        mine = {row["row"]: row for row in frame.filter(pl.col("setting") == setting).iter_rows(named=True)}
        shown = [(x, mine[name]) for x, name in points if name in mine]
        x, y, sd = [x for x, _ in shown], [row["mean"] for _, row in shown], [_spread(row["sd"]) for _, row in shown]
        axes.errorbar(x, y, yerr=sd, fmt=f"-{SHAPES[at % len(SHAPES)]}", color=COLOURS[at % len(COLOURS)], markersize=4, capsize=2, label=setting)
    if points[0][0] > 0 and points[-1][0] / points[0][0] >= math.sqrt(1000):
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks([x for x, _ in points], [f"{x:g}" for x, _ in points])
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(carried: Carried, *, n_rows: int, n_columns: int, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(n_columns * WIDTH, n_rows * height + 0.9), layout="constrained")
    figure.suptitle(carried.experiment.plan.title, fontsize=11, fontweight="bold", wrap=True)
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def _legend(figure: Any, panels: Any) -> None:  # noqa: ANN401 - both are matplotlib's own
    """One legend for all panels, below them; none where there is but one thing to tell."""
    known: dict[str, object] = {}
    for axes in panels.flat:
        handles, labels = axes.get_legend_handles_labels()
        known |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in known}
    if len(known) > 1:
        figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=min(len(known), 6), frameon=False)


def _series_name(series_of: str, name: str) -> str:
    if series_of != "group":
        return name
    return "all new items" if name == "all" else f"missing {name}"


def _spread(sd: float | None) -> float:
    """A deviation to be drawn; of one repeat there is none, and nothing is drawn."""
    return math.nan if sd is None else sd


def _of(frame: pl.DataFrame, column: str) -> list[Any]:
    return list(frame[column].unique(maintain_order=True))
