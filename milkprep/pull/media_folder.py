"""Pictures and audio that lie beside the raw files: `images/<item key>.jpg`, `audio/<item key>.wav`.

Keys come from data and are never made into paths: a folder is listed once, and its names are matched to keys.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull.input_files import require_folder
from schemas import fingerprint
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Reporter

SUFFIXES = {
    Modality.VISUAL: ("images", ("jpg", "jpeg", "png", "webp", "gif")),
    Modality.AUDIO: ("audio", ("wav", "mp3", "flac", "ogg", "m4a")),
}
FRAME_SCHEMA = {"item_key": pl.String, "modality": pl.String, "position": pl.Int32, "location": pl.String, "content_sha256": pl.String}


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """What a media folder holds.

    Args:
        files: one row a file: `item_key` (its name without suffix), `modality`, `position` among the files of that item,
            `location` (absolute path), `content_sha256` (NULL where it cannot be read).
        listing: `images` or `audio`, name and SHA-256 of each file, sorted; None for the digest of one that cannot be read.
    """

    files: pl.DataFrame
    listing: list[list[str | None]]


def read(folder: Path, *, reporter: Reporter) -> MediaFolder:
    """List `images/` and `audio/` of a folder; other files are ignored.

    Every file is read once for its digest: times of change say nothing, a folder that is copied or written again is the same.

    Args:
        folder: holds one or both of them.
        reporter: told each file that was read.

    Raises:
        BadValue: if the folder is not there or holds neither.
    """
    require_folder(folder, flag="--media")
    if not any((folder / name).is_dir() for name, _ in SUFFIXES.values()):
        raise BadValue(f"{folder} holds neither images/ nor audio/. --media needs files named images/<asin>.jpg or audio/<asin>.wav.")
    rows: list[tuple[str, str, int, str, str | None]] = []
    listing: list[list[str | None]] = []
    found = [(modality, name, _media_files(folder / name, suffixes)) for modality, (name, suffixes) in SUFFIXES.items()]
    with reporter.progress("fingerprinting media", total=sum(len(files) for *_, files in found), unit="files") as progress:
        for modality, name, files in found:
            positions: dict[str, int] = {}
            for entry in files:
                key = entry.name.rpartition(".")[0]
                position = positions[key] = positions.get(key, -1) + 1
                sha256 = _digest(Path(entry.path))
                rows.append((key, modality.value, position, str(Path(entry.path).absolute()), sha256))
                listing.append([name, entry.name, sha256])
                progress.advance()
    return MediaFolder(pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row"), listing)


def _digest(file: Path) -> str | None:
    """Digest of a file; None where it cannot be read, which is for the extraction to tell."""
    try:
        return fingerprint.of_file(file)
    except OSError:
        return None


def _media_files(folder: Path, suffixes: tuple[str, ...]) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [e for e in entries if e.name.rpartition(".")[2].lower() in suffixes and _is_text(e.path) and e.is_file()]
    return sorted(found, key=lambda entry: entry.name)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8; one that is not can be the key of no item."""
    return not any("\udc80" <= character <= "\udcff" for character in name)
