"""A folder that is there completely or not at all, and that never takes the place of what somebody else put there.

What is written lies in a hidden folder beside it until all of it is on the disk. An earlier export is known by its record.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas import durable, fingerprint
from schemas.errors import BadValue

#: The file in which an export says what it is.
RECORD = "export.json"


def refuse(folder: Path, *, replace: bool) -> None:
    """Refuse a place that cannot take an export.

    Args:
        folder: where it should lie; absent, empty, or an earlier export that may be replaced.
        replace: whether an earlier export may go.

    Raises:
        BadValue: if it is a file, lies in no folder, or holds something that would be lost.
    """
    if not folder.absolute().parent.is_dir():
        raise BadValue(f"{folder} lies in no folder: {folder.absolute().parent} is not there. Create it, or name another place with --out.")
    if folder.exists() and not folder.is_dir():
        raise BadValue(f"{folder} is a file. Name a folder with --out.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    foreign = _foreign(folder)
    if foreign is not None:
        raise BadValue(f"{folder} holds {foreign}, which no export wrote and which would be lost. Name another folder with --out.")
    if not replace:
        raise BadValue(f"{folder} holds an export already. Give --replace to write it anew, or name another folder with --out.")


def _foreign(folder: Path) -> str | None:
    """The first file of a folder that its record does not name, None where there is none."""
    try:
        ours = {RECORD, *json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, LookupError, TypeError):
        ours = set()
    return next((path.name for path in sorted(folder.iterdir()) if path.name not in ours), None)


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A hidden folder that becomes `folder` when the block ends well, in place of one that was there, and vanishes otherwise.

    Args:
        folder: see `refuse`.
    """
    place = folder.resolve()  # behind a link: the link stays
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    old = partial.with_name(partial.name + ".old")
    try:
        yield partial
        for file in [*partial.iterdir(), partial]:
            durable.sync(file)
        partial.chmod(0o755)
        if place.exists():
            place.rename(old)
        partial.rename(place)
        durable.sync(place.parent)
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_record(folder: Path, what: dict[str, object]) -> dict[str, int]:
    """Write what an export is, with size and digest of each file that lies there.

    Args:
        folder: the hidden folder, with every other file written.
        what: JSON-serialisable.

    Returns:
        Size in bytes of each file, by name; the record's own not among them.
    """
    files = {path.name: {"bytes": path.stat().st_size, "sha256": fingerprint.of_file(path)} for path in sorted(folder.iterdir())}
    text = json.dumps(what | {"files": files}, indent=2, sort_keys=True, allow_nan=False) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")
    return {name: int(str(about["bytes"])) for name, about in files.items()}
