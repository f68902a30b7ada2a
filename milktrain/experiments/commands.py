"""Commands that carry out plans of many runs: experiment, reproduce."""

import typer

app = typer.Typer()
