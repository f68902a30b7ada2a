"""Stores whose items are shown at addresses of the local server, and runs of fetch-media over them."""

import io
from pathlib import Path

import numpy as np
from local_server import Page, serve
from media_samples import gradient
from PIL import Image
from small_catalogue import query, violations, write_catalogue

from milkprep.media.fetch import FetchOptions, FetchReport, fetch_media
from schemas.contracts import Modality
from schemas.reporting import Silent


def picture(shift: int = 0, suffix: str = ".png") -> bytes:
    """A small picture, another for each shift."""
    file = io.BytesIO()
    Image.fromarray(np.roll(gradient(12, 16), shift, axis=1)).save(file, {".png": "PNG", ".jpg": "JPEG"}[suffix])
    return file.getvalue()


def catalogue(folder: Path, *addresses: str, modality: Modality = Modality.VISUAL) -> Path:
    """A store whose item i is shown at the i-th address."""
    files = {modality: {item: [address] for item, address in enumerate(addresses)}}
    return write_catalogue(folder / "s.duckdb", [("a", None)] * len(addresses), files=files)


def run(path: Path, modality: Modality = Modality.VISUAL, **options: object) -> FetchReport:
    """A run that may ask this machine, unless it says otherwise."""
    return fetch_media(path, modality=modality, options=FetchOptions(**{"allow_private": True, **options}), reporter=Silent())


def states(path: Path) -> list[tuple[object, ...]]:
    """Status and reason of each item's asset."""
    return query(path, "SELECT status, reason FROM assets WHERE modality <> 'text' ORDER BY item_idx, position")


def outcome(tmp_path: Path, page: Page | list[Page], **options) -> tuple[object, ...]:
    """What becomes of one page."""
    with serve({"/a": page}) as server:
        path = catalogue(tmp_path, server.address("/a"))
        run(path, **options)
    assert violations(path) == {}
    assert query(path, "SELECT status, reason FROM downloads") == states(path)
    return states(path)[0]
