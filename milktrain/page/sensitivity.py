"""Sensitivity: where configurations differ in one numeric setting alone, the metric against its value."""

from collections.abc import Sequence

from milktrain.page.blocks import Block, Figure, Figures, Section, Words
from milktrain.page.charts import Axes, Series, lines
from milktrain.page.reading import NAMES_ONLY, Found, by_context, differences, in_words, metrics_of, number, spread
from schemas import fingerprint

#: Charts of a context.
MOST_CHARTS = 12


def section(found: Sequence[Found]) -> Section:
    """Charts of the metric against each setting that was varied."""
    inside: list[Section] = []
    for context, same in by_context(found):
        part = "test" if any("test" in run.metrics for run in same) else "val"
        metric = next(iter(metrics_of(same, part)), None)
        names = [name for name in differences(same) if name not in NAMES_ONLY] if metric else []
        figures = [figure for name in names if metric and (figure := _figure(same, name, part=part, metric=metric))]
        if figures:
            more: list[Block] = [Words(f"{MOST_CHARTS} of {len(figures)} settings are drawn.")] if len(figures) > MOST_CHARTS else []
            inside.append(Section(f"sensitivity-{len(inside) + 1}", in_words(context), [*more, Figures(tuple(figures[:MOST_CHARTS]))]))
    told = "Configurations that differ in the one setting alone, joined by a line; whiskers are one standard deviation over repeats."
    return Section("sensitivity", "Sensitivity", [Words(told if inside else "No two configurations differ in one numeric setting alone.")], inside)


def _figure(same: Sequence[Found], name: str, *, part: str, metric: str) -> Figure | None:
    groups: dict[str, dict[float, list[tuple[str, float]]]] = {}
    models: dict[str, str] = {}
    likes: dict[str, str] = {}
    for run in same:
        value, measured = number(run.settings.get(name)), run.metrics.get(part, {}).get(metric)
        if value is None or measured is None:
            continue
        others = {key: each for key, each in run.settings.items() if key not in (name, *NAMES_ONLY)}
        key = fingerprint.of_value([run.model, run.record.get("modalities"), run.record.get("device"), others])
        groups.setdefault(key, {}).setdefault(value, []).append((run.split, measured))
        models[key] = run.model
        likes.setdefault(key, run.label)
    varied = {key: values for key, values in groups.items() if len(values) > 1}
    if not varied:
        return None
    series = []
    for n, (key, values) in enumerate(sorted(varied.items(), key=lambda each: (models[each[0]], -len(each[1]), likes[each[0]], each[0]))):
        means = {value: spread(values[value]) for value in sorted(values)}
        repeats = sorted({len(each) for each in values.values()})
        of = f"{repeats[0]}" if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}"
        alone = sum(models[other] == models[key] for other in varied) == 1
        label = f"{models[key] if alone else f'like {likes[key]}'}, n = {of}"
        series.append(Series(label, [(value, mean) for value, (mean, _) in means.items()], n, [sd for _, sd in means.values()]))
    described = "; ".join(f"{each.name}: " + ", ".join(f"{y:.4f} at {x:g}" for x, y in each.points) for each in series)
    axes = Axes(name, f"{'test' if part == 'test' else 'validation'} {metric}", log_x=True)
    return lines(series, title=f"{metric} against {name}", description=f"{described}.", axes=axes)
