"""The command sweep."""

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milktrain.commands import DEFAULT_STORE, SETTINGS, AsJson, StorePath, changes_of, modalities_of
from schemas.errors import BadValue
from schemas.reporting import Console
from schemas.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from milktrain.sweeping.study import Plan, Sweep

app = typer.Typer()

TRIALS = 20
SHOWN, COMPARED = 10, 2  # trials in the table of values, and in that of settings


@app.command(epilog="Example: python cli.py sweep --split ftmt-0 --trials 3 --set max_epochs=4 --set evaluate_every=2 --store tiktok.duckdb")
def sweep(
    ctx: typer.Context,
    split: Annotated[list[str], typer.Option(help="Name of a split; repeat for several, whose mean decides.")],
    store: StorePath = DEFAULT_STORE,
    model: Annotated[str, typer.Option(help="Whose settings are searched; `python cli.py models` lists them.")] = "milk",
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many there shall be in all, those from before included.")] = TRIALS,
    space: Annotated[Path | None, typer.Option(help="TOML file of what is varied, see docs/sweeps.md; the model's own when not given.")] = None,
    metric: Annotated[str | None, typer.Option(help="What is looked at on validation, e.g. recall@20; stop_metric when not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the search; that of training is a setting.")] = 0,
    prune: Annotated[bool, typer.Option("--prune", help="End trials that are below the median of the others.")] = False,
    preset: Annotated[str, typer.Option(help="What all trials start from: default, published or paper.")] = "default",
    config: Annotated[Path | None, typer.Option(help="TOML file of settings laid over the preset.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help=SETTINGS)] = None,
    modalities: Annotated[str | None, typer.Option(help="Which modalities to use, e.g. visual,text; all with vectors when not given.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "cpu",
    sweeps: Annotated[Path | None, typer.Option(help="Folder of sweeps; `sweeps` beside the store when not given.")] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the trials into this file as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search settings for those that do best on validation. Test interactions are not looked at.

    A killed sweep goes on with the same command, and a greater --trials adds to it.
    """
    from milktrain import config as settings
    from milktrain.sweeping import plot, study
    from milktrain.sweeping import space as spaces
    from schemas import pictures

    console: Console = ctx.obj
    if png:
        pictures.refuse(png, store=store)
    asked = changes_of(changes or [])
    if metric and asked.get("stop_metric", metric) != metric:
        raise BadValue(f"--metric {metric} and --set stop_metric={asked['stop_metric']} are two metrics. Leave one of them out.")
    base = settings.load(preset, model=model, file=config, changes=asked | ({"stop_metric": metric} if metric else {}))
    plan = study.Plan(split, spaces.load(space, base=base, model=model), base, seed, prune, modalities_of(modalities), device, model)
    found = study.sweep(store, plan=plan, n_trials=trials, sweeps_folder=sweeps or store.parent / "sweeps", reporter=console)
    if png:
        plot.write(found, plan=plan, png=png)
    if as_json:
        console.emit(summary(found, plan))
    else:
        _tell(console, found, plan, store=store)
    if png:
        console.say(f"Drawn in {png}.")


def summary(found: "Sweep", plan: "Plan") -> dict[str, object]:
    """What a program wants to know of a sweep: every trial, the best, and what mattered."""
    best = found.best[0] if found.best else None
    return {
        "folder": str(found.folder),
        "model": plan.model,
        "splits": list(plan.splits),
        "metric": plan.metric,
        "part": "validation",
        "trials": [asdict(trial) for trial in found.trials],
        "best": asdict(best) if best else None,
        "importance": found.importance,
        "config": str(found.folder / "best.toml") if best else None,
    }


def _tell(console: Console, found: "Sweep", plan: "Plan", *, store: Path) -> None:
    ends = [trial.state.value for trial in found.trials]
    counts = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
    if found.best:
        console.table(best_trials(found, plan), title=f"{plan.metric} on validation, the best of {counted(len(ends), 'trial')} ({counts})")
        shares = ", and the share of each in what decides (PED-ANOVA)" if found.importance else ""
        console.table(best_settings(found, plan), title=f"their settings{shares}")
    if found.n_before:
        console.say(f"There before: {counted(min(found.n_before, len(ends)), 'trial')}.")
    if not found.best:
        console.say(f"No trial was complete ({counts}): lower learning_rate in the space, or look at the features with `python cli.py check`.")
        return
    of = "" if plan.model == "milk" else f" --model {plan.model}"
    console.say(f"Sweep folder: {found.folder}")
    console.say(
        f"Train with the best settings: python cli.py train{of} --split {plan.splits[0]} --config {found.folder / 'best.toml'} --store {store}"
    )


def best_trials(found: "Sweep", plan: "Plan") -> "pl.DataFrame":
    """A row a trial, best first: its value, its standard deviation over the splits where there are several, its epochs and seconds."""
    import polars as pl

    several = len(plan.splits) > 1
    rows = [
        {"trial": trial.number, plan.metric: trial.value}
        | ({"sd over splits": statistics.stdev(each.value for each in trial.splits if each.value is not None)} if several else {})
        | {"epochs": sum(each.epochs for each in trial.splits), "seconds": f"{trial.seconds:.1f}"}
        for trial in found.best[:SHOWN]
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def best_settings(found: "Sweep", plan: "Plan") -> "pl.DataFrame":
    """A row a setting, a column for each of the best trials and its share in what decides; empty where a setting means nothing."""
    import polars as pl

    names = [each.name for each in plan.space.dimensions]
    columns: dict[str, list[object]] = {"setting": list(names)}
    columns |= {f"trial {trial.number}": [_short(trial.settings.get(name)) for name in names] for trial in found.best[:COMPARED]}
    if found.importance:
        columns["importance"] = [found.importance.get(name) for name in names]
    return pl.DataFrame(columns)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
