"""Shards into the store: page after page, as one process would have embedded them, inside one transaction.

Contents of texts are compared with the store's, files with where it has them. Of a content that several shards embedded the vector of
the lowest page is taken.
"""

from pathlib import Path

import polars as pl

from milkprep.engine import recording
from milkprep.engine.content import FIELDS, REFUSED, ROWS, Page, Reader, embedded
from milkprep.engine.embedding import FAILURES, Embedded
from milkprep.engine.shard_checks import Shards, read_page
from milkprep.engine.shards import Manifest
from schemas import feature_sets, fingerprint, queries
from schemas.contracts import FeatureSet, Modality
from schemas.errors import DataError, Stale
from schemas.reporting import Progress
from schemas.store import Store

#: Rows and bytes of vectors that are brought in by the same statements.
ROWS_AT_ONCE, BYTES_AT_ONCE = 8192, 32 << 20
#: What of an asset is compared with what the set has. The transaction keeps it to its end: with what is written about 0.4 kB an asset.
BROUGHT = ("item_idx", "position", "content_sha256", "status", "reason", "has_vector")


def catalogue_of(store: Store) -> str:
    """Names the catalogue of a store, for shards that were read from a copy of it."""
    return fingerprint.of_value(list(store.query(_sql()["catalogue"]).row(0)))


def bring_in(store: Store, shards: Shards, progress: Progress) -> tuple[FeatureSet, int]:
    """Everything of all shards, inside the caller's transaction; rows that the store has already are left as they are.

    Args:
        store: open for writing.
        shards: of one extraction, undamaged.
        progress: told of each page.

    Returns:
        The set, and how many assets it lacked.

    Raises:
        Stale: if the store's content is not the one that was embedded.
        DataError: if a file holds what no shard writes.
    """
    manifest = shards.first
    if manifest.catalogue != catalogue_of(store):
        raise Stale(f"The shards were made from another catalogue than {store.path} holds. Name the store they were made from, or make them anew.")
    feature_set = feature_sets.register_inside(store, manifest.modality, manifest.identity)
    merge = _Merge(store, feature_set, manifest)
    for page, file in shards.pages():
        merge.add(page, file)
        progress.advance()
    merge.flush()
    statement = _sql()["without_vector"].format(vectors=feature_sets.vectors_table(feature_set))
    if lacking := store.query(statement, feature_set_id=feature_set.feature_set_id)["items"].item():
        raise Stale(
            f"{lacking} items of the shards share content with items that {store.path} had vectors of when the shards were made, and has no more. "
            "Run the shards anew, into another folder."
        )
    if merge.n:
        seconds = sum(m.seconds for m in shards.manifests)
        store.run(queries.load("milkprep.sql", "extract.sql")["add_seconds"], feature_set_id=feature_set.feature_set_id, seconds=seconds)
    return feature_set, merge.n


class _Merge:
    """Pages on their way into the store, several by the same statements."""

    def __init__(self, store: Store, feature_set: FeatureSet, manifest: Manifest) -> None:
        self.n = 0
        self._store, self._feature_set, self._page_items = store, feature_set, manifest.page_items
        self._fields = _fields(manifest)
        self._reader = Reader(store.path, modality=manifest.modality, fields=self._fields or FIELDS)
        self._held: list[pl.DataFrame] = []

    def add(self, page: int, file: Path) -> None:
        first, last = page * self._page_items, (page + 1) * self._page_items - 1
        there = self._there(first, last)
        rows = read_page(file, width=self._feature_set.identity.width, most_rows=there.height)
        self._require_same_content(file, rows, there)
        brought = rows.with_columns(has_vector=pl.col("vector").is_not_null()).select(*BROUGHT)
        with self._store.registered("brought", brought):
            new = self._store.query(_sql()["not_merged"], feature_set_id=self._feature_set.feature_set_id, first=first, last=last)
        kept = rows.join(new, on=["item_idx", "position"], how="semi", maintain_order="left")
        self.n += kept.height
        # A vector lies beside the first asset that has its content, which the store may have while it lacks another.
        self._held.append(rows.filter(pl.col("content_sha256").is_in(kept["content_sha256"].drop_nulls().to_list())).join(
            new.with_columns(is_new=pl.lit(value=True)), on=["item_idx", "position"], how="left", maintain_order="left"
        ))  # fmt: skip
        self._held.append(kept.filter(pl.col("content_sha256").is_null()).with_columns(is_new=pl.lit(value=True)))
        if sum(f.height for f in self._held) >= ROWS_AT_ONCE or sum(f.estimated_size() for f in self._held) >= BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        held = pl.concat(self._held) if self._held else pl.DataFrame()
        self._held = []
        if not held.height:
            return
        vectors = (
            held.filter(pl.col("vector").is_not_null()).unique("content_sha256", keep="first", maintain_order=True).select("content_sha256", "vector")
        )
        new = held.filter("is_new")
        failed = new.filter(pl.col("status").is_not_null(), pl.col("content_sha256").is_not_null())
        failures = failed.unique("content_sha256", keep="first", maintain_order=True).select(*FAILURES)
        has_vector = embedded(self._store, self._feature_set, failures["content_sha256"]).union(vectors["content_sha256"])
        failures = failures.filter(~pl.col("content_sha256").is_in(list(has_vector)))  # which another shard could embed
        rows, refused = (
            new.filter(pl.col("content_sha256").is_not_null()).select(*ROWS),
            new.filter(pl.col("content_sha256").is_null()).select(*REFUSED),
        )
        page = Page(rows, refused, {}, frozenset(rows["content_sha256"]).difference(vectors["content_sha256"]))
        location = recording.text_location(self._fields)
        recording.record_inside(self._store, self._feature_set, [(page, Embedded(vectors, failures))], location=location)

    def _there(self, first: int, last: int) -> pl.DataFrame:
        if self._feature_set.modality is Modality.TEXT:
            return self._reader.everything(self._store, first=first, last=last).select(*ROWS)
        return self._store.query(_sql()["files_of_items"], modality=self._feature_set.modality.value, first=first, last=last)

    def _require_same_content(self, file: Path, rows: pl.DataFrame, there: pl.DataFrame) -> None:
        others = rows.join(there, on=there.columns, how="anti")
        if others.height:
            (item, position), modality = others.select("item_idx", "position").row(0), self._feature_set.modality
            raise Stale(
                f"{file}: item {item} has another {modality} content at position {position} of {self._store.path} than the one that "
                f"was embedded ({others.height} such on its page). Delete the shards' folders and run the shards again."
            )


def _fields(manifest: Manifest) -> tuple[str, ...]:
    """Columns that a text is made of; nothing for files."""
    if manifest.modality is not Modality.TEXT:
        return ()
    fields = manifest.identity.parameters.get("fields")
    if not isinstance(fields, list) or not fields or fields != [field for field in FIELDS if field in fields]:
        raise DataError(f"The shards do not say which columns of items their texts are made of: {fields!r:.80}. Run the shards again.")
    return tuple(fields)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "merging.sql")
