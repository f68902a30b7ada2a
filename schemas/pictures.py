"""Pictures of results as files: refused before anything is computed, and whole or not there."""

from pathlib import Path
from typing import Any, Protocol

from schemas.errors import BadValue


class Figure(Protocol):
    """What is asked of a figure of matplotlib, which this room does not import."""

    def savefig(self, fname: Path, *, format: str, dpi: int, metadata: dict[str, Any]) -> object:  # noqa: A002 - the library's own name
        """Draw into a file."""


#: What a file says of itself besides the picture, by its ending: no time, so that the same picture is the same file.
SAYS: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}}


def refuse(png: Path, *, store: Path) -> None:
    """Refuse a file that cannot be meant, before anything is computed.

    Raises:
        BadValue: if it has another ending, lies in no folder, is a folder, or is the store.
    """
    if png.suffix.lower() != ".png":
        raise BadValue(f"--png writes PNG, and {png} ends otherwise. Name a file that ends in .png.")
    if not png.absolute().parent.is_dir() or png.is_dir() or png.resolve() == store.resolve():
        raise BadValue(f"--png {png} is the store itself or a folder, or lies in no folder. Name another file.")


def save(figure: Figure, file: Path, *, dpi: int) -> None:
    """Draw a figure into a file, which is complete or not there; one that is there is overwritten.

    Args:
        figure: a figure of matplotlib.
        file: ends in `.svg` for lines that scale; else it is PNG.
        dpi: dots an inch.

    Raises:
        OSError: if the file cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    ending = ".svg" if file.suffix.lower() == ".svg" else ".png"
    try:
        figure.savefig(partial, format=ending[1:], dpi=dpi, metadata=SAYS[ending])
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
