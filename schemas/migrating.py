"""Brings a store to this version's schema: migrations that it lacks, and views whose text has changed.

Promises: all of it happens in one transaction; a file of something else, or of another version, is refused and left as it is.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import polars as pl

from schemas import fingerprint, queries
from schemas.contracts import Modality
from schemas.errors import StoreError

RECORD = "schema_migrations"


class Store(Protocol):
    """What is asked of an open store; `schemas.store` has it."""

    path: Path

    def query(self, sql: str, /, **values: object) -> pl.DataFrame:
        """Rows of one SELECT."""
        ...

    def run(self, sql: str, /, **values: object) -> None:
        """One statement."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """What happens inside happens wholly or not at all."""
        ...


def migrate(store: Store) -> None:
    """Apply what an open store lacks.

    Raises:
        StoreError: if it is a file of something else, or of another version.
    """
    statements = queries.load("schemas.sql", "store.sql")
    migrations = queries.documents("schemas.ddl")
    applied = _applied(store)
    _refuse_foreign(store, applied)
    with store.transaction():
        if not applied:
            store.run(statements["create_migrations"])
            store.run(statements["create_view_record"])
        for version, (name, sql) in enumerate(migrations[len(applied) :], start=len(applied) + 1):
            store.run(sql)
            store.run(statements["record_migration"], version=version, file=name, sha256=fingerprint.of_text(sql))
        if len(applied) < len(migrations) or _views_are_old(store):
            _create_views(store)


def refuse_other_version(store: Store) -> None:
    """Leave a store alone that is not of this version's schema.

    Raises:
        StoreError: if it is not.
    """
    applied = _applied(store)
    _refuse_foreign(store, applied)
    if len(applied) < len(queries.documents("schemas.ddl")) or _views_are_old(store):
        raise StoreError(f"{store.path} has an older schema. Bring it up to date with a command that writes: extract, build-splits or pull.")


def _create_views(store: Store) -> None:
    templates = queries.load("schemas.sql", "vectors.sql")
    current = store.query(queries.load("schemas.sql", "feature_sets.sql")["current"])
    shown = {row["modality"]: row for row in current.iter_rows(named=True)}
    for modality in Modality:
        template = templates["show" if modality.value in shown else "show_nothing"]
        store.run(template.format(**{"modality": modality.value, **shown.get(modality.value, {})}))
    for _, sql in queries.documents("schemas.views"):
        store.run(sql)
    statements = queries.load("schemas.sql", "store.sql")
    store.run(statements["forget_views"])
    store.run(statements["record_views"], sha256=_views_digest())


def _views_are_old(store: Store) -> bool:
    return store.query(queries.load("schemas.sql", "store.sql")["views_digest"])["sha256"].to_list() != [_views_digest()]


def _applied(store: Store) -> Sequence[str]:
    statements = queries.load("schemas.sql", "store.sql")
    try:
        return store.query(statements["applied_migrations"])["sha256"].to_list()
    except StoreError:
        # No such table, it may be. Asking beforehand which there are would take a quarter of the time that opening takes.
        others = store.query(statements["table_names"])["table_name"].to_list()
        if RECORD in others:
            raise
    if others:
        raise StoreError(f"{store.path} is a DuckDB file of something else (it holds {', '.join(others[:3])}). Name another file with --store.")
    return []


def _refuse_foreign(store: Store, applied: Sequence[str]) -> None:
    ours = [fingerprint.of_text(sql) for _, sql in queries.documents("schemas.ddl")]
    if list(applied) != ours[: len(applied)]:
        raise StoreError(f"{store.path} was written by another version of this toolkit. Use that version, or pull into a new file.")


def _views_digest() -> str:
    return fingerprint.of_value([queries.documents("schemas.views"), queries.load("schemas.sql", "vectors.sql")])
