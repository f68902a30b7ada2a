"""Pictures and audio that lie beside the raw files: `images/<item key>.jpg`, `audio/<item key>.wav`.

Keys come from data and are never made into paths: a folder is listed once, and its names are matched to keys.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull_inputs import require_folder
from schemas.contracts import Modality
from schemas.errors import BadValue

SUFFIXES = {
    Modality.VISUAL: ("images", ("jpg", "jpeg", "png", "webp", "gif")),
    Modality.AUDIO: ("audio", ("wav", "mp3", "flac", "ogg", "m4a")),
}
FRAME_SCHEMA = {"item_key": pl.String, "modality": pl.String, "position": pl.Int32, "location": pl.String}


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """What a media folder holds.

    Args:
        files: one row a file: `item_key` (its name without suffix), `modality`, `position` among the files of that item,
            `location` (absolute path).
        listing: folder, name, bytes and nanoseconds of last change of each file, sorted.
    """

    files: pl.DataFrame
    listing: list[list[object]]


def read(folder: Path) -> MediaFolder:
    """List `images/` and `audio/` of a folder; other files are ignored.

    Args:
        folder: holds one or both of them.

    Raises:
        BadValue: if the folder is not there or holds neither.
    """
    require_folder(folder, flag="--media")
    if not any((folder / name).is_dir() for name, _ in SUFFIXES.values()):
        raise BadValue(f"{folder} holds neither images/ nor audio/. --media needs files named images/<asin>.jpg or audio/<asin>.wav.")
    rows: list[tuple[str, str, int, str]] = []
    listing: list[list[object]] = []
    for modality, (name, suffixes) in SUFFIXES.items():
        positions: dict[str, int] = {}
        for entry in _media_files(folder / name, suffixes):
            key = entry.name.rpartition(".")[0]
            position = positions[key] = positions.get(key, -1) + 1
            rows.append((key, modality.value, position, str(Path(entry.path).absolute())))
            details = entry.stat()
            listing.append([name, entry.name, details.st_size, details.st_mtime_ns])
    return MediaFolder(pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row"), listing)


def _media_files(folder: Path, suffixes: tuple[str, ...]) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [e for e in entries if e.name.rpartition(".")[2].lower() in suffixes and _is_text(e.path) and e.is_file()]
    return sorted(found, key=lambda entry: entry.name)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8; one that is not can be the key of no item."""
    return not any("\udc80" <= character <= "\udcff" for character in name)
