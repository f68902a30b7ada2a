"""What training cost: seconds an epoch, epochs, and seconds in all, by configuration."""

from collections.abc import Sequence

from milktrain.page.blocks import Block, Cell, Section, Words, table
from milktrain.page.charts import Bar, bars
from milktrain.page.palette import Colours
from milktrain.page.reading import Found, by_context, by_label, in_words, spread


def section(found: Sequence[Found], colours: Colours) -> Section:
    """Time, as the runs measured it."""
    inside: list[Section] = []
    for context, same in by_context(found):
        inside.append(Section(f"time-{len(inside) + 1}", in_words(context), _blocks(same, colours)))
    devices = ", ".join(sorted({str(run.record.get("device") or "unknown") for run in found}))
    told = f"As each run measured it, on {devices}; machines that do other work too take longer, so small differences mean nothing."
    return Section("time", "Time", [Words(told)], inside)


def _blocks(same: Sequence[Found], colours: Colours) -> list[Block]:
    rows, drawn = [], []
    for label, runs in colours.ordered(by_label(same)).items():
        each, epochs, whole = (_spread(runs, name) for name in ("seconds_per_epoch", "epochs", "seconds"))
        learned = epochs if epochs and epochs[0] > 0 else None  # models that learn nothing have no epochs
        rows.append([label, len(runs), _cell(each if learned else None, 2), _cell(learned, 0), _cell(whole, 1)])
        if each and each[0] > 0:
            drawn.append(Bar(label, [(each[0], colours.of(label))], f"{each[0]:.2f} s", each[1]))
    columns = ["configuration", "runs", "seconds an epoch", "epochs", "seconds in all"]
    told = table("Time of a run: mean and standard deviation", columns, rows)
    if not drawn:
        return [told]
    described = "; ".join(f"{bar.name}: {bar.value}" for bar in drawn)
    numbers = table("Seconds an epoch", ["configuration", "seconds"], [[bar.name, bar.value] for bar in drawn])
    return [told, bars(drawn, title="Seconds an epoch", description=f"Mean seconds of an epoch. {described}.", x="seconds", numbers=numbers)]


def _spread(runs: Sequence[Found], name: str) -> tuple[float, float | None] | None:
    values = [(run.name, value) for run in runs if (value := run.number(name)) is not None]  # each run a repeat of its own
    return spread(values) if values else None


def _cell(value: tuple[float, float | None] | None, digits: int) -> Cell | None:
    if value is None:
        return None
    return Cell(f"{value[0]:.{digits}f}", note="" if value[1] is None else f"± {value[1]:.{digits}f}")
