"""Media that a table of items names: paths relative to its folder, or addresses; and the assets of items that have media.

Paths come from strangers: one that is absolute, holds `..` or leads out of the folder over a link is never opened, and becomes
an asset that says so. Nothing is fetched here.
"""

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from milkprep.pull import tables
from milkprep.pull.delimited import LINE
from milkprep.pull.media_folder import AUDIO, IMAGES, NOT_READ, OUTSIDE, VIDEO, MediaFolder, digest_of, is_inside
from milkprep.pull.tables import Table
from schemas import queries
from schemas.contracts import AssetStatus
from schemas.reporting import Reporter
from schemas.store import Store

#: The kind of media that each role of a column names.
KINDS = {"image": IMAGES, "audio": AUDIO, "video": VIDEO}
ADDRESS = re.compile(r"https?://\S", re.IGNORECASE)
OTHER_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|(data|file|javascript):", re.IGNORECASE)
DRIVE = re.compile(r"[a-z]:", re.IGNORECASE)
NO_FILE, NOT_FETCHED = "there is no such file in the folder", "address not fetched"
NO_ADDRESS, NOT_ORDINARY = "neither a path nor an http or https address", "not an ordinary file"
#: Rules of the report that a reason of an asset counts for.
COUNTED = {"media_outside": OUTSIDE, "media_not_there": NO_FILE, "media_no_address": NO_ADDRESS, "media_not_ordinary": NOT_ORDINARY}
PLACEHOLDER, PLACEHOLDER_REASON = "no-img-sm", "only a 'no image' placeholder"
SHOWN_CHARACTERS = 500
SCHEMA = {
    "line": pl.Int64, "kind": pl.String, "position": pl.Int32, "location": pl.String, "content_sha256": pl.String, "status": pl.String,
    "reason": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnMedia:
    """What the media columns of a table name.

    Args:
        named: one row a path or address: `line` of the table, `kind`, `position` in its column, `location`, `content_sha256`,
            `status` and `reason`.
        digest: of all that was found, so that another picture under the same name is another pull; None without such columns.
    """

    named: pl.DataFrame
    digest: str | None


def read(table: Table | None, columns: Mapping[str, str], *, root: Path, reporter: Reporter) -> ColumnMedia:
    """Look up everything that the media columns of a table name.

    Args:
        table: the items, if there is a table of them.
        columns: its columns by role.
        root: paths are relative to this folder, and lead nowhere else.
        reporter: told the bytes that were read.

    Raises:
        SourceError: if the table is damaged.
    """
    used = {KINDS[role]: name for role, name in columns.items() if role in KINDS}
    frames, digest, seen, done = [pl.DataFrame(schema=SCHEMA)], hashlib.sha256(), dict[str, str | None](), 0
    if table is None or not used:
        return ColumnMedia(frames[0], None)
    with reporter.progress(f"looking for media of {table.label}", total=table.path.stat().st_size, unit="bytes") as progress:
        for batch in tables.read(table, columns=list(dict.fromkeys(used.values())), lists=list(used.values())):
            rows: list[tuple[int, str, int, str, str | None, str, str]] = []
            for kind, name in used.items():
                for line, values in batch.frame.select(LINE, name).iter_rows():
                    rows += [(line, kind, place, *_looked_up(value, root, seen)) for place, value in enumerate(dict.fromkeys(values))]
            digest.update(json.dumps([(line, kind, place, sha256, reason) for line, kind, place, _, sha256, _, reason in rows]).encode())
            frames.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
            progress.advance(batch.bytes_read - done)
            done = batch.bytes_read
    return ColumnMedia(pl.concat(frames), digest.hexdigest())


def located(value: str, *, root: Path) -> tuple[str, AssetStatus, str]:
    r"""Where a path or an address leads: location, status and reason.

    Args:
        value: as it stands in the table; a backslash separates folders too.
        root: the folder that paths are relative to.

    Example:
        >>> located("../secret.jpg", root=Path("/shop"))
        ('../secret.jpg', <AssetStatus.ABSENT: 'absent'>, 'path outside the folder')
    """
    shown = value[:SHOWN_CHARACTERS]
    if ADDRESS.match(value):
        return (shown, AssetStatus.ABSENT, PLACEHOLDER_REASON) if PLACEHOLDER in value else (value, AssetStatus.NOT_FETCHED, NOT_FETCHED)
    if OTHER_ADDRESS.match(value):
        return shown, AssetStatus.ABSENT, NO_ADDRESS
    path = PurePosixPath(value.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or DRIVE.match(value) or "\0" in value:
        return shown, AssetStatus.ABSENT, OUTSIDE
    try:
        if not is_inside(root / path, root):
            return shown, AssetStatus.ABSENT, OUTSIDE
        if not stat.S_ISREG((root / path).stat().st_mode):
            return shown, AssetStatus.ABSENT, NOT_ORDINARY
    except (OSError, ValueError):
        return shown, AssetStatus.ABSENT, NO_FILE
    return str((root / path).absolute()), AssetStatus.PENDING, NOT_READ


def create_tables(store: Store) -> None:
    """Make the temporary tables `column_media`, `named_media` and `unread_media`, empty."""
    store.run(_sql()["create"])


def stage(store: Store, *, from_columns: ColumnMedia, from_folders: MediaFolder) -> None:
    """Bring media into their temporary tables."""
    store.append("column_media", from_columns.named)
    store.append("named_media", from_folders.found)
    store.append("unread_media", pl.DataFrame({"location": from_folders.unread}, schema={"location": pl.String}))


def counts(store: Store) -> dict[str, int]:
    """Counts for the report, by rule; `kept_items` has to be there."""
    sql = _sql()
    return {
        "media_without_item": int(store.query(sql["count_without_item"]).item()),
        "media_unknown_ending": int(store.query(sql["count_unread"]).item()),
        **{rule: int(store.query(sql["count_reason"], reason=reason).item()) for rule, reason in COUNTED.items()},
    }


def write_assets(store: Store) -> None:
    """Write the visual and audio assets, also of items that have none. Call inside a transaction."""
    sql = _sql()
    store.run(sql["find_contents"])
    store.run(sql["write_contents"])
    store.run(sql["write_absent"])


def _looked_up(value: str, root: Path, seen: dict[str, str | None]) -> tuple[str, str | None, str, str]:
    """Location, digest, status and reason; each file is read once, however many items name it."""
    location, status, reason = located(value, root=root)
    if status is AssetStatus.PENDING and location not in seen:
        seen[location] = digest_of(Path(location))
    return location, seen.get(location) if status is AssetStatus.PENDING else None, status.value, reason


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "column_media.sql")
