"""Training curves: validation of every repeat by epoch, and the losses of one."""

from collections.abc import Mapping, Sequence

from milktrain import runs as run_folders
from milktrain.page.blocks import Block, Figure, Figures, Section, Words
from milktrain.page.charts import Axes, Series, lines
from milktrain.page.palette import Colours
from milktrain.page.reading import Found, by_context, by_label, in_place, in_words, number
from milktrain.page.scales import thinned
from schemas.errors import DataError

#: Points of a curve, configurations that are drawn, and repeats on one chart.
MOST_POINTS, MOST_LABELS, MOST_REPEATS = 60, 12, 8
#: Columns of a log that are no loss.
NO_LOSS = ("epoch", "seconds")

Log = list[dict[str, float]]


def section(found: Sequence[Found], colours: Colours) -> Section:
    """How training went, for runs that learn by epochs."""
    inside: list[Section] = []
    said: list[str] = []
    for context, same in by_context(found):
        logs, problems = _logs(same)
        said += problems
        if learned := colours.ordered(by_label([run for run in same if run.folder in logs])):
            inside.append(Section(f"curves-{len(inside) + 1}", in_words(context), _blocks(learned, logs)))
    blocks: list[Block] = [Words(problem, "loud") for problem in said]
    if inside:
        text = "Validation as training looked at it, a line a repeat, the best epoch ringed: its state is the one that was kept and judged."
        blocks.insert(0, Words(f"{text} Losses are means over the steps of an epoch, of the first repeat."))
    else:
        blocks.append(Words("None of these runs learned by epochs, or none has a log."))
    return Section("curves", "Training", blocks, inside)


def _logs(found: Sequence[Found]) -> tuple[dict[object, Log], list[str]]:
    logs: dict[object, Log] = {}
    problems = []
    for run in found:
        if not run.number("epochs"):
            continue
        try:
            logs[run.folder] = _checked(run_folders.read_log(run.folder))
        except DataError as error:
            problems.append(f"The log of {run.name} is left out: {in_place(error, run.folder)}")
    return logs, problems


def _checked(rows: list[dict[str, float]]) -> Log:
    """Finite numbers alone, of rows that have an epoch."""
    if not all(isinstance(row, dict) for row in rows):
        raise DataError("a line of it is no row of an epoch.")
    kept = [{str(name): value for name, raw in row.items() if (value := number(raw)) is not None} for row in rows]
    return sorted((row for row in kept if "epoch" in row), key=lambda row: row["epoch"])


def _blocks(learned: Mapping[str, Sequence[Found]], logs: dict[object, Log]) -> list[Block]:
    """A chart of validation a configuration, with one upper end for all so that they can be compared; then those of losses."""
    drawn = list(learned.items())[:MOST_LABELS]
    top = max((value for _, runs in drawn for run in runs for _, value in _looks(logs[run.folder])), default=0.0)
    validation = [_validation(label, runs, logs, top=top) for label, runs in drawn]
    losses = [_losses(label, runs[0], logs[runs[0].folder]) for label, runs in drawn]
    more = [Words(f"{len(drawn)} of {len(learned)} configurations are drawn, the best.")] if len(learned) > len(drawn) else []
    return [*more, Figures(tuple(validation)), Figures(tuple(losses))]


def _looks(log: Log) -> list[tuple[float, float]]:
    name = _metric(log)
    return [(row["epoch"], row[name]) for row in log if name in row] if name else []


def _metric(log: Log) -> str | None:
    return next((name for row in log for name in row if name.startswith("val_")), None)


def _validation(label: str, repeats: Sequence[Found], logs: dict[object, Log], *, top: float) -> Figure:
    shown = repeats[:MOST_REPEATS]
    series = []
    for n, run in enumerate(shown):
        looks = _looks(logs[run.folder])
        best = [at for at, (epoch, _) in enumerate(looks) if epoch == run.number("best_epoch")]
        points, ringed = thinned(looks, most=MOST_POINTS, keep=best)
        series.append(Series(f"{run.split}, seed {run.seed}", points, n, ringed=ringed))
    metric = (_metric(logs[shown[0].folder]) or "validation").removeprefix("val_")
    said = "; ".join(
        f"{each.name}: best {each.points[each.ringed[0]][1]:.4f} at epoch {each.points[each.ringed[0]][0]:.0f}" for each in series if each.ringed
    )
    more = f" {len(shown)} of {len(repeats)} repeats are drawn." if len(repeats) > len(shown) else ""
    axes = Axes("epoch", f"{metric} on validation", whole_x=True, from_zero=True, top=top)
    return lines(series, title=f"{label}: {metric} on validation", description=f"Validation by epoch. {said}.{more}", axes=axes)


def _losses(label: str, run: Found, log: Log) -> Figure:
    names = [name for name in dict.fromkeys(name for row in log for name in row) if name not in NO_LOSS and not name.startswith("val_")]
    series = []
    for n, name in enumerate(names):
        points, _ = thinned([(row["epoch"], row[name]) for row in log if name in row], most=MOST_POINTS)
        series.append(Series(name, points, n))
    ends = "; ".join(f"{each.name} from {each.points[0][1]:.3g} to {each.points[-1][1]:.3g}" for each in series if each.points)
    described = f"Losses by epoch of {run.name}: {ends}."
    return lines(
        series, title=f"{label}: losses of {run.split}, seed {run.seed}", description=described, axes=Axes("epoch", "loss", whole_x=True, log_y=True)
    )
