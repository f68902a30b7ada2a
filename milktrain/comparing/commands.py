"""The command compare."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milktrain.commands import DEFAULT_STORE, AsJson, StorePath
from schemas.contracts import Part
from schemas.errors import BadValue
from schemas.reporting import Console
from schemas.wording import counted

if TYPE_CHECKING:
    from milktrain.comparing.labelled import LabelledRun

app = typer.Typer()

METRICS = ("recall@20", "ndcg@20")
ROWS = "Rows of each table in a terminal, the best first (of an experiment in its order); 0 for all. 40 of means and 10 of tests if not given."


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"


@app.command(epilog="Example: python cli.py compare --metric recall@20 --against milk --format latex --out table.tex --store tiktok.duckdb")
def compare(
    ctx: typer.Context,
    store: StorePath = DEFAULT_STORE,
    runs: Annotated[
        list[Path] | None, typer.Option(help="Folder of runs of any stores; repeat for more. `runs` beside the store if not given.")
    ] = None,
    named: Annotated[list[str] | None, typer.Option("--run", help="Only runs of this name or start of names, or this folder; repeat.")] = None,
    experiment: Annotated[Path | None, typer.Option(help="Folder of an experiment: its finished runs, under its labels.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A metric with its cut-off; repeat for more. recall@20 and ndcg@20 if not given.")] = None,
    part: Annotated[Part, typer.Option(help="On what they were judged: test or val.")] = Part.TEST,
    against: Annotated[str | None, typer.Option(help="Label that the others are tested against; the best of each column if not given.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="What labels say: model, preset, or any setting; repeat. What differs if not given.")] = None,
    form: Annotated[Format, typer.Option("--format", help="For a terminal, a page, a paper, or programs.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file rather than stdout; for all formats but table.")] = None,
    rows: Annotated[int | None, typer.Option(min=0, help=ROWS)] = None,
    resamples: Annotated[int, typer.Option(min=0, max=1_000_000, help="Of the bootstrap; 0 for no intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Put finished runs side by side: mean and deviation over splits or seeds, the best marked, differences tested. See docs/comparing.md."""
    from milktrain.comparing import comparison, output, rendering, terminal

    console: Console = ctx.obj
    if as_json and (form is not Format.TABLE or out):
        raise BadValue("--json prints to stdout, in a form of its own. Leave --format and --out out, or --json.")
    if out and form is Format.TABLE:
        raise BadValue("--out takes a file for pages, papers or programs: add --format markdown, latex or csv.")
    found, order, notes = _gathered(store, runs or [], named or [], experiment, by or [])
    if out:
        output.refuse(out, store=store, runs=found)
    compared = comparison.compare(
        found, metrics=metric or METRICS, part=part, against=against, resamples=resamples, seed=seed, reporter=console
    )  # fmt: skip
    if as_json:
        console.emit(output.as_object(compared) | {"notes": notes})
        return
    if form is Format.TABLE:
        shown = terminal.show(compared, order=order, most=rows)
        for title, frame in shown.tables:
            console.table(frame, title=title)
        chosen = [] if named or experiment or by else terminal.how_to_choose(compared, n_runs=len(found))
        for line in [*notes, *shown.notes, *chosen]:
            console.say(line)
        return
    text = {Format.MARKDOWN: rendering.markdown, Format.LATEX: rendering.latex, Format.CSV: rendering.csv}[form](compared, order=order)
    for line in notes:
        console.say(line)
    if out is None:
        sys.stdout.write(text)
        return
    output.write(text, out)
    console.say(f"{counted(len(compared.cells), 'cell')} and {counted(len(compared.tests), 'test')} written to {out}.")


def _gathered(
    store: Path, runs: list[Path], named: list[str], experiment: Path | None, by: list[str]
) -> tuple[list["LabelledRun"], list[str], list[str]]:  # fmt: skip
    """Runs, labels that stand first, and in words what is left out or goes without saying."""
    from milktrain.comparing import labelled, of_experiment

    if experiment is None:
        listed = labelled.gather(runs or [store.parent / "runs"], store=None if runs else store.name, named=named, by=by)
        return listed, [], [] if by else labelled.unsaid(listed)
    if runs or named or by:
        raise BadValue("--experiment says which runs there are and how they are labelled. Leave --runs, --run and --by out.")
    found, left_out = of_experiment.gather(experiment)
    return found, list(dict.fromkeys(run.label for run in found)), left_out
