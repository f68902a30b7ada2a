"""Coverage as a picture.

Colours are those of Okabe and Ito (2008), which people tell apart who see colours differently; what was lost is hatched besides.
A text from the store is drawn as it is: never as a formula.
"""

import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from milkprep.inspection.coverage import Coverage, printable
from schemas import pictures
from schemas.contracts import Modality

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from matplotlib.axes import Axes

COLOURS = {Modality.VISUAL: "#0072B2", Modality.TEXT: "#E69F00", Modality.AUDIO: "#009E73"}
SEVERAL, NOTHING = "#56B4E9", "#BBBBBB"
MOST_REASONS = 5  # of a modality
LABEL_COLUMNS, LABEL_LINES = 46, 2
WIDTH, BAR_HEIGHT, PANEL_HEIGHT, DPI = 9.0, 0.29, 0.75, 150  # inches, and dots an inch


def write(coverage: Coverage, png: Path, *, title: str) -> None:
    """Draw the coverage into a file, which is complete or not there; one that is there is overwritten.

    Args:
        coverage: the counts.
        png: the file.
        title: of the picture.

    Raises:
        OSError: if the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = [_draw_modalities, _draw_combinations, _draw_reasons, *([_draw_split] if coverage.split else [])]
    with mpl.rc_context({"text.parse_math": False, "font.family": "DejaVu Sans", "hatch.linewidth": 0.6}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # a reason may hold any script; it is drawn as boxes
        heights = [BAR_HEIGHT * n + PANEL_HEIGHT for n in _bars(coverage)]
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.4), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.08))
        figure.suptitle(_label(title), fontsize=11, fontweight="bold")
        axes = figure.subplots(len(panels), 1, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
        for draw, each in zip(panels, axes, strict=True):
            draw(each, coverage)
        pictures.save(figure, png, dpi=DPI)


def _bars(coverage: Coverage) -> list[int]:
    """Bars in each panel."""
    counts = [coverage.modalities.height, coverage.combinations.height, max(1, _shown_reasons(coverage).height)]
    return [*counts, coverage.split.parts.height] if coverage.split else counts


def _draw_modalities(axes: "Axes", coverage: Coverage) -> None:
    rows = coverage.modalities
    labels = [
        f"{row['modality']}\n{row['encoder'] or 'no vectors'}{' (random weights)' if row['weights'] == 'random' else ''}"
        for row in rows.iter_rows(named=True)
    ]
    stack = [_Layer(rows["has"], _colours(rows), "has a vector"), _Layer(rows["lacks"], NOTHING, "has none")]
    _draw_bars(axes, labels, stack, wholes=[coverage.n_items] * rows.height, title="Items by modality")


def _draw_combinations(axes: "Axes", coverage: Coverage) -> None:
    rows = coverage.combinations
    colours = []
    for row in rows.select(*Modality).iter_rows():
        there = [modality for modality, has in zip(Modality, row, strict=True) if has]
        colours.append(NOTHING if not there else COLOURS[there[0]] if len(there) == 1 else SEVERAL)
    wholes = [coverage.n_items] * rows.height
    _draw_bars(axes, rows["combination"].to_list(), [_Layer(rows["items"], colours)], wholes=wholes, title="Items by combination of modalities")


def _draw_reasons(axes: "Axes", coverage: Coverage) -> None:
    rows = _shown_reasons(coverage)
    if not rows.height:
        axes.set_axis_off()
        axes.set_title("No item lacks a modality", loc="left", fontsize=10)
        return
    labels = [f"{modality}: {reason}" for modality, reason in rows.select("modality", "reason").iter_rows()]
    wholes = [max(rows["items"])] * rows.height  # a scale of its own, for most reasons are rare
    _draw_bars(
        axes, labels, [_Layer(rows["items"], _colours(rows))], wholes=wholes, title="Why items lack a modality (longest bar: the most frequent)"
    )


def _draw_split(axes: "Axes", coverage: Coverage) -> None:
    assert coverage.split
    rows = coverage.split.parts
    labels = [f"{part}: {modality}" for part, modality in rows.select("part", "modality").iter_rows()]
    never = _Layer(rows["items"] - rows["present"], NOTHING, "never there")
    stack = [_Layer(rows["left"], _colours(rows), "left"), _Layer(rows["lost"], "white", "lost", hatch="////"), never]
    stale = "" if coverage.split.agrees else ", drawn from another availability than that above"
    title = f"Split {coverage.split.name} ({coverage.split.setting}){stale}"
    _draw_bars(axes, labels, stack, wholes=rows["items"].to_list(), title=title)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One kind of items in every bar: how many, in which colour, and the word for it."""

    counts: "pl.Series"
    colours: "str | Sequence[str]"
    word: str = ""
    hatch: str = ""


def _draw_bars(axes: "Axes", labels: "Sequence[str]", stack: "Sequence[_Layer]", *, wholes: "Sequence[int]", title: str) -> None:
    """Horizontal bars, the first on top, each as a share of its whole, with its counts beside it."""
    places, start = range(len(labels)), [0.0] * len(labels)
    for layer in stack:
        shares = [count / max(whole, 1) for count, whole in zip(layer.counts, wholes, strict=True)]
        edge = "#444444" if layer.hatch else "none"
        axes.barh(places, shares, left=start, color=layer.colours, hatch=layer.hatch, edgecolor=edge, linewidth=0.5, height=0.7)
        start = [a + b for a, b in zip(start, shares, strict=True)]
    for place, counts in enumerate(zip(*(layer.counts for layer in stack), strict=True)):
        axes.text(start[place] + 0.01, place, " / ".join(f"{n:,}" for n in counts), va="center", fontsize=8)
    axes.set_yticks(places, [_label(label) for label in labels], fontsize=8)
    axes.set_xlim(0, 1.12 + 0.08 * len(stack))
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    words = " / ".join(layer.word for layer in stack if layer.word)
    axes.set_title(f"{title}{': ' if words else ''}{words}", loc="left", fontsize=10)


def _colours(rows: "pl.DataFrame") -> list[str]:
    return [COLOURS[Modality(name)] for name in rows["modality"]]


def _shown_reasons(coverage: Coverage) -> "pl.DataFrame":
    return coverage.reasons.group_by("modality", maintain_order=True).head(MOST_REASONS)


def _label(text: str) -> str:
    """A text on a few short lines."""
    lines = []
    for piece in text.split("\n"):
        lines += textwrap.wrap(printable(piece), LABEL_COLUMNS, max_lines=LABEL_LINES, placeholder=" …") or [""]
    return "\n".join(lines)
