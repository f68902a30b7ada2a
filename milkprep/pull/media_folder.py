"""Pictures, sound and video that lie beside the raw files: `images/<item key>.jpg`, `audio/<item key>.wav`, `video/<item key>.mp4`.

Keys come from data and are never made into paths: a folder is listed once, and its names are matched to keys. A video is
content of two modalities: a visual one, after the item's pictures, and its sound where the item has no file of sound.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from milkprep.pull.input_files import require_folder
from schemas import fingerprint
from schemas.contracts import AssetStatus, Modality
from schemas.errors import BadValue
from schemas.reporting import Reporter

#: Kinds of media, which are the names of their folders, and the endings of their files.
IMAGES, AUDIO, VIDEO = "images", "audio", "video"
SUFFIXES = {
    IMAGES: ("jpg", "jpeg", "png", "webp", "gif"),
    AUDIO: ("wav", "mp3", "flac", "ogg", "m4a"),
    VIDEO: ("mp4", "webm", "mkv", "mov"),
}
FOUND_SCHEMA = {
    "item_key": pl.String, "kind": pl.String, "location": pl.String, "content_sha256": pl.String, "status": pl.String, "reason": pl.String,
}  # fmt: skip
NOT_READ = "file not read yet"
OUTSIDE = "path outside the folder"


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """What folders of media hold.

    Args:
        found: one row a file, in the order of names: `item_key` (its name without suffix), `kind` (`images`, `audio`, `video`),
            `location` (absolute path), `content_sha256` (NULL where it cannot be read), `status`, `reason`.
        listing: kind, name and SHA-256 of each file, sorted; None for the digest of one that cannot be read.
        unread: absolute paths of files whose names end in nothing that is known; hidden ones are not among them.
    """

    found: pl.DataFrame
    listing: list[list[str | None]]
    unread: Sequence[str] = ()

    @property
    def files(self) -> pl.DataFrame:
        """Rows of `staged_media`: `item_key`, `modality`, `position` among the contents of that item, `location`, `content_sha256`."""
        usable = self.found.filter(pl.col("status") == AssetStatus.PENDING.value)
        audio = usable.filter(pl.col("kind") == AUDIO)
        video = usable.filter(pl.col("kind") == VIDEO)
        visual = pl.concat([usable.filter(pl.col("kind") == IMAGES), video]).with_columns(modality=pl.lit(Modality.VISUAL.value))
        sound = pl.concat([audio, video.join(audio, on="item_key", how="anti")]).with_columns(modality=pl.lit(Modality.AUDIO.value))
        position = pl.int_range(pl.len(), dtype=pl.Int32).over("item_key", "modality")
        return pl.concat([visual, sound]).select("item_key", "modality", position.alias("position"), "location", "content_sha256")


def read(folder: Path, *, reporter: Reporter) -> MediaFolder:
    """List `images/`, `audio/` and `video/` of a folder; other files are ignored.

    Args:
        folder: holds at least one of them.
        reporter: told each file that was read.

    Raises:
        BadValue: if the folder is not there or holds none of them.
    """
    require_folder(folder, flag="--media")
    places = places_in(folder)
    if not places:
        raise BadValue(f"{folder} holds neither images/, audio/ nor video/. --media needs files named images/<asin>.jpg or audio/<asin>.wav.")
    return listed(places, reporter=reporter)


def places_in(folder: Path) -> dict[str, Path]:
    """The folders of media that a folder holds, by kind."""
    return {kind: folder / kind for kind in SUFFIXES if (folder / kind).is_dir()}


def listed(places: Mapping[str, Path], *, within: Path | None = None, reporter: Reporter) -> MediaFolder:
    """List folders of media.

    Every file is read once for its digest: times of change say nothing, a folder that is copied or written again is the same. Videos
    too, though they may be large: by its digest content is known again, and vectors stay when a catalogue is replaced.

    Args:
        places: a folder a kind.
        within: files that lie outside of this folder once links are followed are refused, and not read.
        reporter: told each file that was read.
    """
    rows: list[tuple[str, str, str, str | None, str, str]] = []
    listing: list[list[str | None]] = []
    found = [(kind, files_in(places[kind], kind=kind)) for kind in SUFFIXES if kind in places]
    with reporter.progress("fingerprinting media", total=sum(len(files) for _, files in found), unit="files") as progress:
        for kind, files in found:
            for entry in files:
                inside = within is None or is_inside(entry.path, within)
                sha256 = digest_of(Path(entry.path)) if inside else None
                status, reason = (AssetStatus.PENDING, NOT_READ) if inside else (AssetStatus.ABSENT, OUTSIDE)
                rows.append((entry.name.rpartition(".")[0], kind, str(Path(entry.path).absolute()), sha256, status.value, reason))
                listing.append([kind, entry.name, sha256])
                progress.advance()
    unread = [path for kind in SUFFIXES if kind in places for path in _unread(places[kind], kind=kind)]
    return MediaFolder(pl.DataFrame(rows, schema=FOUND_SCHEMA, orient="row"), listing, unread)


def is_inside(path: str | Path, folder: Path) -> bool:
    """Whether a path leads into a folder once links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def digest_of(file: Path) -> str | None:
    """Digest of a file; None where it cannot be read, which is for the extraction to tell."""
    try:
        return fingerprint.of_file(file)
    except OSError:
        return None


def files_in(folder: Path, *, kind: str) -> list[os.DirEntry[str]]:
    """Files of a kind in a folder, by name."""
    with os.scandir(folder) as entries:
        found = [e for e in entries if _is_read(e.name, kind) and _is_text(e.path) and e.is_file()]
    return sorted(found, key=lambda entry: entry.name)


def _unread(folder: Path, *, kind: str) -> list[str]:
    with os.scandir(folder) as entries:
        found = [e for e in entries if not _is_read(e.name, kind) and not e.name.startswith(".") and _is_text(e.path) and e.is_file()]
    return sorted(str(Path(entry.path).absolute()) for entry in found)


def _is_read(name: str, kind: str) -> bool:
    return name.rpartition(".")[2].lower() in SUFFIXES[kind]


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8; one that is not can be the key of no item."""
    return not any("\udc80" <= character <= "\udcff" for character in name)
