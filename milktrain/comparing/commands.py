"""Commands that compare finished runs: compare."""

import typer

app = typer.Typer()
