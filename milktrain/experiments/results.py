"""What an experiment found, as rows: means and deviations over repeats, with the published number of the same cell beside them."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from milktrain import runs
from milktrain.experiments import published
from milktrain.experiments.carrying_out import Carried
from milktrain.experiments.cells import Source
from milktrain.experiments.plan import lines
from milktrain.experiments.record import Done, State
from schemas.contracts import Part
from schemas.errors import MilkError

SCHEMA = {
    "store": pl.String,
    "dataset": pl.String,
    "setting": pl.String,
    "row": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "mean": pl.Float64,
    "sd": pl.Float64,
    "published": pl.Float64,
}
#: Of a loss: what it is called as a metric.
LOSS = "loss of {metric}"
PER_CENT = 100.0


def means(carried: Carried) -> pl.DataFrame:
    """A row a store, setting, row and metric that has a finished repeat: how many, mean, deviation (divisor n - 1), and what was published."""
    plan, found = carried.experiment.plan, []
    for source in carried.experiment.sources:
        printed = _printed(carried, source)
        for setting in plan.settings:
            for line in lines(plan):
                mine = finished(carried, source, setting, line.name)
                for metric in plan.metrics:
                    values = [_value(each, metric, part=plan.part) for each in mine.values()]
                    found += _row(source, setting, line.name, metric, [each for each in values if each is not None], printed)
    return pl.DataFrame(found, schema=SCHEMA)


def losses(carried: Carried) -> pl.DataFrame:
    """The same rows of what is lost between two settings, in per cent of the first: repeat by repeat. Empty where the plan asks for none."""
    plan, found = carried.experiment.plan, []
    if plan.loss is None:
        return pl.DataFrame(schema=SCHEMA)
    for source in carried.experiment.sources:
        printed = _printed(carried, source)
        for line in lines(plan):
            before, after = (finished(carried, source, setting, line.name) for setting in (plan.loss.before, plan.loss.after))
            for metric in plan.metrics:
                both = [(before[r], after[r]) for r in sorted(set(before) & set(after))]
                pairs = [(_value(one, metric, part=plan.part), _value(other, metric, part=plan.part)) for one, other in both]
                values = [PER_CENT * (1 - second / first) for first, second in pairs if first and second is not None]
                found += _row(source, plan.loss.after, line.name, LOSS.format(metric=metric), values, printed)
    return pl.DataFrame(found, schema=SCHEMA)


def by_missing(carried: Carried) -> pl.DataFrame:
    """The same rows by how many modalities the relevant items miss: a column `group` more, `all` or a number."""
    plan, found = carried.experiment.plan, []
    for source in carried.experiment.sources:
        for setting in plan.settings:
            for line in lines(plan):
                frames = [_groups(Path(each.folder), plan.part) for each in finished(carried, source, setting, line.name).values()]
                for group in sorted({name for frame in frames for name in frame["group"]}, key=lambda name: (name != "all", name)):
                    rows = [frame.filter(pl.col("group") == group) for frame in frames]
                    for metric in plan.metrics:
                        values = [float(row[metric].item()) for row in rows if row.height]
                        found += [each | {"group": group} for each in _row(source, setting, line.name, metric, values, {})]
    return pl.DataFrame(found, schema=SCHEMA | {"group": pl.String})


def finished(carried: Carried, source: Source, setting: str, row: str) -> dict[int, Done]:
    """Finished runs of a row, by repeat."""
    plan = carried.experiment.plan
    keys = {repeat: (str(source.store), setting, row, repeat) for repeat in range(plan.seeds)}
    return {repeat: carried.done[key] for repeat, key in keys.items() if carried.done[key].state is State.FINISHED}


def _printed(carried: Carried, source: Source) -> dict[tuple[str, str, str], float]:
    known = published.numbers(carried.experiment.plan.published, dataset=source.dataset)
    return {(each.setting, each.row, each.metric): each.value for each in known}


def _row(
    source: Source, setting: str, row: str, metric: str, values: Sequence[float], printed: dict[tuple[str, str, str], float]
) -> list[dict[str, Any]]:  # fmt: skip
    if not values:
        return []
    sd = statistics.stdev(values) if len(values) > 1 else None
    beside = printed.get((setting, row, metric))
    named = {"store": source.store.name, "dataset": source.dataset, "setting": setting, "row": row, "metric": metric}
    return [named | {"n": len(values), "mean": statistics.fmean(values), "sd": sd, "published": beside}]


def _value(done: Done, metric: str, *, part: str) -> float | None:
    found = done.manifest.get("metrics", {}).get(part, {}).get(metric)
    return None if found is None else float(found)


def _groups(folder: Path, part: str) -> pl.DataFrame:
    """Groups of a run by how many modalities are missed; none where its file is not there."""
    try:
        found = runs.read_groups(folder)
    except MilkError:
        return pl.DataFrame(schema={"group": pl.String})
    return found.filter((pl.col("part") == Part(part).value) & pl.col("by").is_in(["all", "n_missing"]))
