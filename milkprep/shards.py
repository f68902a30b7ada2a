"""An extraction that several processes or machines share: each does a part into files of its own, then all parts become one feature set.

A part reads the store, or a copy of it, and never writes it. Merging is one transaction; what it leaves is what a single run would have
left. Vectors are those of a single run on the same device, to the bit where no content is shared between parts; where one is, batches
are made up differently, which changes vectors within rounding for encoders that pad.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milkprep import extractors
from milkprep.encoder import EncoderOptions
from milkprep.engine import merging, shard_checks
from milkprep.engine.content import PAGE_ITEMS, PATIENCE_S, UNREGISTERED, Reader
from milkprep.engine.pipeline import Embeddings
from milkprep.engine.recording import complete_inside
from milkprep.engine.shards import FORMAT, MANIFEST, IntoShard, Manifest, Shard, described, held, n_assets, page_file
from milkprep.engine.stages import Stages
from milkprep.engine.work import Work
from milkprep.extract import (
    IMPORTED,
    NO_CHOICE,
    STAGES,
    ExtractReport,
    embed_all,
    identity_of,
    loaded,
    n_cores,
    nothing_embedded,
    refuse_less_than_one,
    refuse_several,
    report_of,
)
from schemas import feature_sets, queries
from schemas.contracts import EncoderIdentity, FeatureSet, Modality, Several
from schemas.errors import BadValue, Stale
from schemas.reporting import Reporter
from schemas.store import Store


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What the extraction of one shard did.

    Args:
        shard: which part.
        folder: where it lies.
        modality: what was embedded.
        identity: what embedded it.
        finished: whether it can be merged.
        n_pages: it has, altogether.
        n_embedded_now: contents embedded by this run; 0 in a run that found nothing to do.
        seconds: of this run.
        stages: as in `ExtractReport`.
    """

    shard: Shard
    folder: Path
    modality: Modality
    identity: EncoderIdentity
    finished: bool
    n_pages: int
    n_embedded_now: int
    seconds: float
    stages: dict[str, float]


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did.

    Args:
        result: what the store holds now of the set; `n_embedded_now` is 0, for nothing was embedded.
        n_shards: that were merged.
        n_assets_now: assets the set lacked, failures included; 0 means that there was nothing to do.
        folders: of the shards, which are left as they are.
    """

    result: ExtractReport
    n_shards: int
    n_assets_now: int
    folders: tuple[Path, ...]


def default_folder(store_path: Path) -> Path:
    """Where shards lie unless another folder is named: beside their store."""
    return store_path.with_name(store_path.name + ".shards")


def extract_shard(
    store_path: Path,
    *,
    modality: Modality,
    shard: Shard,
    out: Path | None = None,
    encoder: str | None = None,
    options: EncoderOptions = NO_CHOICE,
    fields: tuple[str, ...] = ("title", "description"),
    several: Several | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    reporter: Reporter,
) -> ShardReport:
    """Embed a part of what a feature set lacks, into files; the store is only read.

    Args:
        store_path: the DuckDB file, or a copy of it.
        modality: what to embed.
        shard: which part.
        out: folder of all shards; `default_folder` when None. This one lies in a folder of its own inside, and goes on where it stopped.
        encoder: as for `extract`, but for `imported`.
        options: of the encoder.
        fields: columns of `items` a text is composed of.
        several: as for `extract`, but for the first only, which takes several runs through all items.
        batch_size: contents a batch, 1 or more; None: the encoder's own.
        workers: processes that decode files, 1 or more; None: one a core.
        retry_failed: try what this encoder could not embed once more.
        reporter: told how far it is.

    Raises:
        UnknownName, BadValue, WeightsMissing, DataError, StoreError: as `extract`.
        DataError, Stale: if another process works on it, it was begun with another catalogue, or it is finished and other work is to do.
    """
    started = time.perf_counter()
    refuse_less_than_one(batch_size=batch_size, workers=workers)
    _refuse_indivisible(modality, encoder, several)
    reader = Reader(store_path, modality=modality, fields=fields)
    chosen = extractors.resolve(modality, encoder)
    reader.require_content()
    stages = Stages(*STAGES)
    built = loaded(chosen, options, stages, reporter)
    identity = identity_of(reader, built)
    name = feature_sets.name_of(modality, identity)
    with stages.measure("reading"), Store(store_path, mode="read", wait_s=PATIENCE_S) as store:
        feature_set = feature_sets.by_name(store, name) or FeatureSet(UNREGISTERED, modality, identity, name)
        retry = retry_failed or not _state(store, feature_set)[0]
        pending = dict(reader.pages(store, feature_set, retry=retry))
        begun = Manifest(FORMAT, modality, identity, name, merging.catalogue_of(store), shard, PAGE_ITEMS[modality], list(pending))
    folder = _folder(out or default_folder(store_path), begun)
    with held(folder, shard):
        manifest = _begin(folder, begun, pending)
        into = IntoShard(folder, manifest.pages)
        left = [(page, pending.get(page, 0)) for page in into.left]
        work = Work(store_path, reader, built, feature_set, into, batch_size or built.batch_size, workers or n_cores(), retry, left, stages)
        embeddings = Embeddings(0, interrupted=False) if manifest.files is not None else embed_all(work, reporter)
        manifest = _end(folder, manifest, interrupted=embeddings.interrupted, seconds=time.perf_counter() - started)
    finished, n_pages, seconds = manifest.files is not None, len(manifest.pages), time.perf_counter() - started
    return ShardReport(shard, folder, modality, identity, finished, n_pages, embeddings.n, seconds, stages=dict(stages.seconds))


def _refuse_indivisible(modality: Modality, encoder: str | None, several: Several | None) -> None:
    refuse_several(several, modality=modality, encoder=encoder)
    if encoder == IMPORTED:
        raise BadValue(f"--encoder {IMPORTED} computes nothing, so there is nothing to share. Leave --shards out.")
    if several is Several.FIRST:
        raise BadValue(f"--several {several} goes through all items several times, which shards cannot. Leave --shards out, or --several.")


def _folder(out: Path, begun: Manifest) -> Path:
    """The folder of one shard, made where there is none; those of a feature set lie together."""
    folder = out / f"{begun.modality}-{begun.fingerprint[:12]}" / f"{begun.shard.number}-of-{begun.shard.of}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadValue(f"{out} cannot hold shards: {error.strerror}. Name another folder with --out.") from error
    return folder


def _begin(folder: Path, begun: Manifest, pending: dict[int, int]) -> Manifest:
    """The manifest of a shard that is begun now, of all pages those that are its own; the one that is there where it was begun before.

    Raises:
        Stale: if that one is of another catalogue, or is finished and something else is pending (rows by page) than it holds.
    """
    if not (folder / MANIFEST).exists():
        manifest = replace(begun, pages=[page for page in begun.pages if begun.shard.has(page)])
        manifest.write(folder)
        return manifest
    manifest = Manifest.read(folder)
    if replace(manifest, identity=begun.identity, pages=begun.pages, files=None, seconds=0.0) != begun:
        raise Stale(f"The shard in {folder} was made from another catalogue than the store holds. Delete the folder, or name another with --out.")
    _refuse_finished(folder, manifest, pending)
    return manifest


def _refuse_finished(folder: Path, manifest: Manifest, pending: dict[int, int]) -> None:
    """Refuse to call a shard done that was finished when there was something else to do: what came or failed since is not in its files.

    Raises:
        Stale: if the store lacks content that is not just what the shard holds.
    """
    own = {page: n for page, n in pending.items() if manifest.shard.has(page)}
    if manifest.files is None or not own:
        return
    if any(page not in manifest.pages or n_assets(page_file(folder, page)) != n for page, n in own.items()):
        raise Stale(
            f"Shard {manifest.shard} in {folder} is finished, but what the store lacks now is not what it holds. Run `python cli.py "
            "merge-shards` if they are not merged yet; then delete the folders of all shards and run this again."
        )


def _end(folder: Path, manifest: Manifest, *, interrupted: bool, seconds: float) -> Manifest:
    """The manifest after a run; one that was finished before is left as it is."""
    if manifest.files is not None:
        return manifest
    files = None if interrupted else described(folder, manifest.pages)
    manifest = replace(manifest, files=files, seconds=manifest.seconds + seconds)
    manifest.write(folder)
    return manifest


def merge_shards(store_path: Path, folders: Sequence[Path] = (), *, as_default: bool = False, reporter: Reporter) -> MergeReport:
    """Bring all shards of an extraction into the store, in one transaction.

    Args:
        store_path: the DuckDB file they were read from, or a copy of which was.
        folders: of the shards, or folders that hold them; `default_folder` when none is named. They are left as they are.
        as_default: show the vectors as `features_<modality>`, whatever was shown before.
        reporter: told how far it is.

    Raises:
        DataError: if shards are missing, unfinished, there twice, of different work, or damaged, or if they hold no vector at all; in
            all cases but the last the store is as it was.
        Stale: if the store holds another catalogue, or other contents.
        StoreError: if the store is not there, or is held by another process.
    """
    started, stages = time.perf_counter(), Stages("checking", "writing")
    shards = shard_checks.gather(folders or (default_folder(store_path),))
    total = sum(len(manifest.pages) for manifest in shards.manifests)
    with stages.measure("checking"), reporter.progress("checking shards", total=total, unit="pages") as progress:
        shard_checks.require_undamaged(shards, progress)
    with stages.measure("writing"), Store(store_path, mode="update", wait_s=PATIENCE_S) as store:
        with store.transaction(), reporter.progress("merging shards", total=total, unit="pages") as progress:
            feature_set, n_assets = merging.bring_in(store, shards, progress)
            finished, current = _state(store, feature_set)
            changed = n_assets or not finished or (as_default and not current)
            whole = not changed or complete_inside(store, feature_set, seconds=0.0, as_default=as_default)
        if not whole:
            raise nothing_embedded(store, feature_set)
    result = report_of(store_path, feature_set, Embeddings(0, interrupted=False), started=started, stages=stages)
    return MergeReport(result, len(shards.folders), n_assets, tuple(shards.folders))


def _state(store: Store, feature_set: FeatureSet) -> tuple[bool, bool]:
    """Whether a set is finished, and whether it is shown; neither where the store does not have it."""
    state = queries.load("milkprep.sql", "extract.sql")["state"]
    found = store.query(state, feature_set_id=feature_set.feature_set_id)
    return found.row(0) if found.height else (False, False)
