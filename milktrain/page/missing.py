"""What a missing modality costs: metrics by how many modalities the relevant items miss, and by which."""

from collections.abc import Sequence

import polars as pl

from milktrain import runs as run_folders
from milktrain.page.blocks import Block, Cell, Figures, Section, Words, table
from milktrain.page.charts import Axes, Series, lines
from milktrain.page.palette import Colours
from milktrain.page.reading import PREFERRED, Found, by_context, by_label, in_place, in_words, number, spread
from schemas.errors import DataError

SHOWN = ("recall@20", "ndcg@20")
GROUPED_BY = {
    "n_missing": "number of modalities missing",
    "missing": "which modalities are missing",
    "user_interactions": "training interactions of the user",
}
NEEDED = {"part", "by", "group", "n_relevant"}


def section(found: Sequence[Found], colours: Colours) -> Section:
    """Test metrics by what items miss and by how active users are."""
    inside: list[Section] = []
    without: list[str] = []
    damaged: list[str] = []
    for context, same in by_context(found):
        groups: dict[str, pl.DataFrame] = {}
        for run in same:
            if not (run.folder / run_folders.GROUPS).is_file():
                without.append(run.name)
                continue
            try:
                groups[run.name] = _checked(run_folders.read_groups(run.folder))
            except (DataError, pl.exceptions.PolarsError) as error:
                damaged.append(f"The groups of {run.name} are left out: {in_place(error, run.folder)}")
        if groups:
            blocks = _blocks([run for run in same if run.name in groups], groups, colours)
            inside.append(Section(f"missing-{len(inside) + 1}", in_words(context), blocks))
    said: list[Block] = [Words(text, "loud") for text in damaged]
    if without:
        said.append(Words(f"{len(without)} of {len(found)} runs are older than results by group, and have none: {_list(without)}."))
    told = "Lists are ranked once over all candidates; a group counts the relevant items in it alone, for users who have one there."
    return Section("missing", "Missing modalities", [Words(told), *said], inside)


def _list(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _checked(groups: pl.DataFrame) -> pl.DataFrame:
    if missing := NEEDED - set(groups.columns):
        raise DataError(f"they have no column {', '.join(sorted(missing))}.")
    return groups.filter(pl.col("part") == "test").with_columns(pl.col("by", "group").cast(pl.String))


def _blocks(same: Sequence[Found], groups: dict[str, pl.DataFrame], colours: Colours) -> list[Block]:
    known = [name for name in SHOWN if all(name in groups[run.name].columns for run in same)]
    known = known or [name for name in PREFERRED if all(name in groups[run.name].columns for run in same)][:2]
    if not known:
        return [Words("The groups of these runs have no metric that all of them have.")]
    drawn = colours.drawn(by_label(same))
    figures = []
    for metric in known:
        series = [_series(label, runs, groups, metric, colours.of(label)) for label, runs in drawn.items()]
        described = "; ".join(f"{each.name}: " + ", ".join(f"{value:.4f} at {at:.0f} missing" for at, value in each.points) for each in series)
        axes = Axes("modalities that the relevant items miss", f"test {metric}", from_zero=True, whole_x=True)
        figures.append(lines(series, title=f"{metric} by number of missing modalities", description=f"{described}.", axes=axes))
    return [Figures(tuple(figures)), *(_table(same, groups, by, known) for by in GROUPED_BY)]


def _values(runs: Sequence[Found], groups: dict[str, pl.DataFrame], by: str, metric: str) -> dict[str, list[tuple[str, float]]]:
    """The metric of each run that has the group, with its split, by group, in the order of the file."""
    found: dict[str, list[tuple[str, float]]] = {}
    for run in runs:
        for row in groups[run.name].filter(pl.col("by") == by).iter_rows(named=True):
            if (value := number(row[metric])) is not None:
                found.setdefault(row["group"], []).append((run.split, value))
    return found


def _series(label: str, runs: Sequence[Found], groups: dict[str, pl.DataFrame], metric: str, colour: int) -> Series:
    values = {int(group): spread(each) for group, each in _values(runs, groups, "n_missing", metric).items() if group.isdigit()}
    order = sorted(values)
    return Series(label, [(float(n), values[n][0]) for n in order], colour, [values[n][1] for n in order])


def _table(same: Sequence[Found], groups: dict[str, pl.DataFrame], by: str, metrics: Sequence[str]) -> Block:
    rows = []
    for label, runs in by_label(same).items():
        values = {metric: _values(runs, groups, by, metric) for metric in metrics}
        for group in dict.fromkeys(group for each in values.values() for group in each):
            cells = [_cell(values[metric].get(group)) for metric in metrics]
            rows.append([label, group, max(len(each.get(group, ())) for each in values.values()), *cells])
    caption = f"By {GROUPED_BY[by]}: mean and standard deviation of the runs that have the group"
    return table(caption, ["configuration", GROUPED_BY[by], "runs", *metrics], rows, words=[1], folded=True)


def _cell(values: Sequence[tuple[str, float]] | None) -> Cell | None:
    if not values:
        return None
    mean, sd = spread(values)
    return Cell(f"{mean:.4f}", note="" if sd is None else f"± {sd:.4f}")
