"""A sweep as a picture: the trials in their order, and each setting against what it led to.

Colours are those of Okabe and Ito (2008), which people tell apart who see colours differently.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from milktrain.sweeping.space import Dimension
from schemas import pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from milktrain.sweeping.records import Trial
    from milktrain.sweeping.study import Plan, Sweep

TRIAL, BEST = "#0072B2", "#D55E00"
COLUMNS, PANEL, DPI = 3, (3.6, 2.7), 150  # panels in a row; inches; dots an inch


def write(found: "Sweep", *, plan: "Plan", png: Path) -> None:
    """Draw a sweep into a file, which is complete or not there; one that is there is overwritten.

    Args:
        found: the trials; those that are not complete are left out.
        plan: what was searched.
        png: the file.

    Raises:
        OSError: if the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    complete = [trial for trial in found.trials if trial.value is not None]
    n_rows = math.ceil((len(plan.space.dimensions) + 1) / COLUMNS)
    with mpl.rc_context({"text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(COLUMNS * PANEL[0], n_rows * PANEL[1] + 0.4), layout="constrained")
        figure.suptitle(f"{plan.metric} on validation of {', '.join(plan.splits)}", fontsize=11, fontweight="bold", wrap=True)
        panels = figure.subplots(n_rows, COLUMNS, squeeze=False).flat
        _draw_order(next(panels), complete)
        for each in plan.space.dimensions:
            _draw_setting(next(panels), each, [trial for trial in complete if each.name in trial.settings], best=found.best[:1])
        for left in panels:
            left.set_axis_off()
        pictures.save(figure, png, dpi=DPI)


def _draw_order(axes: "Axes", complete: "Sequence[Trial]") -> None:
    """Values in the order of the trials, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    numbers, values = [trial.number for trial in complete], [trial.value or 0.0 for trial in complete]
    axes.plot(numbers, values, "o", color=TRIAL, markersize=4)
    axes.step(numbers, [max(values[: n + 1]) for n in range(len(values))], where="post", color=BEST, linewidth=1)
    axes.set_title("in order, with the best so far", loc="left")
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_setting(axes: "Axes", each: Dimension, trials: "Sequence[Trial]", *, best: "Sequence[Trial]") -> None:
    """Values by what one setting was, the best trial in a colour of its own."""
    places = [each.choices.index(trial.settings[each.name]) if each.choices else trial.settings[each.name] for trial in trials]
    axes.scatter(places, [trial.value for trial in trials], s=16, c=[BEST if trial in best else TRIAL for trial in trials])  # type: ignore[arg-type] # values are numbers here
    axes.set_title(each.name, loc="left")
    if each.choices:
        axes.set_xticks(range(len(each.choices)), [str(choice) for choice in each.choices], rotation=20)
        axes.set_xlim(-0.5, len(each.choices) - 0.5)
        return
    if each.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    middle = math.sqrt(each.low * each.high) if each.log else (each.low + each.high) / 2
    ticks = (each.low, middle, each.high)  # the whole range, so that its edges are seen
    axes.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
