"""The availability matrix A as a frame, and its name.

A split is drawn from one state of the matrix; the name tells whether the store is still in that state.
"""

import polars as pl

from schemas import fingerprint, queries
from schemas.contracts import Modality
from schemas.store import Store


def matrix(store: Store) -> pl.DataFrame:
    """One row an item, in the order of ids.

    Returns:
        `item_idx` Int32 and one Boolean column a modality, in the order of `Modality`.
    """
    return store.query(queries.load("schemas.sql", "availability.sql")["matrix"]).select("item_idx", *[m.value for m in Modality])


def name_of(availability: pl.DataFrame) -> str:
    """Fingerprint of a matrix as `matrix` returns it."""
    return fingerprint.of_frame(availability)


def stale_splits(store: Store) -> list[str]:
    """Names of splits that were drawn from another availability than that of now, in alphabetical order."""
    splits = store.query(queries.load("schemas.sql", "availability.sql")["splits"])
    return splits.filter(pl.col("availability_fingerprint") != name_of(matrix(store)))["name"].to_list() if splits.height else []


def combinations(store: Store) -> pl.DataFrame:
    """Items by which modalities they have, most frequent first: a Boolean column a modality, and `items`."""
    return store.query(queries.load("schemas.sql", "availability.sql")["combinations"])


def reasons(store: Store) -> pl.DataFrame:
    """Why items have no vector, most frequent first within a modality: `modality`, `reason`, `items`."""
    return store.query(queries.load("schemas.sql", "availability.sql")["reasons"])
