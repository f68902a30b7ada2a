"""The command that writes a page about runs: report."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.reporting import Console
from schemas.wording import counted

app = typer.Typer()

DEFAULT_STORE = Path("milk.duckdb")
NAMED = "A run, or the start of the names of several, or a run folder; repeat for more. Without it: all runs there are."
OF_STORE = "The DuckDB file the runs were trained on: their dataset is described from it, and runs of others are left out."


@app.command(epilog="Example: python cli.py report --store tiktok.duckdb --out report.html")
def report(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="The page to write; one that is there is replaced.")],
    runs: Annotated[Path | None, typer.Option(help="Folder of run folders; `runs` beside the store when not given.")] = None,
    store: Annotated[Path | None, typer.Option("--store", "-s", help=OF_STORE)] = None,
    run: Annotated[list[str] | None, typer.Option(help=NAMED)] = None,
    experiment: Annotated[Path | None, typer.Option(help="Folder of an experiment: its runs, by the names it gives them.")] = None,
) -> None:
    """Write one HTML page about finished runs: dataset, results, significance, curves, missing modalities, users, time, configuration.

    The page needs nothing from outside, has no script, and can be mailed, printed and read by keyboard or screen reader.
    """
    from milktrain.comparing import of_experiment
    from milktrain.page import choosing, dataset, document, reading
    from schemas.errors import BadValue, DataError

    console: Console = ctx.obj
    document.refuse(out, stores=[store or DEFAULT_STORE])
    if experiment and (run or runs):
        raise BadValue("--experiment says which runs are meant, and so do --run and --runs. Give the one or the others.")
    place = runs or (store or DEFAULT_STORE).parent / "runs"
    labelled, unfinished = of_experiment.gather(experiment) if experiment else ([], [])
    folders = [each.folder for each in labelled] if experiment else choosing.in_folder(place, named=run or [])
    found, left_out = reading.read(folders, labels={each.folder.name: each.label for each in labelled})
    left_out += unfinished
    chosen = [each for each in found if store is None or each.store == store.name]
    if not chosen:
        of_store = f" of {store.name}" if store and found else ""
        raise DataError(f"None of {len(folders)} run folders holds a readable run{of_store}. {' '.join(left_out[:1])}".rstrip())
    document.refuse(out, stores=[beside for each in chosen if (beside := dataset.place_of(each))])
    parts = document.sections(chosen, store=store, reporter=console)
    document.write(document.render(chosen, parts, left_out=left_out), out)
    for line in left_out:
        console.say(line)
    console.say(f"{counted(len(chosen), 'run')}, {out.stat().st_size / 1000:.0f} kB: {out}. Open it in a browser.")
