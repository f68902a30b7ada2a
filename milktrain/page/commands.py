"""The command that writes a page about runs: report."""

import typer

app = typer.Typer()
