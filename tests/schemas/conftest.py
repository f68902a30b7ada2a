"""A store small enough to reason about by hand, filled at every stage, with nothing wrong in it."""

from datetime import datetime

import polars as pl
import pytest
from handmade import ENCODER, add_assets, rows, vectors

from schemas import feature_sets
from schemas.contracts import Modality
from schemas.store import Store


@pytest.fixture
def catalogue(store: Store) -> Store:
    """Two users and four items with five interactions, and no content yet."""
    store.append("users", pl.DataFrame({"user_idx": [0, 1], "user_key": ["anna", "ben"]}))
    items = {"item_idx": [0, 1, 2, 3], "item_key": ["A", "B", "C", "D"], "title": ["a", "b", "c", None], "in_metadata": [True] * 4}
    store.append("items", pl.DataFrame(items, schema_overrides={"title": pl.String}).with_columns(categories=pl.lit([], dtype=pl.List(pl.String))))
    pairs = {"user_idx": [0, 0, 1, 1, 1], "item_idx": [0, 1, 1, 2, 3], "rating": [5.0, 4.0, 3.0, 5.0, 1.0]}
    store.append("interactions", pl.DataFrame(pairs).with_columns(timestamp=pl.lit(datetime(2018, 1, 1))))
    return store


@pytest.fixture
def filled(catalogue: Store) -> Store:
    """The catalogue with text vectors of A, B and C, a picture of A, and the split ftmt-0 that takes A's picture away."""
    add_assets(
        catalogue,
        (0, "text", 0, "t0", "ok", None),
        (1, "text", 0, "t1", "ok", None),
        (2, "text", 0, "t1", "ok", None),
        (3, "text", 0, None, "absent", "the title is empty"),
        (0, "visual", 0, "v0", "ok", None),
        (1, "visual", 0, None, "not_fetched", "its address was not fetched"),
    )
    contents = {Modality.TEXT: {"t0": [1.0, 0.0], "t1": [0.0, 1.0]}, Modality.VISUAL: {"v0": [3.0, 4.0]}}
    places = {Modality.TEXT: rows((0, 0, "t0"), (1, 0, "t1"), (2, 0, "t1")), Modality.VISUAL: rows((0, 0, "v0"))}
    for modality, embedded in contents.items():
        made = feature_sets.register(catalogue, modality, ENCODER)
        with catalogue.transaction():
            feature_sets.append_vectors(catalogue, made, vectors(embedded))
            feature_sets.append_rows(catalogue, made, places[modality])
        feature_sets.finish(catalogue, made, n_failed=0, seconds=1.0)
    catalogue.append("split_items", pl.DataFrame({"split_id": [1] * 4, "item_idx": [0, 1, 2, 3], "part": ["train", "train", "val", "test"]}))
    cells = [(1, i, m, i < 3 if m == "text" else i == 0, (i, m) == (0, "visual")) for i in range(4) for m in ("visual", "text")]
    catalogue.append("split_availability", pl.DataFrame(cells, schema=["split_id", "item_idx", "modality", "present", "lost"], orient="row"))
    return catalogue
