"""A catalogue of a few items as a pull leaves it, for tests of extraction; and a store's tables in a comparable form."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from schemas.contracts import Modality
from schemas.store import Store

ASSET = {
    "item_idx": pl.Int32, "modality": pl.String, "position": pl.Int32, "location": pl.String,
    "content_sha256": pl.String, "status": pl.String, "reason": pl.String,
}  # fmt: skip
ITEM = {
    "item_idx": pl.Int32, "item_key": pl.String, "title": pl.String, "description": pl.String, "brand": pl.String,
    "categories": pl.List(pl.String), "in_metadata": pl.Boolean,
}  # fmt: skip
Text = tuple[str | None, str | None]


WRITTEN = ("assets", "feature_rows", "item_means", "feature_failures", "rejects", "modality_availability")
Asset = tuple[int, str, int, str, None, str, str | None]


def write_catalogue(path: Path, texts: Sequence[Text], *, files: Mapping[Modality, Mapping[int, Sequence[Path | str]]] | None = None) -> Path:
    """A store whose item i has the i-th title and description, and per modality the files named for it.

    A file given as text is an address that nobody has fetched.
    """
    with Store(path, mode="write") as store, store.transaction():
        add_items(store, texts)
        for modality, of_items in (files or {}).items():
            assets = [asset for item in range(len(texts)) for asset in _file_assets(modality, item, of_items.get(item, ()))]
            store.append("assets", pl.DataFrame(assets, schema=ASSET, orient="row"))
    return path


def add_items(store: Store, texts: Sequence[Text]) -> None:
    """More items, numbered on."""
    first = store.query("SELECT count(*) AS n FROM items").item()
    rows = [(item, f"k{item}", title, description, f"brand {item}", ["a", "b"], True) for item, (title, description) in enumerate(texts, start=first)]
    store.append("items", pl.DataFrame(rows, schema=ITEM, orient="row"))
    assets: list[Asset] = []
    for item, text in enumerate(texts, start=first):
        for position, (name, content) in enumerate(zip(("title", "description"), text, strict=True)):
            assets.append((item, "text", position, f"items.{name}", None, *(("ok", None) if content else ("absent", f"no {name}"))))
    store.append("assets", pl.DataFrame(assets, schema=ASSET, orient="row"))


def _file_assets(modality: Modality, item: int, files: Sequence[Path | str]) -> list[Asset]:
    if not files:
        return [(item, modality.value, 0, "", None, "absent", f"no {modality} file")]
    states = [("pending", "file not read yet") if isinstance(file, Path) else ("not_fetched", "address not fetched") for file in files]
    return [(item, modality.value, position, str(file), None, *state) for position, (file, state) in enumerate(zip(files, states, strict=True))]


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything an extraction writes, times left out, in one order."""
    with Store(path, mode="read") as store:
        sets = store.query("SELECT * EXCLUDE (seconds, created_at, finished_at), finished_at IS NOT NULL AS finished FROM feature_sets ORDER BY ALL")
        found = {name: store.query(f"SELECT * FROM {name} ORDER BY ALL") for name in WRITTEN}
        for number in sets["feature_set_id"]:
            found[f"vectors_{number}"] = store.query(f"SELECT content_sha256, vector FROM vectors_{number} ORDER BY content_sha256")
    contents = {name: frame.rows() for name, frame in {**found, "feature_sets": sets}.items()}
    return {name: [tuple(_comparable(value) for value in row) for row in rows] for name, rows in contents.items()}


def _comparable(value: object) -> object:
    return tuple(value) if isinstance(value, list | pl.Series) else value


def violations(path: Path) -> dict[str, list[dict[str, object]]]:
    """The store's broken rules; empty where all is well."""
    with Store(path, mode="read") as store:
        return {rule: rows.to_dicts() for rule, rows in store.violations().items() if rows.height}


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of one question to a closed store."""
    with Store(path, mode="read") as store:
        return store.query(sql).rows()
