"""The writer of an extraction: pages in short transactions.

Vectors, the rows that point items at them, the assets' states and the rejects appear together or not at all, so a run killed
at any time leaves a store that tells the truth and is resumed page by page.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from milkprep.engine.content import PATIENCE_S, REFUSED, Page, Reader, embedded
from milkprep.engine.embedding import FAILURES, Embedded
from schemas import feature_sets, item_means, queries
from schemas.contracts import FeatureSet, Modality, Several
from schemas.store import Store

#: The column rows are joined to contents by.
CONTENT = "content_sha256"
#: Which asset. A transaction keeps the frames that its statements read to its end, so they hold nothing else that is not read.
PLACE = ("item_idx", "position")


class IntoStore:
    """Pages into the store itself, where their set is registered."""

    def __init__(self, store_path: Path, reader: Reader, feature_set: FeatureSet) -> None:
        """Prepare to write.

        Args:
            store_path: the DuckDB file.
            reader: of its content; it does not read meanwhile.
            feature_set: the set to fill.
        """
        self._path, self._reader, self._feature_set = store_path, reader, feature_set

    def holds(self, contents: Iterable[str]) -> frozenset[str]:
        """Nothing that is not in the store."""
        return frozenset[str]().intersection(contents)

    def record(self, pages: Sequence[tuple[Page, Embedded]], *, seconds: float) -> None:
        """Write what became of pages, in one transaction."""
        with self._reader.gate:
            record(self._path, self._feature_set, pages, location=text_location(self._reader.fields), seconds=seconds)


def text_location(fields: Iterable[str]) -> str:
    """Where a text lies that is composed of columns, in an asset's words."""
    return "+".join(f"items.{field}" for field in fields)


def record(store_path: Path, feature_set: FeatureSet, pages: Sequence[tuple[Page, Embedded]], *, location: str, seconds: float) -> None:
    """Write what became of pages, in one transaction.

    Args:
        store_path: the DuckDB file; held only for this transaction.
        feature_set: the set to fill.
        pages: what was read, and what became of its contents; those with neither vector nor failure were embedded, or failed, for an
            earlier page.
        location: for text, the columns it was composed of, where an item has no asset for them.
        seconds: time spent since the record before.

    Raises:
        StoreLocked: if another process holds the store for longer than a minute. These pages are lost, all before are kept.
    """
    with Store(store_path, mode="write", wait_s=PATIENCE_S) as store, store.transaction():
        record_inside(store, feature_set, pages, location=location)
        store.run(_sql()["add_seconds"], feature_set_id=feature_set.feature_set_id, seconds=seconds)


def record_inside(store: Store, feature_set: FeatureSet, pages: Sequence[tuple[Page, Embedded]], *, location: str) -> None:
    """`record` as a part of the caller's transaction; no content is embedded by two of the pages.

    All pages by the same few statements: each waits for the interpreter while texts are decoded, more often than it takes time.
    """
    vectors = pl.concat([outcome.vectors for _, outcome in pages])
    failures = pl.concat([outcome.failures for _, outcome in pages])
    shared = frozenset[str]().union(*(page.known for page, _ in pages)).difference(failures[CONTENT])
    known = embedded(store, feature_set, [*vectors[CONTENT], *shared])  # by another run of the same set at the same time, too
    feature_sets.append_vectors(store, feature_set, vectors.filter(~pl.col(CONTENT).is_in(list(known))))
    failures = pl.concat([failures, _earlier_failures(store, feature_set, shared.difference(known, vectors[CONTENT]))])
    rows = pl.concat([page.rows for page, _ in pages])
    accepted = rows.join(failures, on=CONTENT, how="anti").select(*PLACE, CONTENT)
    refused = pl.concat([*(page.refused for page, _ in pages), rows.join(failures, on=CONTENT).select(*REFUSED)])
    with store.registered("tried", rows.select(*PLACE)), store.registered("accepted", accepted), store.registered("refused", refused):
        item_means.forget_inside(store, feature_set, refused["item_idx"])
        _record_rows(store, feature_set, accepted, location=location)


def complete_inside(store: Store, feature_set: FeatureSet, *, seconds: float, as_default: bool) -> bool:
    """Finish a set that all content was tried for: its counts, its means, whether it is shown; a part of the caller's transaction.

    Returns:
        False where it has no vector: it stays unfinished, its failures recorded, and the set shown before stays in its place.
    """
    number = feature_set.feature_set_id
    if not store.query(_sql()["counts"], feature_set_id=number)["n_items"].item():
        return False
    n_failed = store.query(_sql()["n_failed"], feature_set_id=number)["n_failed"].item()
    feature_sets.finish_inside(store, feature_set, n_failed=n_failed, seconds=seconds, as_default=as_default)
    return True


def _earlier_failures(store: Store, feature_set: FeatureSet, contents: Iterable[str]) -> pl.DataFrame:
    """Why contents failed that an earlier page shares."""
    asked = pl.DataFrame({CONTENT: list(contents)}, schema={CONTENT: pl.String})
    if not asked.height:
        return pl.DataFrame(schema=FAILURES)
    with store.registered("asked", asked):
        return store.query(_sql()["failures_of_contents"], feature_set_id=feature_set.feature_set_id)


def _record_rows(store: Store, feature_set: FeatureSet, accepted: pl.DataFrame, *, location: str) -> None:
    sql, modality = _sql(), feature_set.modality.value
    store.run(sql["drop_replaced_rows"], feature_set_id=feature_set.feature_set_id)
    if feature_set.identity.parameters.get("several") == Several.FIRST:
        store.run(sql["drop_other_rows"], feature_set_id=feature_set.feature_set_id)
    store.run(sql["drop_replaced_failures"], feature_set_id=feature_set.feature_set_id)
    feature_sets.append_rows(store, feature_set, accepted.select("item_idx", "position", CONTENT))
    if feature_set.modality is Modality.TEXT:
        store.run(sql["accept_texts"], modality=modality)
        store.run(sql["add_text_assets"], modality=modality, location=location)
        store.run(sql["refuse_texts"], modality=modality)
    else:
        store.run(sql["accept_files"], modality=modality)
        store.run(sql["refuse_files"], modality=modality)
    store.run(sql["add_failures"], feature_set_id=feature_set.feature_set_id, modality=modality)
    store.run(sql["add_rejects"], modality=modality)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "extract.sql")
