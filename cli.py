"""The command line: ties milkprep and milktrain together, and is where talk and tables are printed.

Data goes to stdout (with --json, JSON alone), talk goes to stderr. Exit codes: 0 done, 1 the data does not allow it, 2 the
command line cannot be meant.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console as Terminal

from milkprep import commands as prep
from milkprep import newcomers
from milkprep.export import commands as export
from milkprep.inspection import commands as inspection
from milkprep.pull import commands as pull
from milkprep.splitting import commands as splitting
from milktrain import commands as training
from milktrain import rooms
from milktrain.experiments import commands as experiments
from milktrain.using import commands as using
from schemas import __version__, answers, reporting, wording
from schemas.answers import Format
from schemas.contracts import Modality, Setting
from schemas.errors import BadValue, MilkError
from schemas.reporting import Console, Progress

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType
    from rich.progress import Progress as Bars
    from rich.progress import TaskID
    from typer._click.core import Context

INTERRUPTED = 130
SHOWN_ROWS = 1000  # of an answer, in a table for people
LEAST_SHOWN = 0.001  # of a number that four decimals still say something of
PLAIN_WIDTH = 200  # columns of a table that no terminal shows
StorePath = prep.StorePath


class RichConsole:
    """Progress bars and talk on stderr, tables and JSON on stdout; bars only where stderr is a terminal."""

    def __init__(self) -> None:
        self.talk = Terminal(stderr=True, soft_wrap=True, highlight=False, markup=False)
        shown = "COLUMNS" in os.environ or (sys.stdout is not None and sys.stdout.isatty())  # stdout may be closed
        self.data = Terminal(highlight=False, markup=False, width=None if shown else PLAIN_WIDTH)

    def say(self, text: str) -> None:
        """One line of talk."""
        self.talk.print(text)

    def table(self, frame: "pl.DataFrame", *, title: str) -> None:
        """A frame as a table on stdout."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for name, dtype in frame.schema.items():
            table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
        for row in answers.rows(frame):
            table.add_row(*(_cell(value, of=name) for name, value in zip(frame.columns, row, strict=True)))
        self.data.print(Text(title, style="italic"))  # as wide as the terminal, where a table's own title is as wide as the table
        self.data.print(table)

    def emit(self, value: object) -> None:
        """One JSON object on stdout."""
        sys.stdout.write(json.dumps(value, default=str, allow_nan=False, indent=2) + "\n")

    @contextmanager
    def progress(self, label: str, *, total: int | None, unit: str) -> Iterator[Progress]:
        """A bar with count, rate and time left on stderr; where no terminal shows it, a line every half minute."""
        if not self.talk.is_terminal:
            with reporting.lines(label, total=total, unit=unit, say=self.say) as told:
                yield told
            return
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Rate(ProgressColumn):
            """Units a second: of the last half minute, at the end of all."""

            def render(self, task: Task) -> Text:
                return Text(reporting.per_second(task.finished_speed or task.speed or 0))

        class Noted(Bars):
            """A bar, and the remark below it, which would not fit beside it."""

            def get_renderables(self) -> "Iterator[RenderableType]":
                yield self.make_tasks_table(self.tasks)
                if note := "".join(task.fields["note"] for task in self.tasks):
                    yield Text(f"  {note}", no_wrap=True, overflow="ellipsis")

        counted = (MofNCompleteColumn(), TextColumn(wording.unit(total, unit)), Rate()) if unit else ()
        clock = TimeElapsedColumn() if total is None else TimeRemainingColumn(compact=True, elapsed_when_finished=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=16), *counted, clock)
        with Noted(*columns, console=self.talk, refresh_per_second=8) as bars:
            yield _Bar(bars, bars.add_task(label, total=total, note=""))


class _Bar:
    """One task of a rich progress display."""

    def __init__(self, bars: "Bars", task: "TaskID") -> None:
        self._bars, self._task = bars, task

    def advance(self, n: int = 1) -> None:
        self._bars.advance(self._task, n)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _RefusingGroup(typer.core.TyperGroup):
    """Turns this project's errors, those of the file system, and Ctrl-C into one line on stderr and an exit code."""

    def invoke(self, ctx: "Context") -> object:
        try:
            return super().invoke(ctx)
        except MilkError as error:
            message, code = f"Error: {error}", error.exit_code
        except BrokenPipeError:
            raise
        except OSError as error:
            what = f"{error.strerror or error}: {error.filename or 'the disk'}"
            message, code = f"Error: {what}. Look at space and permissions, then run this again.", 1
        except KeyboardInterrupt:
            message, code = "Stopped. Nothing is half-written: run the same command again.", INTERRUPTED
        Terminal(stderr=True, soft_wrap=True, highlight=False, markup=False).print(message)
        raise typer.Exit(code)


app = typer.Typer(cls=_RefusingGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(pull.app, name="pull")
for each in (*(room.app for room in (prep, splitting, inspection, export)), *rooms.APPS):
    app.add_typer(each)
app.add_typer(using.room(newcomers.embed))
app.add_typer(experiments.room(splitting.build_named))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _start(
    ctx: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the libraries do, on stderr.")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")] = False,  # noqa: ARG001 - its callback answers
) -> None:
    """Prepare data for, train and judge recommenders of new items whose pictures, titles or sound may be missing."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = RichConsole()


@app.command(context_settings=prep.DASHES, epilog='Example: python cli.py sql "SELECT * FROM modality_availability LIMIT 5" --store gifts.duckdb')
def sql(
    ctx: typer.Context,
    statement: Annotated[str, typer.Argument(help="One SELECT; nothing it says can change the store or reach another file.")],
    store: StorePath = prep.DEFAULT_STORE,
    fmt: Annotated[Format, typer.Option("--format", help="table for people, the others for programs.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file rather than stdout; needed for parquet on a terminal.")] = None,
    runs: training.RunsFolder = None,
) -> None:
    """Answer a question to the store with SQL. Finished runs are the tables `runs`, `run_users`, `run_groups`, `run_epochs`: docs/runs.md."""
    from milktrain import run_tables
    from schemas.store import Store

    console: Console = ctx.obj
    if fmt is Format.PARQUET and out is None and sys.stdout.isatty():
        raise BadValue("Parquet is not for a terminal. Name a file with --out, or redirect stdout.")
    if out and (not out.absolute().parent.is_dir() or out.resolve() in (store.resolve(), store.with_name(f"{store.name}.wal").resolve())):
        raise BadValue(f"--out {out} is the store itself, or lies in no folder. Name another file.")
    place = runs or store.parent / "runs"
    with Store(store, mode="read") as opened, run_tables.shown(opened, place, statement=statement) as readable:
        opened.confine(readable=readable)
        answer = opened.user_query(statement)
    if fmt is Format.TABLE and out is None:
        console.table(
            answer.head(SHOWN_ROWS),
            title=wording.counted(answer.height, "row") if answer.height <= SHOWN_ROWS else f"the first {SHOWN_ROWS} of {answer.height} rows",
        )
        return
    answers.write(answer, fmt, out=out, stdout=sys.stdout.buffer)


@app.command(epilog="Example: python cli.py demo --out demo")
def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the catalogue, the store and the runs.")] = Path("demo"),
    text_encoder: Annotated[str | None, typer.Option(help="Encoder of the titles; hashed-ngrams needs no weights.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the generated catalogue.")] = 0,
) -> None:
    """Generate a small catalogue with planted tastes and run everything on it: pull, extract, build-splits, train, compare."""
    from milkprep import demo_catalogue, extract, splits
    from milkprep.sources import amazon
    from milktrain import config, oracle, recipe

    console: Console = ctx.obj
    catalogue = demo_catalogue.write(out / "catalogue", seed=seed)
    console.say(f"This catalogue is generated, not real: tastes were planted in it so that the right ranking is known. Raw files: {catalogue.folder}")
    store = out / "demo.duckdb"
    pulled = amazon.pull(store, metadata=catalogue.metadata, reviews=catalogue.reviews, media=catalogue.folder, keep_all_items=True, reporter=console)
    console.table(pulled.steps, title="pull: what each rule did")
    for modality, encoder in ((Modality.VISUAL, "colour-layout"), (Modality.TEXT, text_encoder), (Modality.AUDIO, "log-mel")):
        embedded = extract.extract(store, modality=modality, encoder=encoder, as_default=True, reporter=console)
        by = embedded.feature_set.identity.encoder
        console.say(f"extract {modality}: {embedded.n_items} items by {by}, {embedded.n_without} without, {embedded.n_failed} failed")
    split = splits.build(store, setting=Setting.FTMT, seed=seed, replace=True)
    console.table(split.statistics, title=f"split {split.name}")
    settings = config.load()
    judged = {
        model: training.metrics_of(
            recipe.train(store, split=split.name, config=settings, model=model, runs_folder=out / "runs", reporter=console, again=False)
        )
        for model in ("milk", "popularity", "random-order")
    }
    truth = catalogue.truth
    judged["planted truth"] = oracle.judge(store, split=split.name, config=settings, user_tastes=truth.user_tastes, item_tastes=truth.item_tastes)
    training.tell(console, judged, title="new items ranked by MILK, by two floors (new items have no popularity yet), and by the planted truth")
    _ask_three_questions(console, store, runs=out / "runs")


def _ask_three_questions(console: Console, store: Path, *, runs: Path) -> None:
    from milktrain import runs as run_folders
    from schemas import queries
    from schemas.store import Store

    with Store(store, mode="read") as opened, opened.registered("runs", run_folders.frame(runs)):
        for name, question in queries.load("schemas.sql", "demo.sql").items():
            console.say(f'\npython cli.py sql --store {store} "{question.rstrip(";")}"')
            console.table(opened.query(question), title=name.replace("_", " "))


def _cell(value: object, *, of: str) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    if of.endswith("%"):
        return f"{value:g}"
    return f"{value:.2g}" if 0 < abs(value) < LEAST_SHOWN else f"{value:.4f}"  # a learning rate of 2.8e-05 is not 0.0000


def main() -> None:
    """Entry point of the console script `milk`."""
    app()


if __name__ == "__main__":
    main()
