"""The command that hands a split over to other projects' code: export."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from milkprep.commands import DEFAULT_STORE, AsJson, StorePath
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Console

app = typer.Typer()


@app.command(epilog="Example: python cli.py export --format milk --split ftmt-0 --out tiktok-ftmt-0 --store tiktok.duckdb")
def export(
    ctx: typer.Context,
    split: Annotated[str, typer.Option(help="Name of a split, as build-splits gave it.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it is there completely or not at all.")],
    format_name: Annotated[str, typer.Option("--format", help="Whose layout: milk, the code that the authors of MILK published.")] = "milk",
    store: StorePath = DEFAULT_STORE,
    modalities: Annotated[str | None, typer.Option(help="Which modalities to write, e.g. visual,text; all with vectors when not given.")] = None,
    rename: Annotated[list[str] | None, typer.Option(help="MODALITY=MODALITY, write the first as if it were the second, e.g. audio=text.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a split as a folder that another project's code reads: lists of interactions, arrays of features, lists of new items."""
    from milkprep.export import exporting

    console: Console = ctx.obj
    report = exporting.export(
        store, format_name=format_name, split=split, out=out, modalities=_modalities(modalities), rename=_renamed(rename or []),
        replace=replace, reporter=console,
    )  # fmt: skip
    if as_json:
        console.emit(asdict(report))
        return
    import polars as pl

    shown = pl.DataFrame({"file": list(report.files), "bytes": list(report.files.values())}, schema={"file": pl.String, "bytes": pl.Int64})
    console.table(shown, title=f"{report.split} in {report.folder}")
    console.say(f"{report.n_users} users and {report.n_items} items have a number there, from 0.")
    for note in report.notes:
        console.say(note.replace("FOLDER", str(report.folder)))


def _modalities(text: str | None) -> list[Modality] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in list(Modality)]
    if unknown:
        raise BadValue(f"--modalities {text!r}: {unknown[0]!r} is none of {', '.join(Modality)}.")
    return [Modality(name) for name in names]


def _renamed(given: list[str]) -> dict[Modality, Modality]:
    found: dict[Modality, Modality] = {}
    for text in given:
        old, _, new = text.partition("=")
        if old not in list(Modality) or new not in list(Modality):
            raise BadValue(f"--rename {text!r} is not MODALITY=MODALITY with two of {', '.join(Modality)}.")
        if Modality(old) in found:
            raise BadValue(f"--rename names {old} twice.")
        found[Modality(old)] = Modality(new)
    return found
