"""Commands that carry out plans of many runs: experiment, reproduce."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milktrain.commands import SETTINGS, AsJson, changes_of
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    import polars as pl

    from milktrain.experiments.carrying_out import Carried
    from milktrain.experiments.cells import BuildsSplit, Experiment
    from milktrain.experiments.looking_ahead import Ahead

app = typer.Typer()

Stores = Annotated[list[Path] | None, typer.Option("--store", "-s", help="A DuckDB file that holds a dataset; repeat for more.")]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="Which of the publication's a store is: Baby, Clothing or TikTok; guessed from its name when not given."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of experiments; `experiments` beside the first store when not given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be trained and what is there already; do nothing.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 and so on, or auto for a GPU where there is one.")]
EXIT_FAILED = 1


def room(build_split: "BuildsSplit") -> typer.Typer:
    """The commands of this room.

    Args:
        build_split: makes splits that are not there; given by who knows both sides.
    """
    app.command(epilog="Example: python cli.py experiment plan.toml --store tiktok.duckdb")(_experiment_with(build_split))
    app.command(epilog="Example: python cli.py reproduce table4 --store tiktok.duckdb --seeds 1 --set max_epochs=2")(_reproduce_with(build_split))
    return app


def _experiment_with(build_split: "BuildsSplit") -> Callable[..., None]:
    def experiment(
        ctx: typer.Context,
        file: Annotated[Path, typer.Argument(help="The plan, TOML; docs/experiments.md shows how it is written.")],
        store: Stores = None,
        dataset: Datasets = None,
        out: Out = None,
        device: Device = "cpu",
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Train every row of a plan on every store, setting and seed, and put them side by side.

        A killed experiment goes on with the same command; what is finished is not trained again.
        """
        from functools import partial

        from milktrain.experiments import cells, reading

        name, stores, datasets = _named_after(file), store or [], dataset or []
        plan = reading.load(file, beside=partial(cells.wrong_beside, stores=stores, datasets=datasets))
        planned = cells.experiment(name, plan, stores=stores, datasets=datasets, out=out, device=device)
        _carry_out(ctx.obj, planned, build_split, dry_run=dry_run, as_json=as_json)

    return experiment


def _reproduce_with(build_split: "BuildsSplit") -> Callable[..., None]:
    def reproduce(
        ctx: typer.Context,
        name: Annotated[str | None, typer.Argument(help="Table or figure of the publication; all are listed when none is named.")] = None,
        store: Stores = None,
        dataset: Datasets = None,
        seeds: Annotated[int | None, typer.Option(min=1, max=10_000, help="Repeats: split r and seed r; the plan's when not given.")] = None,
        setting: Annotated[list[str] | None, typer.Option(help="Only this setting of the plan; repeat for more.")] = None,
        models: Annotated[str | None, typer.Option(help="Only these models of the plan, e.g. milk,duif.")] = None,
        trials: Annotated[int | None, typer.Option(min=0, max=10_000, help="Budget of each search on validation; 0 searches nothing.")] = None,
        changes: Annotated[list[str] | None, typer.Option("--set", help=f"For all rows: {SETTINGS}")] = None,
        out: Out = None,
        device: Device = "cpu",
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Do a table or a figure of the publication anew on stores of your own, with its numbers beside yours.

        A killed one goes on with the same command; what is finished is not trained again.
        """
        from milktrain.experiments import cells, shipped

        if name is None:
            _list_plans(ctx.obj, as_json=as_json)
            return
        chosen = [each.strip() for each in models.split(",")] if models else []
        plan = shipped.load(name, seeds=seeds, settings=setting or [], models=chosen, trials=trials, changes=_values(changes or []))
        planned = cells.experiment(name, plan, stores=store or [], datasets=dataset or [], out=out, device=device)
        _carry_out(ctx.obj, planned, build_split, dry_run=dry_run, as_json=as_json)

    return reproduce


def _carry_out(console: Console, planned: "Experiment", build_split: "BuildsSplit", *, dry_run: bool, as_json: bool) -> None:
    from milktrain.experiments import carrying_out, figures, looking_ahead, record, results, tables

    if dry_run:
        _tell_ahead(console, planned, looking_ahead.look(planned, build_split=build_split), as_json=as_json)
        return
    carried = carrying_out.carry_out(planned, build_split=build_split, reporter=console)
    files = [*tables.write(carried), *figures.write(carried)]
    if as_json:
        told = record.described(planned, carried.done, list(carried.searched.values()))
        console.emit(
            told | {"results": results.means(carried).to_dicts(), "lost": results.losses(carried).to_dicts(), "files": list(map(str, files))}
        )
    else:
        _tell(console, carried, files)
    if carried.failed:
        raise typer.Exit(EXIT_FAILED)


def _tell(console: Console, carried: "Carried", files: list[Path]) -> None:
    from milktrain.experiments import cells, tables
    from schemas.wording import counted

    for title, frame in (*tables.beside(carried), *tables.by_missing(carried)):
        console.table(frame, title=title)
    console.table(_without_the_same(tables.times(carried)), title="finished runs, and what they took; shared processors take longer")
    if carried.searched:
        console.table(_without_the_same(tables.chosen(carried)), title="what searches chose, and its value on validation")
    for line in tables.remarks(carried):
        console.say(line)
    for line in cells.grouped(carried.failed):
        console.say(f"Not there: {line}")
    reused = sum(each.reused for each in carried.done.values())
    console.say(f"{counted(len(carried.done), 'run')}, {reused} finished before and not trained again, {len(carried.failed)} failed.")
    console.say(f"Experiment folder: {carried.experiment.folder} ({', '.join(file.name for file in files)})")


def _tell_ahead(console: Console, planned: "Experiment", ahead: "list[Ahead]", *, as_json: bool) -> None:
    import polars as pl

    from milktrain.experiments import cells, looking_ahead
    from schemas.wording import counted

    rows = [
        {
            "store": each.cell.source.store.name,
            "row": each.cell.line.name,
            "split": each.cell.split,
            "state": each.state,
            "trials first": each.trials,
            "run": each.run_id,
        }
        for each in ahead
    ]
    if as_json:
        reasons = [{"reason": each.reason} for each in ahead]
        console.emit({"folder": str(planned.folder), "runs": [row | reason for row, reason in zip(rows, reasons, strict=True)]})
        return
    known = (looking_ahead.THERE, looking_ahead.UNFINISHED)
    shown = [row | {"trials first": row["trials first"] or None, "run": row["run"] if row["state"] in known else None} for row in rows]
    frame = _without_the_same(pl.DataFrame(shown, schema_overrides={"trials first": pl.Int64, "run": pl.String}))
    on = "" if "store" in frame.columns else f" on {planned.sources[0].store.name}"
    console.table(frame, title=f"{planned.plan.title}: what would be done{on}")
    cannot = [(each.cell, each.reason) for each in ahead if each.state == looking_ahead.CANNOT]
    for line in cells.grouped(cannot):
        console.say(f"Cannot be trained: {line}")
    there, trials = sum(each.state == looking_ahead.THERE for each in ahead), sum(each.trials for each in ahead)
    told = [counted(len(ahead), "run"), f"{there} there already"]
    told += [f"{len(cannot)} that cannot be trained"] if cannot else []
    told += [f"after {counted(trials, 'trial')} of searches"] if trials else []
    console.say(f"{', '.join(told)}. Nothing was done.")


def _without_the_same(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Without store and setting where all rows have the same, and without columns of nothing: terminals are narrow."""
    same = {name for name in ("store", "setting") if name in frame.columns and frame[name].n_unique() == 1}
    return frame.drop(name for name in frame.columns if name in same or frame[name].null_count() == frame.height)


def _list_plans(console: Console, *, as_json: bool) -> None:
    import polars as pl

    from milktrain.experiments import shipped

    rows = [_listed(name, shipped.tables_of(name)) for name in shipped.names()]
    if as_json:
        console.emit({"plans": rows})
        return
    console.table(pl.DataFrame(rows), title="tables and figures to reproduce")


def _listed(name: str, tables: dict[str, object]) -> dict[str, object]:
    settings, rows = tables["settings"], tables["row"]
    assert isinstance(settings, list)
    assert isinstance(rows, list)
    return {"name": name, "title": tables["title"], "settings": ", ".join(settings), "rows": len(rows), "seeds": tables["seeds"]}


def _named_after(file: Path) -> str:
    """The plan's file as the beginning of a folder's name."""
    import re

    name = re.sub(r"[^A-Za-z0-9_.-]", "-", file.stem).strip(".-")[:60]
    if not name:
        raise BadValue(f"{file} is no name for a plan. Call it e.g. plan.toml.")
    return name


def _values(given: list[str]) -> dict[str, object]:
    """What --set says, as TOML values."""
    from milktrain.experiments.chosen import typed

    return {name: typed(value) for name, value in changes_of(given).items()}
