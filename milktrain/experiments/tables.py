"""An experiment as tables: for people with the published numbers beside ours, and as files with tests of significance.

table.md, table.tex, table.csv   rows with marks and tests, as `python cli.py compare` makes them
results.csv                      means, deviations and published numbers, a row a cell
searches.csv                     the searches: budget, value on validation, what was chosen
"""

import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from milktrain.comparing import comparison, rendering
from milktrain.comparing.labelled import LabelledRun
from milktrain.comparing.layout import Extra
from milktrain.experiments import cells, published, record, results
from milktrain.experiments.carrying_out import Carried
from milktrain.experiments.cells import Source
from milktrain.experiments.plan import lines
from schemas.contracts import Part
from schemas.wording import counted

PLACES = 4
#: Metrics in a table for a terminal, which is not as wide as a page.
METRICS_BESIDE = 2
PRINTED = "{label} (published)"
#: What a comparison finds strange of runs that nobody planned, and is the plan here.
BY_DESIGN = " has other training seeds on some splits than on others."
SEEDS = "Repeat r is split r, trained with seed r."


def write(carried: Carried) -> list[Path]:
    """Write all files of tables, each whole or not at all.

    Returns:
        The files, in the order of the module's docstring; those that need a finished run are left out where there is none.
    """
    folder, found = carried.experiment.folder, _long(carried)
    files = {}
    if compared := list(_compared(carried)):
        for ending, render in (("md", rendering.markdown), ("tex", rendering.latex), ("csv", rendering.csv)):
            texts = [render(each, extra=extra, order=order) for each, extra, order in compared]
            files[f"table.{ending}"] = _head(carried, ending) + "\n".join(texts)
    if found.height:
        files["results.csv"] = found.write_csv()
    if carried.searched:
        files["searches.csv"] = searches(carried).write_csv()
    for name, text in files.items():
        record.put(folder / name, text)
    return [folder / name for name in files]


def beside(carried: Carried) -> list[tuple[str, pl.DataFrame]]:
    """For a terminal: a table a store and setting, of means and deviations, the published number of each beside it where one is known."""
    found = []
    for source in carried.experiment.sources:
        loss = carried.experiment.plan.loss
        lost = f"lost in per cent from {loss.before} to " if loss else ""
        for name, frame in (("", results.means(carried)), (lost, results.losses(carried))):
            mine = frame.filter(pl.col("store") == source.store.name)
            for setting in mine["setting"].unique(maintain_order=True):
                whole, title = mine.filter(pl.col("setting") == setting), _title(carried, source, name + setting)
                metrics = list(whole["metric"].unique(maintain_order=True))
                some = [metrics[first : first + METRICS_BESIDE] for first in range(0, len(metrics), METRICS_BESIDE)]
                found += [(title, _side_by_side(carried, source, whole.filter(pl.col("metric").is_in(each)))) for each in some]
    return found


def times(carried: Carried) -> pl.DataFrame:
    """A row a store, setting and row of the plan: finished runs, and the mean of their seconds in all and an epoch."""
    rows: list[dict[str, object]] = []
    for source in carried.experiment.sources:
        for setting in carried.experiment.plan.settings:
            for line in lines(carried.experiment.plan):
                mine = results.finished(carried, source, setting, line.name)
                taken = {"s a run": [each.seconds for each in mine.values()], "s an epoch": [each.seconds_per_epoch for each in mine.values()]}
                told = {name: _seconds(seconds) for name, seconds in taken.items()}
                rows.append({"store": source.store.name, "setting": setting, "row": line.name, "runs": len(mine)} | told)
    return pl.DataFrame(rows)


def searches(carried: Carried) -> pl.DataFrame:
    """A row a search: where, how many trials, what validation said of the best, and what it chose."""
    rows = [
        {
            "store": each.store,
            "setting": each.setting,
            "row": each.row,
            "splits": ",".join(each.splits),
            "trials": each.trials,
            "complete": each.n_complete,
            "metric": each.metric,
            "on validation": each.value,
            "seconds": round(each.seconds, 1),
            "chosen": json.dumps(each.chosen),
        }
        for each in carried.searched.values()
    ]
    return pl.DataFrame(rows)


def chosen(carried: Carried) -> pl.DataFrame:
    """For a terminal: what each search chose, and on how many trials."""
    rows = [
        {
            "store": each.store,
            "setting": each.setting,
            "row": each.row,
            "trials": each.trials,
            each.metric: each.value,
            "chosen": ", ".join(f"{name} {_short(value)}" for name, value in each.chosen.items()),
        }
        for each in carried.searched.values()
    ]
    return pl.from_dicts(rows, infer_schema_length=None)


def by_missing(carried: Carried) -> list[tuple[str, pl.DataFrame]]:
    """For a terminal: means by how many modalities the relevant items miss, a table a store and setting; only for plans that are drawn so."""
    if carried.experiment.plan.picture.kind != "groups":
        return []
    frame = results.by_missing(carried).with_columns(group=pl.concat_str(pl.lit("missing "), "group").replace("missing all", "all"))
    return [
        (f"{store} {setting}, {metric} by how many modalities the relevant items miss", mine.pivot("group", index="row", values="mean"))
        for (store, setting, metric), mine in frame.group_by("store", "setting", "metric", maintain_order=True)
    ]


def remarks(carried: Carried) -> list[str]:
    """What a reader of the tables should know."""
    experiment = carried.experiment
    said = [experiment.plan.note] if experiment.plan.note else []
    known = [each for each in experiment.sources if published.numbers(experiment.plan.published, dataset=each.dataset)]
    if known:
        said.append(f"Published: {published.source()}; the authors' own features and splits, so on other data than ours.")
    elif experiment.plan.published and (of := sorted({each.dataset for each in experiment.sources if each.dataset})):
        said.append(f"No published numbers are shown: the publication has none of {experiment.plan.published} for {', '.join(of)}.")
    elif experiment.plan.published:
        names = ", ".join(published.datasets())
        said.append(f"No published numbers are shown: none are known of these stores. --dataset says which of {names} a store is.")
    if carried.searched:
        *fewer, most = sorted({each.trials for each in carried.searched.values()})
        budgets = " or ".join((*map(str, fewer), counted(most, "trial")))
        said.append(f"Settings were searched on validation alone, a budget of {budgets} each.")
    return said


def _side_by_side(carried: Carried, source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """One setting: a row a row of the plan, a column a metric and another of what was published; then rows that are published alone."""
    setting = frame["setting"][0]
    metrics = list(frame["metric"].unique(maintain_order=True))
    theirs = {
        (each.row, each.metric): each.value
        for each in published.numbers(carried.experiment.plan.published, dataset=source.dataset)
        if each.setting == setting
    }
    ours = {(row["row"], row["metric"]): row for row in frame.iter_rows(named=True)}
    names = [line.name for line in lines(carried.experiment.plan)]
    alone = [row for row in dict.fromkeys(row for row, metric in theirs if metric in metrics) if row not in names]
    rows: list[dict[str, object]] = []
    for name in (*names, *alone):
        row: dict[str, object] = {"": name}
        for metric in metrics:
            found = ours.get((name, metric))
            row[metric] = "" if found is None else _cell(found["mean"], found["sd"])
            if any(known == metric for _, known in theirs):
                row[f"{metric} published"] = _cell(theirs.get((name, metric)), None)
        rows.append(row)
    return pl.DataFrame(rows)


def _cell(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.{PLACES}f}" + ("" if sd is None else f" ± {sd:.{PLACES}f}")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _seconds(taken: list[float]) -> str:
    """The mean of seconds; empty where nothing took any."""
    return f"{statistics.fmean(taken):.3g}" if any(taken) else ""


def _title(carried: Carried, source: Source, setting: str) -> str:
    dataset = f" ({source.dataset})" if source.dataset else ""
    return f"{carried.experiment.plan.title}: {source.store.name}{dataset}, {setting}, {carried.experiment.plan.part}"


def _long(carried: Carried) -> pl.DataFrame:
    return pl.concat([results.means(carried), results.losses(carried)])


def _head(carried: Carried, ending: str) -> str:
    """What stands above the tables of a file."""
    said = [carried.experiment.plan.title, *remarks(carried)]
    if ending == "md":
        failed = [f"Not there: {each}" for each in cells.grouped(carried.failed)]
        return f"# {said[0]}\n\n" + "".join(f"{line}\n\n" for line in (*said[1:], *failed))
    return "".join(f"% {line}\n" for line in said) if ending == "tex" else ""


def _compared(carried: Carried) -> Iterator[tuple[comparison.Comparison, Extra, list[str]]]:
    """Settings of their own side by side; each scenario apart, for its splits are of a setting too."""
    plan = carried.experiment.plan
    plain = [setting for setting in plan.settings if setting not in plan.scenarios]
    for together in ([plain] if plain else []) + [[setting] for setting in plan.settings if setting in plan.scenarios]:
        labelled = [
            LabelledRun(line.name, Path(each.folder), each.manifest)
            for source in carried.experiment.sources
            for setting in together
            for line in lines(plan)
            for each in results.finished(carried, source, setting, line.name).values()
        ]
        if labelled:
            found = comparison.compare(labelled, metrics=plan.metrics, part=Part(plan.part))
            left = tuple(remark for remark in found.remarks if not remark.endswith(BY_DESIGN))
            yield replace(found, remarks=(SEEDS, *left)), _extra(carried, together), [line.name for line in lines(plan)]


def _extra(carried: Carried, settings: list[str]) -> Extra:
    extra: dict[str, dict[tuple[str, str, str], float]] = {}
    for source in carried.experiment.sources:
        for each in published.numbers(carried.experiment.plan.published, dataset=source.dataset):
            if each.setting in settings and each.metric in carried.experiment.plan.metrics:
                label = PRINTED.format(label=each.row)
                extra.setdefault(label, {})[source.store.name, each.setting, each.metric] = each.value
    return extra
