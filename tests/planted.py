"""A store whose right answer is known: content says which theme an item has, users interact with their theme only."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from schemas import feature_sets
from schemas.contracts import EncoderIdentity, Modality
from schemas.store import Store

WIDTH = 8


def fill(
    path: Path, *, n_users: int = 60, n_items: int = 120, n_themes: int = 4, per_user: int = 15, seed: int = 0,
    modalities: tuple[Modality, ...] = (Modality.VISUAL, Modality.TEXT, Modality.AUDIO), order: np.ndarray | None = None,
) -> Path:  # fmt: skip
    """Write the store. Item i has theme i % n_themes; each modality shows the theme's direction plus a little noise.

    `order` permutes the rows in which vectors and interactions are written, which must change nothing.
    """
    generator = np.random.default_rng(seed)
    theme = np.arange(n_items) % n_themes
    pairs = [(u, i) for u in range(n_users) for i in sorted(generator.choice(np.flatnonzero(theme == u % n_themes), per_user, replace=False))]
    contents = {m: _features(theme, n_themes, generator) for m in modalities}
    order = np.arange(n_items) if order is None else order
    with Store(path, mode="write") as store:
        store.append("users", pl.DataFrame({"user_idx": range(n_users), "user_key": [f"u{u}" for u in range(n_users)]}))
        items = pl.DataFrame({"item_idx": range(n_items), "item_key": [f"i{i}" for i in range(n_items)], "in_metadata": [True] * n_items})
        store.append("items", items.with_columns(categories=pl.lit([], dtype=pl.List(pl.String))))
        chosen = pl.DataFrame(pairs, schema=["user_idx", "item_idx"], orient="row").sample(fraction=1, shuffle=True, seed=int(order[0]))
        store.append("interactions", chosen.with_columns(timestamp=pl.lit(datetime(2020, 1, 1))))
        store.append("pulls", pl.DataFrame([_pull(seed)]))
        for modality, vectors in contents.items():
            _embed(store, modality, vectors, order)
    return path


def _features(theme: np.ndarray, n_themes: int, generator: np.random.Generator) -> np.ndarray:
    directions = generator.normal(size=(n_themes, WIDTH))
    return (directions[theme] + 0.1 * generator.normal(size=(len(theme), WIDTH))).astype("float32")


def _embed(store: Store, modality: Modality, vectors: np.ndarray, order: np.ndarray) -> None:
    made = feature_sets.register(store, modality, EncoderIdentity("planted", "none", "", WIDTH, "none"))
    names = [f"{modality}-{i}" for i in order]
    index = order.astype("int32")
    store.append("assets", pl.DataFrame({"item_idx": index, "content_sha256": names}).with_columns(
        modality=pl.lit(modality.value), position=pl.lit(0), location=pl.lit("planted"), status=pl.lit("ok")))  # fmt: skip
    with store.transaction():
        feature_sets.append_vectors(store, made, pl.DataFrame({"content_sha256": names, "vector": vectors[order]}))
        feature_sets.append_rows(store, made, pl.DataFrame({"item_idx": index, "position": [0] * len(index), "content_sha256": names}))
    feature_sets.finish(store, made, n_failed=0, seconds=0.0)


def _pull(seed: int) -> dict[str, object]:
    return {
        "pull_id": 1, "source": "planted", "parameters": "{}", "inputs": "[]", "fingerprint": f"planted-{seed}",
        "catalogue_fingerprint": f"planted-{seed}", "report": "{}", "toolkit_version": "0", "pulled_at": datetime(2020, 1, 1),
    }  # fmt: skip
