"""Catalogues for the benchmarks of extraction: texts of real stores or generated ones, and generated pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from schemas.contracts import Modality
from schemas.store import Store

#: Items written at a time.
PAGE = 10_000


def texts(n: int, *, stores: Sequence[Path] = ()) -> list[tuple[str, str | None]]:
    """Title and description of n items: of the items of stores that have a title; without stores generated, 4 to 200 words long."""
    if not stores:
        return list(generated(n))
    found: list[tuple[str, str | None]] = []
    for path in stores:
        with Store(path, mode="read") as store:
            found += store.query("SELECT title, description FROM items WHERE title IS NOT NULL ORDER BY item_idx").rows()
    return found[:n]


def generated(n: int) -> Iterator[tuple[str, str]]:
    """Titles of some words and descriptions of lognormal length, all different."""
    generator = np.random.default_rng(0)
    words = np.array(["".join(letters) for letters in generator.choice(list("abcdefghilmnoprstu"), size=(20_000, 6))])
    for item in range(n):
        length = int(np.clip(generator.lognormal(3.3, 1.0), 4, 200))
        drawn = words[(len(words) * generator.random(6 + length) ** 3).astype(int)]
        yield f"{item} {' '.join(drawn[:6])}", " ".join(drawn[6:])


def write_texts(path: Path, contents: Sequence[tuple[str, str | None]]) -> Path:
    """A store of items with texts."""
    with Store(path, mode="write") as store:
        for first in range(0, len(contents), PAGE):
            _add_items(store, first, contents[first : first + PAGE])
    return path


def write_pictures(path: Path, folder: Path, *, n: int, side: int) -> Path:
    """A store of items with a JPEG each, all different, in a folder."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    with Store(path, mode="write") as store:
        for first in range(0, n, PAGE):
            items = range(first, min(first + PAGE, n))
            files = [_picture(folder / f"{item}.jpg", generator.integers(0, 256, (8, 8, 3), dtype=np.uint8), side) for item in items]
            _add_items(store, first, [(f"item {item}", None) for item in items])
            assets = {"item_idx": list(items), "modality": Modality.VISUAL.value, "position": 0, "location": files}
            store.append("assets", pl.DataFrame(assets | {"status": "pending", "reason": "file not read yet"}))
    return path


def _add_items(store: Store, first: int, contents: Sequence[tuple[str, str | None]]) -> None:
    items = {"item_idx": range(first, first + len(contents)), "item_key": [f"i{first + item}" for item in range(len(contents))]}
    columns = {"title": [title for title, _ in contents], "description": [description for _, description in contents], "in_metadata": True}
    frame = pl.DataFrame(items | columns, schema_overrides={"item_idx": pl.Int32, "description": pl.String})
    store.append("items", frame.with_columns(categories=pl.lit([], dtype=pl.List(pl.String))))


def _picture(path: Path, coarse: NDArray[np.uint8], side: int) -> str:
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    return str(path)
