"""Ready-made vectors that name their item, from a stream of batches into a feature set with its assets and rejects.

Promises: no more than one batch of vectors is held; equal vectors are stored once, contents that the set holds already not again,
and those it no longer needs go; of several rows for an item the first that can be used is taken; every row that is not used is a row
of `staged_rejects`; every item that is kept has an asset, which says why where there is no vector. Zeros only stand for no vector.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas import feature_sets, queries
from schemas.contracts import AssetStatus, EncoderIdentity, FeatureSet, Modality, RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

#: Most bytes of vectors that a batch should hold.
BATCH_BYTES = 64 << 20
#: What a broken row says of itself, after "its row in <file>".
IN_WORDS = {RejectReason.ALL_ZERO: "is all zeros", RejectReason.NOT_FINITE: "holds values that are not finite"}
#: What a row stands for that cannot be used; every other reason means that it is broken.
ABSENT = {RejectReason.ALL_ZERO, RejectReason.LISTED_MISSING}
#: The verdicts on a row that take its item into account.
JUDGED = (RejectReason.MALFORMED, RejectReason.WITHOUT_ITEM, RejectReason.DUPLICATE_ITEM)
#: DuckDB's own limit on FLOAT[n].
WIDEST = 99_999
BATCH_SCHEMA = {
    "place": pl.Int64, "line": pl.Int64, "item_key": pl.String, "content_sha256": pl.String,
    "reason": pl.String, "status": pl.String, "words": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that names an item but holds nothing to be used, as its reader found.

    Args:
        line: line or record of the file, from 1.
        key: the item's key; anything where the row names none.
        reason: why; malformed where the row names no item.
        words: the same in words: after "its row in <file>", e.g. `has 127 values, not 128`, or alone where it names no item.
    """

    line: int
    key: str
    reason: RejectReason
    words: str


@dataclass(frozen=True, slots=True)
class VectorRows:
    """One batch of a file.

    Args:
        lines: n line or record numbers, from 1; no two rows of a file share one.
        keys: n keys of items.
        rows: (n, width) float32.
        refused: further rows, which have no vector.
    """

    lines: Sequence[int]
    keys: Sequence[str]
    rows: NDArray[np.float32]
    refused: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: rows read, items that have a vector, items whose rows could not be used."""

    n_rows: int
    n_items: int
    n_failed: int


def imported(label: str, *, sha256: str, width: int) -> EncoderIdentity:
    """The identity of vectors that came ready-made in a file of that label and digest."""
    return EncoderIdentity("imported", weights=label, weights_sha256=sha256, width=width, pooling="none")


def batch_rows(width: int, *, most: int) -> int:
    """How many vectors of a width a batch may hold, `most` at most."""
    return max(1, min(most, BATCH_BYTES // (4 * width)))


def write(
    store: Store, modality: Modality, identity: EncoderIdentity, *, batches: Iterable[VectorRows], label: str, location: str | None = None,
    absent: str | None = None, reporter: Reporter, total: int | None = None,
) -> Imported:  # fmt: skip
    """Store vectors as the current feature set of a modality, with assets and rejects. Call inside a transaction.

    Args:
        store: open for writing, with `kept_items` and `staged_rejects` ready and other assets of the modality written.
        modality: what the vectors describe.
        identity: what made them; see `imported`.
        batches: their rows, in the order of the file.
        label: the value of `rejects.source`, and the name of the file in words.
        location: the value of `assets.location`; the label when None. Must be `identity.weights` for imported vectors.
        absent: why an item has no row, in words; `not in <label>` when None.
        reporter: told the rows read.
        total: number of rows, where it is known.

    Returns:
        Counts of rows and items.

    Raises:
        SourceError: if no row can be used.
    """
    started, sql = time.monotonic(), _sql()
    made = feature_sets.register_inside(store, modality, identity)
    table = feature_sets.vectors_table(made)
    held_some = store.query(sql["count_held"].format(vectors=table)).item() > 0
    store.run(sql["create"])
    store.run(sql["forget_rows"], feature_set_id=made.feature_set_id)
    n_rows = 0
    with reporter.progress(f"importing {label}", total=total, unit="rows") as progress:
        for batch in batches:
            _write_batch(store, made, batch, label=label)
            n_rows += len(batch.lines) + len(batch.refused)
            progress.advance(len(batch.lines) + len(batch.refused))
    n_taken, n_failed = store.query(sql["counts"]).row(0)
    if not n_taken:
        raise SourceError(_why_none(label, modality, n_failed=n_failed))
    store.run(sql["find_assets"], modality=modality.value, source=label, absent=absent or f"not in {label}")
    store.run(sql["write_assets"], modality=modality.value, location=location or label)
    store.run(sql["write_rows"], feature_set_id=made.feature_set_id)
    if held_some:
        store.run(sql["forget_contents"].format(vectors=table))
    store.run(sql["forget"])
    feature_sets.finish_inside(store, made, n_failed=n_failed, seconds=time.monotonic() - started, as_default=True)
    return Imported(n_rows, n_taken, n_failed)


def _write_batch(store: Store, made: FeatureSet, batch: VectorRows, *, label: str) -> None:
    sql, rows = _sql(), np.ascontiguousarray(batch.rows, dtype="<f4")  # (n, width)
    assert len(batch.lines) == len(batch.keys) == len(rows)
    with store.registered("incoming_vectors", _told(batch, rows)):
        store.run(sql["judge"], **{reason.name.lower(): reason.value for reason in JUDGED})
    new = store.query(sql["new_contents"].format(vectors=feature_sets.vectors_table(made)))
    if new.height:
        vectors = pl.Series("vector", rows[new["place"].to_numpy()], dtype=pl.Array(pl.Float32, rows.shape[1]))
        feature_sets.append_vectors(store, made, new.select("content_sha256").with_columns(vectors))
    store.run(sql["take"])
    store.run(sql["refuse"])
    store.run(sql["reject"], source=label, malformed=RejectReason.MALFORMED.value)


def _told(batch: VectorRows, rows: NDArray[np.float32]) -> pl.DataFrame:
    """Everything about the rows of a batch but their values: digests of the sound ones, and what is wrong with the others."""
    broken = np.asarray(~np.isfinite(rows).all(axis=1))  # (n,)
    zero = np.asarray(~rows.any(axis=1))  # (n,)
    told: list[tuple[object, ...]] = []
    for at, (line, key) in enumerate(zip(batch.lines, batch.keys, strict=True)):
        if broken[at] or zero[at]:
            reason = RejectReason.NOT_FINITE if broken[at] else RejectReason.ALL_ZERO
            told.append(_refusal(Refused(line, key, reason, IN_WORDS[reason])))
        else:
            told.append((at, line, key, hashlib.sha256(rows[at].tobytes()).hexdigest(), None, None, None))
    told += map(_refusal, batch.refused)
    return pl.DataFrame(told, schema=BATCH_SCHEMA, orient="row")


def _refusal(row: Refused) -> tuple[object, ...]:
    status = AssetStatus.ABSENT if row.reason in ABSENT else AssetStatus.DECODE_ERROR
    return None, row.line, row.key, None, row.reason.value, status.value, row.words


def _why_none(label: str, modality: Modality, *, n_failed: int) -> str:
    if n_failed:
        return f"No row of {label} is a vector: each is all zeros, not finite or broken. Nothing was stored; leave {modality} out or mend it."
    return f"No row of {label} belongs to an item that is taken. Nothing was stored; check that the file and the interactions belong together."


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "vectors.sql")
