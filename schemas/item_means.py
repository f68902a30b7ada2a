"""Means of items with several contents, stored once a feature set so that no reader computes them.

Promises: a mean is the float64 mean of the item's vectors, in the order of their digests, rounded once to float32, so that it
depends on nothing but which contents they are; means that still hold are left alone; no more than a bounded chunk of vectors is
in memory. A mean that no longer holds is never shown: the view compares contents, and this module takes such means away.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from schemas import queries
from schemas.contracts import FeatureSet
from schemas.store import Store

#: Most bytes of vectors held at once; a single item's vectors may be more.
CHUNK_BYTES = 64 << 20


def refresh_inside(store: Store, feature_set: FeatureSet) -> int:
    """Make the stored means those of the rows as they are now; call inside a transaction.

    Args:
        store: open for writing.
        feature_set: whose means.

    Returns:
        The number of means computed.
    """
    sql, number = _sql(), feature_set.feature_set_id
    store.run(sql["forget_stale"], feature_set_id=number)
    lacking = store.query(sql["lacking"], feature_set_id=number)
    for chunk in _chunks(lacking, most=max(1, CHUNK_BYTES // (4 * feature_set.identity.width))):
        _store_means(store, feature_set, chunk)
    return lacking.height


def forget_inside(store: Store, feature_set: FeatureSet, item_idx: pl.Series) -> None:
    """Take away the means of items whose rows are about to change; call inside the transaction that changes them.

    Args:
        store: open for writing.
        feature_set: whose means.
        item_idx: the items.
    """
    with store.registered("changed_items", pl.DataFrame({"item_idx": item_idx})):
        store.run(_sql()["forget_of_items"], feature_set_id=feature_set.feature_set_id)


def _chunks(lacking: pl.DataFrame, *, most: int) -> Iterator[pl.DataFrame]:
    """Consecutive items with `most` contents together, or one item with more."""
    ends = lacking["n"].cast(pl.Int64).cum_sum().to_numpy()
    start = 0
    while start < lacking.height:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield lacking[start:end]
        start = end


def _store_means(store: Store, feature_set: FeatureSet, items: pl.DataFrame) -> None:
    with store.registered("averaged", items):
        rows = store.query(
            _sql()["vectors_of_items"].format(feature_set_id=feature_set.feature_set_id),
            feature_set_id=feature_set.feature_set_id, first=items["item_idx"][0], last=items["item_idx"][-1],
        )  # fmt: skip
    assert rows.height == items["n"].sum(), f"feature set {feature_set.feature_set_id} has rows without a vector"
    starts = np.concatenate([[0], items["n"].to_numpy().cumsum()[:-1]]).astype(np.intp)  # of each item's rows
    sums = np.add.reduceat(rows["vector"].to_numpy(), starts, axis=0, dtype=np.float64)  # (items, width)
    means = (sums / items["n"].to_numpy()[:, None]).astype(np.float32)
    store.append(
        "item_means",
        items.select(pl.lit(feature_set.feature_set_id, dtype=pl.Int32).alias("feature_set_id"), "item_idx", "n", "contents").with_columns(
            pl.Series("vector", means, dtype=pl.Array(pl.Float32, feature_set.identity.width))
        ),
    )


def _sql() -> dict[str, str]:
    return queries.load("schemas.sql", "item_means.sql")
