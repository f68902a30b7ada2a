"""Extraction: every item's content of one modality into vectors, resumable, failures as rows.

Pages of content are read, decoded, encoded and written by stages that work at the same time (`pipeline`); the store is open only
for short transactions. Equal content is embedded once. A run killed at any time and started again ends with the same vectors as
one that was left alone; a finished one has nothing to do.
"""

import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from milkprep import extractors
from milkprep.encoder import Encoder, EncoderOptions, refuse_unknown_options
from milkprep.engine.content import PATIENCE_S, Reader
from milkprep.engine.pipeline import Embeddings, embed_pages
from milkprep.engine.recording import IntoStore, complete_inside
from milkprep.engine.stages import Stages
from milkprep.engine.work import Work
from schemas import feature_sets, queries
from schemas.contracts import EncoderIdentity, FeatureSet, Modality, Several
from schemas.errors import BadValue, FeatureMissing, NothingEmbedded
from schemas.reporting import Reporter
from schemas.store import Store

logger = logging.getLogger(__name__)

#: The encoder's name of vectors that came ready-made, as a pull records it.
IMPORTED = "imported"
#: After the weights are loaded, reading, decoding and writing go on while the encoder works; the time it waits for them is shown as waiting.
STAGES = ("loading", "reading", "decoding", "waiting", "encoding", "writing")
NO_CHOICE = EncoderOptions()
UNITS = {Modality.TEXT: "texts", Modality.VISUAL: "pictures", Modality.AUDIO: "sounds"}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    Args:
        feature_set: the set it filled.
        is_shown: whether `features_<modality>` shows it now.
        interrupted: stopped by Ctrl-C before everything was embedded; the next run goes on.
        n_items: items with a vector.
        n_contents: distinct contents with a vector.
        n_embedded_now: of these, embedded by this run; 0 means that it found nothing to do.
        n_failed: assets that this encoder could not embed; an item has one text.
        n_without: items without a vector.
        reasons: `reason` in words, `items` without a vector for it, most frequent first.
        seconds: of this run.
        stages: seconds spent loading weights, reading, decoding (in all processes together), waiting for what is decoded, encoding and writing; they
            go on at the same time, so their sum is more than `seconds`.
    """

    feature_set: FeatureSet
    is_shown: bool
    interrupted: bool
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
    options: EncoderOptions = NO_CHOICE,
    fields: tuple[str, ...] = ("title", "description"),
    several: Several | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    as_default: bool = False,
    reporter: Reporter,
) -> ExtractReport:
    """Embed the content of one modality, beside what other encoders made of it.

    Args:
        store_path: the DuckDB file, with a catalogue in it.
        modality: what to embed.
        encoder: plugin, or for text a hub name or local folder; `imported` shows the vectors again that came with the pull, and
            computes nothing; None for the modality's default.
        options: of the encoder.
        fields: columns of `items` a text is composed of, one a line, in the order of `content.FIELDS`.
        several: of several files of an item, the mean of all that are usable (when None), or the first only. Not for text.
        batch_size: contents a batch, 1 or more; None: the encoder's own. It does not change vectors beyond rounding.
        workers: processes that decode files, 1 or more; None: one a core.
        retry_failed: try what this encoder could not embed once more, also where it had finished.
        as_default: show the vectors as `features_<modality>`, whatever was shown before; the first ones of a modality are in any case.
        reporter: told how far it is.

    Raises:
        UnknownName: if no encoder answers to the name.
        BadValue: if an option is out of range or means nothing to the encoder.
        WeightsMissing: if weights are not on this machine and cannot be fetched.
        DataError: if no item has content of the modality.
        NothingEmbedded: if nothing could be made of any; the set shown before stays.
        FeatureMissing: if imported vectors are asked for and there are none.
        StoreError: if the store is not there, or is held by another process.
    """
    started = time.perf_counter()
    refuse_less_than_one(batch_size=batch_size, workers=workers)
    refuse_several(several, modality=modality, encoder=encoder)
    if encoder == IMPORTED:
        return _show_imported(store_path, modality, options, started=started)
    reader = Reader(store_path, modality=modality, fields=fields, several=several or Several.MEAN)
    chosen = extractors.resolve(modality, encoder)
    Store(store_path, mode="update").close()  # one of an earlier version is brought up to date: all below reads first
    reader.require_content()
    stages = Stages(*STAGES)
    built = loaded(chosen, options, stages, reporter)
    work = _begin(store_path, reader, built, stages, retry_failed=retry_failed)
    work = replace(work, batch_size=batch_size or built.batch_size, n_workers=workers or n_cores())
    embeddings = _embed_passes(work, reporter)
    if not embeddings.interrupted:
        with work.stages.measure("writing"):
            _finish(work, as_default=as_default)
    return report_of(store_path, work.feature_set, embeddings, started=started, stages=work.stages)


def refuse_less_than_one(**numbers: int | None) -> None:
    """Refuse numbers of workers and the like that are none.

    Raises:
        BadValue: if one is given and less than 1.
    """
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise BadValue(f"--{name.replace('_', '-')} {number} is out of range: give 1 or more.")


def refuse_several(several: Several | None, *, modality: Modality, encoder: str | None) -> None:
    """Refuse a choice between files where there are none.

    Raises:
        BadValue: if one was made for text, or for vectors that came ready-made.
    """
    if several is not None and (modality is Modality.TEXT or encoder == IMPORTED):
        what = "text: an item has one, of the columns that --fields names" if modality is Modality.TEXT else "vectors that came ready-made"
        raise BadValue(f"--several {several} means nothing to {what}. Leave it out.")


def loaded(chosen: extractors.Resolved, options: EncoderOptions, stages: Stages, reporter: Reporter) -> Encoder[Any, Any]:
    """The encoder, its weights loaded; who watches sees that they are."""
    with stages.measure("loading"), reporter.progress(f"loading {chosen.weights or options.weights or chosen.name}", total=None, unit=""):
        return chosen.build(options)


def identity_of(reader: Reader, encoder: Encoder[Any, Any]) -> EncoderIdentity:
    """What names the set of what an encoder makes of what a reader lists: what an item's vector is made of is part of it."""
    made_of = {"fields": reader.fields} if reader.modality is Modality.TEXT else {"several": reader.several.value}
    return replace(encoder.identity, parameters={**encoder.identity.parameters, **made_of})


def _begin(store_path: Path, reader: Reader, encoder: Encoder[Any, Any], stages: Stages, *, retry_failed: bool) -> Work:
    """What is to be done: the set, registered, and its pages."""
    with stages.measure("reading"), Store(store_path, mode="write") as store:
        feature_set = feature_sets.register(store, reader.modality, identity_of(reader, encoder))
        retry = retry_failed or not store.query(_sql()["state"], feature_set_id=feature_set.feature_set_id)["finished"].item()
        pages = reader.pages(store, feature_set, retry=retry)
    destination = IntoStore(store_path, reader, feature_set)
    return Work(store_path, reader, encoder, feature_set, destination, encoder.batch_size, 1, retry, pages, stages)


def _embed_passes(work: Work, reporter: Reporter) -> Embeddings:
    """Embed all pages, and where the first usable file of an item is wanted, as often as there are next files of those that failed."""
    done = embed_all(work, reporter)
    while work.reader.several is Several.FIRST and work.pages and not done.interrupted:
        work.reader.n_passes += 1
        with work.stages.measure("reading"), Store(work.path, mode="read", wait_s=PATIENCE_S) as store:
            pages = work.reader.pages(store, work.feature_set, retry=work.retry)
        work = replace(work, pages=pages)
        more = embed_all(work, reporter)
        done = Embeddings(done.n + more.n, interrupted=more.interrupted)
    return done


def embed_all(work: Work, reporter: Reporter) -> Embeddings:
    """Embed page after page, and tell how far it is."""
    encoder, unit = work.feature_set.identity.encoder, UNITS[work.reader.modality]
    total = sum(pending for _, pending in work.pages)
    logger.info("%d %s on %d pages to embed with %s", total, unit, len(work.pages), encoder)
    if not work.pages:
        return Embeddings(0, interrupted=False)
    which = ", next of several" if work.reader.n_passes else ""
    with reporter.progress(f"{work.reader.modality} by {encoder}{which}", total=total, unit=unit) as progress:
        return embed_pages(work, progress)


def n_cores() -> int:
    """Cores this process may use, not those of the whole machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _finish(work: Work, *, as_default: bool) -> None:
    """Finish the set: its counts, and whether `features_<modality>` reads it. One that is as it should be is left alone.

    Raises:
        NothingEmbedded: if it has no vector. It stays unfinished, its failures recorded, and the set shown before stays in its place.
    """
    number = work.feature_set.feature_set_id
    with Store(work.path, mode="write", wait_s=PATIENCE_S) as store, store.transaction():
        finished, current = store.query(_sql()["state"], feature_set_id=number).row(0)
        if finished and not work.pages and (current or not as_default):
            return
        if not complete_inside(store, work.feature_set, seconds=work.stages.lap(), as_default=as_default):
            raise nothing_embedded(store, work.feature_set)


def nothing_embedded(store: Store, feature_set: FeatureSet) -> NothingEmbedded:
    """The error of a set that has failures only."""
    reasons = store.query(_sql()["failure_reasons"], feature_set_id=feature_set.feature_set_id)
    most = f", most often because {reasons['reason'][0]} ({reasons['items'][0]} items)" if reasons.height else ""
    return NothingEmbedded(
        f"{feature_set.identity.encoder} embedded none of the {UNITS[feature_set.modality]}: {reasons['items'].sum()} items failed{most}. "
        f"features_{feature_set.modality} is as it was. Put the content right, or name another encoder with --encoder."
    )


def _show_imported(store_path: Path, modality: Modality, options: EncoderOptions, *, started: float) -> ExtractReport:
    """Show the vectors again that came with the pull; nothing is computed.

    Raises:
        BadValue: if an option was given that would have to compute them anew.
        FeatureMissing: if the pull came without.
    """
    refuse_unknown_options(options, accepts=frozenset(), encoder=IMPORTED)
    stages = Stages(*STAGES)
    with stages.measure("writing"), Store(store_path, mode="write") as store, store.transaction():
        found = feature_sets.latest_of_encoder(store, modality, IMPORTED)
        if found is None:
            raise FeatureMissing(
                f"{store_path} holds no imported {modality} vectors. Pull them with `pull prepared`, or name an encoder with "
                f"--encoder ({', '.join(extractors.names(modality))})."
            )
        feature_sets.make_current_inside(store, found)
    return report_of(store_path, found, Embeddings(0, interrupted=False), started=started, stages=stages)


def report_of(store_path: Path, feature_set: FeatureSet, embeddings: Embeddings, *, started: float, stages: Stages) -> ExtractReport:
    """What the store holds now of a set, and what this run did."""
    with Store(store_path, mode="read", wait_s=PATIENCE_S) as store:
        counts = store.query(_sql()["counts"], feature_set_id=feature_set.feature_set_id).row(0, named=True)
        reasons = store.query(_sql()["reasons"], modality=feature_set.modality.value)
        is_shown = store.query(_sql()["state"], feature_set_id=feature_set.feature_set_id)["is_current"].item()
    return ExtractReport(
        feature_set, is_shown=is_shown, interrupted=embeddings.interrupted, n_items=counts["n_items"], n_contents=counts["n_contents"],
        n_embedded_now=embeddings.n, n_failed=counts["n_failed"],
        n_without=counts["n_all"] - counts["n_items"], reasons=reasons, seconds=time.perf_counter() - started, stages=dict(stages.seconds),
    )  # fmt: skip


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "extract.sql")
