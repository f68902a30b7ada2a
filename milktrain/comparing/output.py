"""Comparisons written: as files that are whole or not there, and as an object for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from milktrain.comparing.labelled import LabelledRun
from milktrain.comparing.results import Comparison
from schemas import durable
from schemas.errors import BadValue


def refuse(out: Path, *, store: Path, runs: Sequence[LabelledRun]) -> None:
    """Refuse a file that cannot be meant, before anything is computed.

    Args:
        out: the file.
        store: that was named.
        runs: that are compared; their stores lie beside their folders.

    Raises:
        BadValue: if it is a store, lies in a run folder or in no folder, or is a folder.
    """
    beside = {run.folder.absolute().parent.parent / Path(str(run.manifest.get("store", ""))).name for run in runs}
    stores = {file.resolve() for each in (store, *beside) for file in (each, each.with_name(f"{each.name}.wal"))}
    if not out.absolute().parent.is_dir() or out.is_dir() or out.resolve() in stores:
        raise BadValue(f"--out {out} is a store or a folder, or lies in no folder. Name another file.")
    if out.resolve().parent in {run.folder.resolve() for run in runs}:
        raise BadValue(f"--out {out} lies in a run folder. Name another file.")


def write(text: str, out: Path) -> None:
    """Write a file, whole or not at all; one that is there is replaced.

    Raises:
        OSError: if it cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        durable.rename(partial, out)
    finally:
        partial.unlink(missing_ok=True)


def as_object(comparison: Comparison) -> dict[str, object]:
    """What a program wants to know of a comparison."""
    return {
        "part": comparison.part.value,
        "metrics": list(comparison.metrics),
        "resamples": comparison.resamples,
        "cells": [asdict(cell) for cell in comparison.cells],
        "tests": [asdict(test) for test in comparison.tests],
        "remarks": list(comparison.remarks),
    }
