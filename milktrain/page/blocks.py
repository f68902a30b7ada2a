"""What the page is made of: sections of words, warnings, tables and figures, before they are HTML. Texts are plain; the template escapes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

#: What stands where there is no number.
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Args:
        text: what it says.
        mark: `best`, `second` or `differs`, shown by more than colour; empty for none.
        note: in small print beside it, e.g. a deviation.
    """

    text: str
    mark: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row names it.

    Args:
        caption: what it is of.
        columns: their heads.
        rows: cells, as many a row as columns.
        words: columns after the first that hold words; the others are numbers and aligned as such.
        folded: whether it is shown only when asked for.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph.

    Args:
        text: of it.
        tone: `plain`, or `loud` for what must not be overlooked.
    """

    kind: ClassVar[str] = "words"
    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Shape:
    """An element of SVG: its name, attributes and text."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its words and its numbers.

    Args:
        title: a line above it.
        description: what is drawn and what it shows, for those who do not see it.
        width: units of the drawing.
        height: likewise.
        shapes: the drawing.
        x_label: what lies along the horizontal axis.
        y_label: what lies along the vertical one; empty where bars name themselves.
        legend: name and number of the colour of each series.
        numbers: what is drawn.
    """

    kind: ClassVar[str] = "figure"
    title: str
    description: str
    width: int
    height: int
    shapes: tuple[Shape, ...]
    x_label: str
    y_label: str
    legend: tuple[tuple[str, int], ...]
    numbers: Table


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


Block = Words | Table | Figure | Figures


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading.

    Args:
        id: of the heading, for links.
        title: of it.
        blocks: in order.
        inside: sections under it.
    """

    id: str
    title: str
    blocks: Sequence[Block]
    inside: Sequence["Section"] = field(default=())


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, words: Sequence[int] = (), folded: bool = False) -> Table:
    """A table of plain values: floats with four decimals, None as a dash, all else as text."""
    cells = tuple(tuple(value if isinstance(value, Cell) else Cell(text(value)) for value in row) for row in rows)
    return Table(caption, tuple(columns), cells, frozenset(words), folded)


def text(value: object) -> str:
    """A value as it stands in a table.

    Example:
        >>> text(0.25), text(123), text([10, 20]), text(True)
        ('0.2500', '123', '10, 20', 'yes')
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")
    return ", ".join(map(text, value)) if isinstance(value, list | tuple) else str(value)
