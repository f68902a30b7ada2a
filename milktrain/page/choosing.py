"""Which runs a page is about: those of a folder, or named ones."""

from collections.abc import Sequence
from pathlib import Path

from milktrain.runs import MANIFEST
from schemas.errors import BadValue

LISTED = 8


def in_folder(place: Path, *, named: Sequence[str] = ()) -> list[Path]:
    """The run folders of a folder.

    Args:
        place: holds run folders.
        named: names of runs, starts of names that may fit several, or run folders wherever they lie; only these. None: all.

    Raises:
        BadValue: if there is no such folder, no run in it, or none that is named so.
    """
    if named and all((Path(name) / MANIFEST).is_file() for name in named):
        return [Path(name) for name in named]
    if not place.is_dir():
        raise BadValue(f"There is no folder of runs at {place}. Name one with --runs, or the store they lie beside with --store.")
    there = sorted(file.parent for file in place.glob(f"[!.]*/{MANIFEST}"))
    if not there:
        raise BadValue(f"{place} holds no finished run. `python cli.py train` makes one; --runs names another folder.")
    found: list[Path] = []
    for name in named:
        here = [Path(name)] if (Path(name) / MANIFEST).is_file() else [folder for folder in there if name and folder.name.startswith(name)]
        if not here:
            more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
            raise BadValue(f"No run is named {name[:100]!r} or begins so. There are: {', '.join(folder.name for folder in there[:LISTED])}{more}.")
        found += here
    return found or there
