"""Items with several pictures: reading their means as stored, against computing them at every read, in one store."""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from schemas import feature_sets
from schemas.contracts import EncoderIdentity, Modality
from schemas.store import Store

PAGE = 500  # items written at a time


def fill(path: Path, *, n_items: int, pictures: int, width: int) -> float:
    """A store of random vectors; the seconds that finishing its feature set took."""
    generator = np.random.default_rng(0)
    with Store(path, mode="write") as store:
        items = pl.DataFrame({"item_idx": range(n_items), "item_key": [f"i{i}" for i in range(n_items)], "in_metadata": [True] * n_items})
        store.append("items", items.with_columns(categories=pl.lit([], dtype=pl.List(pl.String))))
        made = feature_sets.register(store, Modality.VISUAL, EncoderIdentity("generated", "none", "", width, "none"))
        for first in range(0, n_items, PAGE):
            of_item = np.repeat(np.arange(first, min(first + PAGE, n_items), dtype=np.int32), pictures)
            position = np.tile(np.arange(pictures, dtype=np.int32), len(of_item) // pictures)
            names = [f"{item:032x}{place:032x}" for item, place in zip(of_item, position, strict=True)]
            vectors = generator.normal(size=(len(names), width)).astype(np.float32)
            with store.transaction():
                feature_sets.append_vectors(store, made, pl.DataFrame({"content_sha256": names, "vector": vectors}))
                feature_sets.append_rows(store, made, pl.DataFrame({"item_idx": of_item, "position": position, "content_sha256": names}))
        started = time.perf_counter()
        feature_sets.finish(store, made, n_failed=0, seconds=0.0)
        return time.perf_counter() - started


def read(path: Path, *, rounds: int) -> float:
    """Median seconds of reading the view."""
    seconds = []
    with Store(path, mode="read") as store:
        for _ in range(rounds):
            started = time.perf_counter()
            store.query("SELECT item_idx, vector FROM features_visual")
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def measure(folder: Path, *, n_items: int = 4_000, pictures: int = 2, width: int = 4_096, rounds: int = 3) -> dict[str, float]:
    """Seconds of finishing and reading with stored means, and of reading without."""
    path = folder / "means.duckdb"
    finishing = fill(path, n_items=n_items, pictures=pictures, width=width)
    stored = read(path, rounds=rounds)
    with Store(path, mode="write") as store:
        store.run("DELETE FROM item_means")
    computed = read(path, rounds=rounds)
    return {"finishing": finishing, "stored": stored, "computed": computed, "ratio": stored / computed}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=4_000)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--width", type=int, default=4_096)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), n_items=options.items, pictures=options.pictures, width=options.width)
    print(json.dumps({"benchmark": "item_means", **vars(options), **{name: round(value, 4) for name, value in found.items()}}))
