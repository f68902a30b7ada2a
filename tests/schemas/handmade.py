"""Rows written by hand, in the shapes that the store takes."""

import polars as pl

from schemas.contracts import EncoderIdentity
from schemas.store import Store

ENCODER = EncoderIdentity(encoder="by-hand", weights="none", weights_sha256="", width=2, pooling="mean")


def vectors(rows: dict[str, list[float]]) -> pl.DataFrame:
    """Content digests and their vectors, as `append_vectors` takes them."""
    width = len(next(iter(rows.values())))
    return pl.DataFrame(
        {"content_sha256": list(rows), "vector": list(rows.values())},
        schema={"content_sha256": pl.String, "vector": pl.Array(pl.Float32, width)},
    )


def rows(*triples: tuple[int, int, str]) -> pl.DataFrame:
    """Which content stands at which position of an item, as `append_rows` takes them."""
    schema = {"item_idx": pl.Int32, "position": pl.Int32, "content_sha256": pl.String}
    return pl.DataFrame(triples, schema=schema, orient="row")


def add_assets(store: Store, *records: tuple[int, str, int, str | None, str, str | None]) -> None:
    """Assets as (item_idx, modality, position, content_sha256, status, reason)."""
    schema = ["item_idx", "modality", "position", "content_sha256", "status", "reason"]
    store.append("assets", pl.DataFrame(records, schema=schema, orient="row").with_columns(location=pl.lit("somewhere")))
