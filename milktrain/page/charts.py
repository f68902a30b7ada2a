"""Charts as shapes of SVG: lines and steps over a number, and bars by name.

Shapes carry classes, not colours, so that the page's style decides on them in light and dark; positions are rounded to a tenth, so that
the same numbers are the same bytes. Nothing depends on colour alone: series differ in their marks and dashes too, and the numbers are
in a table with each chart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from milktrain.page.blocks import NOTHING, Cell, Figure, Shape, Table, text
from milktrain.page.scales import Scale, fitted, thinned, tidy

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 8, 20  # margins around what is drawn
ROW, THICK = 34, 10  # a bar with its name above it; the bar alone
LONGEST_BAR = 205  # what is to the right of it is for the value
#: Colours there are; further series begin again with other dashes.
COLOURS = 8
#: Points up to which each has a mark, and marks of longer lines; bars that are drawn.
MOST_MARKS, FEW_MARKS, MOST_BARS, LONGEST_NAME = 16, 8, 24, 50
RADIUS = 2.6


@dataclass(frozen=True, slots=True)
class Series:
    """One line.

    Args:
        name: in the legend.
        points: (x, y), in the order of x; none or more.
        colour: its number; the same for the same thing on all charts.
        deviations: of each point, drawn as whiskers; empty for none.
        ringed: positions of points to point out.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    deviations: Sequence[float | None] = ()
    ringed: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, of one or several lengths end to end.

    Args:
        name: above it.
        lengths: not negative, with the number of their colour.
        value: in words, at its right.
        deviation: drawn as a whisker at its end; None for none.
    """

    name: str
    lengths: Sequence[tuple[float, int]]
    value: str
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """How lines are laid out.

    Args:
        x: what lies along it.
        y: likewise.
        log_x: by powers of ten where values allow.
        whole_x: there is nothing between whole numbers.
        log_y: likewise.
        from_zero: the vertical axis begins at 0.
        top: least upper end of the vertical axis, for charts that are compared.
    """

    x: str
    y: str
    log_x: bool = False
    whole_x: bool = False
    log_y: bool = False
    from_zero: bool = False
    top: float | None = None


def lines(series: Sequence[Series], *, title: str, description: str, axes: Axes, step: bool = False) -> Figure:
    """A chart of lines.

    Args:
        series: the lines; those without points are in the legend and the table alone.
        title: of the chart.
        description: in words.
        axes: what they are and how they are laid out.
        step: values hold from their point to the next.
    """
    x = fitted([point[0] for each in series for point in each.points], log=axes.log_x, whole=axes.whole_x)
    ends = [value for each in series for value in _ends(each)]
    y = fitted([*ends, *([axes.top] if axes.top is not None else [])], log=axes.log_y, from_zero=axes.from_zero)
    shapes = [*_grid(x, y)]
    for each in series:
        shapes += _line(each, x, y, step=step)
    legend = tuple((each.name, each.colour) for each in series)
    numbers = _numbers(series, caption=title, x=axes.x)
    return Figure(title, description, WIDTH, HEIGHT, tuple(shapes), axes.x, axes.y, legend, numbers)


def bars(rows: Sequence[Bar], *, title: str, description: str, x: str, numbers: Table, legend: Sequence[tuple[str, int]] = ()) -> Figure:
    """A chart of horizontal bars, each with its name above and its value beside it; of many, the first, and the title says so.

    Args:
        rows: the bars.
        title: of the chart.
        description: in words.
        x: what their length is.
        numbers: the table of what is drawn.
        legend: what the colours are, where they say something.
    """
    drawn = rows[:MOST_BARS]
    scale = fitted([sum(length for length, _ in bar.lengths) + (bar.deviation or 0.0) for bar in drawn], from_zero=True)
    height = ROW * max(len(drawn), 1) + BOTTOM
    shapes: list[Shape] = []
    for value in scale.ticks:
        at = _tenth(4 + scale.at(value) * LONGEST_BAR)
        shapes.append(Shape("path", {"class": "grid", "d": f"M{at} 0V{height - BOTTOM}"}))
        anchor = "start" if value == scale.low else "middle"
        shapes.append(Shape("text", {"x": at, "y": str(height - 6), "text-anchor": anchor}, tidy(value)))
    for n, bar in enumerate(drawn):
        shapes += _bar(bar, scale, top=n * ROW)
    called = title if len(drawn) == len(rows) else f"{title}: {len(drawn)} of {len(rows)}"
    return Figure(called, description, WIDTH, height, tuple(shapes), x, "", tuple(legend), numbers)


def _bar(bar: Bar, scale: Scale, *, top: int) -> list[Shape]:
    half = LONGEST_NAME // 2  # long names often begin alike
    name = bar.name if len(bar.name) <= LONGEST_NAME else f"{bar.name[:half]}…{bar.name[1 + half - LONGEST_NAME :]}"
    shapes = [
        Shape("text", {"class": "name", "x": "4", "y": str(top + 13)}, name),
        Shape("text", {"class": "name", "x": str(WIDTH - 4), "y": str(top + 27), "text-anchor": "end"}, bar.value),
    ]
    begin = 0.0
    for length, colour in bar.lengths:
        left, right = (4 + scale.at(value) * LONGEST_BAR for value in (begin, begin + length))
        where = {"x": _tenth(left), "y": str(top + 18), "width": _tenth(max(right - left, 0.5 if length else 0)), "height": str(THICK)}
        shapes.append(Shape("rect", {"class": f"fill c{colour % COLOURS}"} | where))
        begin += length
    if bar.deviation:
        low, high = (_tenth(4 + scale.at(value) * LONGEST_BAR) for value in (begin - bar.deviation, begin + bar.deviation))
        middle = top + 18 + THICK / 2
        ends = f"M{low} {middle - 3:g}v6M{high} {middle - 3:g}v6"
        shapes.append(Shape("path", {"class": "whisker", "d": f"M{low} {middle:g}H{high}{ends}"}))
    return shapes


def _grid(x: Scale, y: Scale) -> list[Shape]:
    shapes = []
    for value in y.ticks:
        at = _down(y, value)
        shapes.append(Shape("path", {"class": "grid", "d": f"M{LEFT} {at}H{WIDTH - RIGHT}"}))
        shapes.append(Shape("text", {"x": str(LEFT - 5), "y": _tenth(float(at) + 4), "text-anchor": "end"}, tidy(value)))
    for value in x.ticks:
        at = _along(x, value)
        shapes.append(Shape("path", {"class": "tick", "d": f"M{at} {HEIGHT - BOTTOM}v4"}))
        anchor = "end" if value == x.ticks[-1] else "middle"
        shapes.append(
            Shape("text", {"x": _tenth(float(at) + (6 if anchor == "end" else 0)), "y": str(HEIGHT - 4), "text-anchor": anchor}, tidy(value))
        )
    return shapes


def _line(series: Series, x: Scale, y: Scale, *, step: bool) -> list[Shape]:
    at = [(_along(x, point[0]), _down(y, point[1])) for point in series.points]
    shade = f"c{series.colour % COLOURS}"
    shapes = []
    if len(at) > 1:
        follow = [f"H{left}V{top}" if step else f"L{left} {top}" for left, top in at[1:]]
        dash = f" dash{series.colour // COLOURS % 3}" if series.colour >= COLOURS else ""
        shapes.append(Shape("path", {"class": f"line {shade}{dash}", "d": f"M{at[0][0]} {at[0][1]}{''.join(follow)}"}))
    for (left, _), (_, value), deviation in zip(at, series.points, series.deviations or [None] * len(at), strict=True):
        if deviation:
            shapes.append(Shape("path", {"class": f"line thin {shade}", "d": f"M{left} {_down(y, value - deviation)}V{_down(y, value + deviation)}"}))
    marked, _ = thinned(at, most=MOST_MARKS if len(at) <= MOST_MARKS else FEW_MARKS)
    shapes += [Shape("path", {"class": f"mark {shade}", "d": mark(series.colour, float(left), float(top))}) for left, top in marked]
    shapes += [Shape("circle", {"class": f"ring {shade}", "cx": at[n][0], "cy": at[n][1], "r": "5"}) for n in series.ringed]
    return shapes


def mark(colour: int, left: float, top: float) -> str:
    """The outline of a series' mark: a disc, a square, a triangle or a diamond, by the number of its colour."""
    r = RADIUS
    if colour % 4 == 0:
        return f"M{_tenth(left - r)} {_tenth(top)}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 -{2 * r} 0"
    corners = {
        1: ((-r, -r), (r, -r), (r, r), (-r, r)),
        2: ((0, -r - 0.6), (r + 0.4, r), (-r - 0.4, r)),
        3: ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
    }
    places = [f"{_tenth(left + right)} {_tenth(top + down)}" for right, down in corners[colour % 4]]
    return f"M{'L'.join(places)}Z"


def _ends(series: Series) -> list[float]:
    deviations = series.deviations or [None] * len(series.points)
    return [y + sign * (d or 0.0) for (_, y), d in zip(series.points, deviations, strict=True) for sign in ((-1, 1) if d else (0,))]


def _numbers(series: Sequence[Series], *, caption: str, x: str) -> Table:
    """A row a value along the axis, a column a series."""
    known: list[dict[float, Cell]] = []
    for each in series:
        deviations = each.deviations or [None] * len(each.points)
        pairs = zip(each.points, deviations, strict=True)
        known.append({at: Cell(text(value), note="" if d is None else f"± {d:.4f}") for (at, value), d in pairs})
        known[-1] |= {each.points[n][0]: Cell(text(each.points[n][1]), "best") for n in each.ringed}
    along = sorted({at for each in known for at in each})
    rows = tuple((Cell(tidy(at)), *(each.get(at, Cell(NOTHING)) for each in known)) for at in along)
    return Table(caption, (x, *(each.name for each in series)), rows, folded=True)


def _along(scale: Scale, value: float) -> str:
    return _tenth(LEFT + scale.at(value) * (WIDTH - LEFT - RIGHT))


def _down(scale: Scale, value: float) -> str:
    return _tenth(TOP + (1 - scale.at(value)) * (HEIGHT - TOP - BOTTOM))


def _tenth(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
