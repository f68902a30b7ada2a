"""Somebody's own catalogue, written by hand, and what a store holds of it."""

from pathlib import Path

from raw_files import table

from milkprep.sources import PullReport, folder
from schemas.reporting import Silent

ITEMS = "item,title\na,Apple\nb,Bread\n"
PAIRS = "user,item\nu1,a\nu2,b\n"


def write(folder_: Path, *, interactions: str | bytes = PAIRS, items: str | bytes | None = ITEMS, suffix: str = "csv") -> Path:
    """A folder with tables."""
    folder_.mkdir(parents=True, exist_ok=True)
    for stem, content in (("interactions", interactions), ("items", items)):
        if content is not None:
            (folder_ / f"{stem}.{suffix}").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder_


def media(folder_: Path, *names: str) -> None:
    """Files with their own names for content."""
    for name in names:
        (folder_ / name).parent.mkdir(parents=True, exist_ok=True)
        (folder_ / name).write_bytes(name.encode())


def pull(place: Path, shop: Path, **options) -> PullReport:
    """Pull a folder into the store of another."""
    return folder.pull(place / "s.duckdb", folder=shop, reporter=Silent(), **options)


def assets(place: Path, modality: str) -> list[tuple[object, ...]]:
    """(item key, position, location, status, reason) of a modality."""
    return table(
        place,
        f"SELECT item_key, position, location, status, reason FROM assets JOIN items USING (item_idx) WHERE modality = '{modality}' ORDER BY ALL",
    )
