"""Extraction: every item's content of one modality into vectors, resumable, failures as rows.

Read a page of content (`content`), decode and encode it (`embedding`), write it in one short transaction (`recording`); the
store is closed while anything is computed. Equal content is embedded once. A run killed at any time and started again ends
with the same vectors as one that was left alone; a finished one has nothing to do.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from milkprep import extractors, recording
from milkprep.content import PATIENCE_S, Reader
from milkprep.embedding import embed
from milkprep.encoder import Encoder, EncoderOptions, refuse_unknown_options
from milkprep.stages import Stages
from schemas import feature_sets, queries
from schemas.contracts import FeatureSet, Modality
from schemas.errors import BadValue, DataError, FeatureMissing
from schemas.reporting import Progress, Reporter
from schemas.store import Mode, Store

logger = logging.getLogger(__name__)

#: The encoder's name of vectors that came ready-made, as a pull records it.
IMPORTED = "imported"
UNITS = {Modality.TEXT: "texts", Modality.VISUAL: "pictures", Modality.AUDIO: "sounds"}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    Args:
        feature_set: the set it filled, now the current one of its modality.
        n_items: items with a vector.
        n_contents: distinct contents with a vector.
        n_embedded_now: of these, embedded by this run; 0 means that it found nothing to do.
        n_failed: assets that this encoder could not embed; an item has one text.
        n_without: items without a vector.
        reasons: `reason` in words, `items` without a vector for it, most frequent first.
        seconds: of this run.
        stages: seconds spent reading, decoding, encoding and writing.
    """

    feature_set: FeatureSet
    n_items: int
    n_contents: int
    n_embedded_now: int
    n_failed: int
    n_without: int
    reasons: pl.DataFrame
    seconds: float
    stages: dict[str, float]


def extract(
    store_path: Path,
    *,
    modality: Modality,
    encoder: str | None = None,
    fields: tuple[str, ...] = ("title", "description"),
    pooling: str | None = None,
    normalise: bool = False,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    reporter: Reporter,
) -> ExtractReport:
    """Embed the content of one modality and show it as `features_<modality>`.

    Args:
        store_path: the DuckDB file, with a catalogue in it.
        modality: what to embed.
        encoder: plugin, or for text a hub name or local folder; `imported` shows the vectors again that came with the pull, and
            computes nothing; None for the modality's default.
        fields: columns of `items` a text is composed of, one a line, in the order title, description, brand, categories.
        pooling: how token vectors become one.
        normalise: scale vectors to length 1.
        max_length: tokens a text is cut at; None: what the model was made for.
        batch_size: contents a batch; None: the encoder's own. It does not change vectors beyond rounding.
        device: `auto`, `cpu`, `cuda`, `mps`.
        reporter: told how far it is.

    Raises:
        UnknownName: if no encoder answers to the name.
        BadValue: if an option is out of range or means nothing to the encoder.
        WeightsMissing: if weights are not on this machine and cannot be fetched.
        DataError: if no item has content of the modality, or nothing could be made of any; the set shown before stays.
        FeatureMissing: if imported vectors are asked for and there are none.
        StoreError: if the store is not there, or is held by another process.
    """
    started = time.perf_counter()
    if batch_size is not None and batch_size < 1:
        raise BadValue(f"--batch-size {batch_size} is out of range: give 1 or more.")
    options = EncoderOptions(pooling=pooling, normalise=normalise, max_length=max_length, device=device)
    if encoder == IMPORTED:
        return _show_imported(store_path, modality, options, started=started)
    reader = Reader(store_path, modality=modality, fields=fields)
    chosen = extractors.resolve(modality, encoder)
    reader.require_content()
    built = chosen.build(options)
    run = _begin(store_path, reader, built, batch_size=batch_size or built.batch_size)
    n_embedded = _embed_all(run, reporter)
    return _report(store_path, run.feature_set, n_embedded, started=started, stages=run.stages)


@dataclass(frozen=True, slots=True)
class _Run:
    """One extraction under way: what reads, what embeds, what is filled.

    `retry`: what failed is tried again, because the set was never finished. `is_shown`: finished, and the current set.
    """

    path: Path
    reader: Reader
    encoder: Encoder[Any, Any]
    feature_set: FeatureSet
    batch_size: int
    retry: bool
    is_shown: bool
    pages: list[tuple[int, int]]
    stages: Stages

    def open(self, mode: Mode) -> Store:
        return Store(self.path, mode=mode, wait_s=PATIENCE_S)


def _begin(store_path: Path, reader: Reader, encoder: Encoder[Any, Any], *, batch_size: int) -> _Run:
    identity = encoder.identity
    if reader.modality is Modality.TEXT:  # what a text is made of is part of the set's name
        identity = replace(identity, parameters={**identity.parameters, "fields": reader.fields})
    stages = Stages("reading", "decoding", "encoding", "writing")
    with stages.measure("reading"), Store(store_path, mode="write") as store:
        feature_set = feature_sets.register(store, reader.modality, identity)
        finished, current = store.query(_sql()["state"], feature_set_id=feature_set.feature_set_id).row(0)
        pages = reader.pages(store, feature_set, retry=not finished)
    return _Run(store_path, reader, encoder, feature_set, batch_size, not finished, finished and current, pages, stages)


def _embed_all(run: _Run, reporter: Reporter) -> int:
    """Embed page after page, then show the set; the number of contents embedded."""
    encoder, unit = run.feature_set.identity.encoder, UNITS[run.reader.modality]
    total = sum(pending for _, pending in run.pages)
    logger.info("%d %s on %d pages to embed with %s", total, unit, len(run.pages), encoder)
    n_embedded = 0
    if run.pages:
        with reporter.progress(f"{run.reader.modality} by {encoder}", total=total, unit=unit) as progress:
            n_embedded = sum(_embed_page(run, page, progress) for page, _ in run.pages)
    if run.pages or not run.is_shown:
        with run.stages.measure("writing"):
            _show(run)
    return n_embedded


def _embed_page(run: _Run, number: int, progress: Progress) -> int:
    with run.stages.measure("reading"):
        page = run.reader.read(number, run.feature_set, retry=run.retry)
    sharers = Counter(page.rows["content_sha256"].to_list())
    progress.advance(page.refused.height + sum(sharers[sha256] for sha256 in page.known))
    new = {sha256: content for sha256, content in page.contents.items() if sha256 not in page.known}
    outcome = embed(new, run.encoder, batch_size=run.batch_size, stages=run.stages, done=lambda sha256: progress.advance(sharers[sha256]))
    with run.stages.measure("writing"):
        location = "+".join(f"items.{field}" for field in run.reader.fields)
        recording.record(run.path, run.feature_set, page, outcome, location=location, seconds=run.stages.lap())
    return outcome.vectors.height


def _show(run: _Run) -> None:
    """Finish the set: its counts, and `features_<modality>` reads it.

    Raises:
        DataError: if it has no vector. It stays unfinished, its failures recorded, and the set shown before stays in its place.
    """
    number = run.feature_set.feature_set_id
    with run.open("write") as store, store.transaction():
        if not store.query(_sql()["counts"], feature_set_id=number)["n_items"].item():
            raise _nothing_embedded(store, run)
        n_failed = store.query(_sql()["n_failed"], feature_set_id=number)["n_failed"].item()
        feature_sets.finish_inside(store, run.feature_set, n_failed=n_failed, seconds=run.stages.lap(), as_default=True)


def _nothing_embedded(store: Store, run: _Run) -> DataError:
    reasons = store.query(_sql()["failure_reasons"], feature_set_id=run.feature_set.feature_set_id)
    most = f", most often because {reasons['reason'][0]} ({reasons['items'][0]} items)" if reasons.height else ""
    return DataError(
        f"{run.feature_set.identity.encoder} embedded none of the {UNITS[run.reader.modality]}: {reasons['items'].sum()} items failed{most}. "
        f"features_{run.feature_set.modality} is as it was. Put the content right, or name another encoder with --encoder."
    )


def _show_imported(store_path: Path, modality: Modality, options: EncoderOptions, *, started: float) -> ExtractReport:
    """Show the vectors again that came with the pull; nothing is computed.

    Raises:
        BadValue: if an option was given that would have to compute them anew.
        FeatureMissing: if the pull came without.
    """
    refuse_unknown_options(options, accepts=frozenset(), encoder=IMPORTED)
    stages = Stages("reading", "decoding", "encoding", "writing")
    with stages.measure("writing"), Store(store_path, mode="write") as store, store.transaction():
        found = feature_sets.latest_of_encoder(store, modality, IMPORTED)
        if found is None:
            raise FeatureMissing(
                f"{store_path} holds no imported {modality} vectors. Pull them with `pull prepared`, or name an encoder with "
                f"--encoder ({', '.join(extractors.names(modality))})."
            )
        feature_sets.make_current_inside(store, found)
    return _report(store_path, found, 0, started=started, stages=stages)


def _report(store_path: Path, feature_set: FeatureSet, n_embedded: int, *, started: float, stages: Stages) -> ExtractReport:
    with Store(store_path, mode="read", wait_s=PATIENCE_S) as store:
        counts = store.query(_sql()["counts"], feature_set_id=feature_set.feature_set_id).row(0, named=True)
        reasons = store.query(_sql()["reasons"], modality=feature_set.modality.value)
    return ExtractReport(
        feature_set, n_items=counts["n_items"], n_contents=counts["n_contents"], n_embedded_now=n_embedded, n_failed=counts["n_failed"],
        n_without=counts["n_all"] - counts["n_items"], reasons=reasons, seconds=time.perf_counter() - started, stages=dict(stages.seconds),
    )  # fmt: skip


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "extract.sql")
