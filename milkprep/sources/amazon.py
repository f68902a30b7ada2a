"""Amazon reviews and metadata as the McAuley lab publishes them, one category a pull.

Release 2018, both of its schemas, JSON lines plain or gzipped. Files are read as streams; everything that compares lines with
each other happens in the store's temporary tables, which go to disk when memory is short.
"""

from functools import partial
from pathlib import Path

from milkprep.pull import catalogue, input_files, items, media_folder, pairs
from milkprep.pull.input_files import PullRequest
from milkprep.pull.media_folder import MediaFolder
from milkprep.pull.pull_report import PullReport
from milkprep.pull.staging import RawFile, stage_lines
from milkprep.sources import _amazon_2018 as lines_2018
from milkprep.sources._amazon_kinds import Kind, require
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Reporter
from schemas.store import Store

RELEASES = (2018,)


def pull(
    store_path: Path,
    *,
    release: int = 2018,
    metadata: Path,
    reviews: Path,
    core: int = 5,
    keep_all_items: bool = False,
    media: Path | None = None,
    replace: bool = False,
    reporter: Reporter,
) -> PullReport:
    """Read one category into a store.

    A review whose item the metadata does not describe is taken; the item then has no title and `in_metadata` is false.
    A blank line is a malformed line.

    Args:
        store_path: the DuckDB file; made when absent.
        release: of the dataset.
        metadata: items, JSON lines.
        reviews: JSON lines.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        keep_all_items: keep items of the metadata without an interaction.
        media: folder of `images/<asin>.*` and `audio/<asin>.*`; a picture there replaces the item's addresses.
            The same folder at another place is another pull, as the store holds where each file lies.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Returns:
        What was taken and dropped; unchanged when the store already holds this pull.

    Raises:
        BadValue: if a file or folder is not there, or a number is out of range.
        SourceError: if a file is of another kind or release, empty, damaged or cut short. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    _check(release, core, metadata, reviews)
    listed = media_folder.read(media, reporter=reporter) if media else None
    require(metadata, kind=Kind.METADATA_2018, flag="--metadata")
    require(reviews, kind=Kind.REVIEWS_2018, flag="--reviews")
    # The place of the media stays in the fingerprint: assets.location holds absolute paths, and those of another place would be wrong.
    folder = str(media.absolute()) if media else None
    parameters = {"release": release, "core": core, "keep_all_items": keep_all_items, "media": folder}
    inputs = input_files.describe([metadata, reviews], reporter=reporter)
    request = PullRequest(f"amazon-{release}", parameters, inputs, listed.listing if listed else [])
    labels = input_files.labels([metadata, reviews])
    files = RawFile(metadata, labels[0]), RawFile(reviews, labels[1])
    read = partial(_pull, request=request, files=files, core=core, keep_all=keep_all_items, media=listed, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


def _check(release: int, core: int, metadata: Path, reviews: Path) -> None:
    if release not in RELEASES:
        raise BadValue(f"--release {release} is not read. Known: {', '.join(map(str, RELEASES))}.")
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction, 5 is usual.")
    input_files.require_file(metadata, flag="--metadata")
    input_files.require_file(reviews, flag="--reviews")


def _pull(
    store: Store, *, request: PullRequest, files: tuple[RawFile, RawFile], core: int, keep_all: bool, media: MediaFolder | None, reporter: Reporter
) -> PullReport:
    metadata, reviews = files
    items.create_tables(store)
    pairs.create_tables(store)
    n_reviews = stage_lines(store, reviews, lines_2018.REVIEWS, reporter=reporter)
    pairs.number_keys(store)
    pairs.drop_repeats(store, source=reviews.label)
    pairs.keep_core(store, core=core, source=reviews.label, reporter=reporter)
    wanted = None if keep_all else pairs.item_keys(store)
    n_items = stage_lines(store, metadata, lines_2018.metadata_shape(wanted=wanted), reporter=reporter)
    items.drop_repeats(store, source=metadata.label)
    counts = items.keep(store, keep_all=keep_all, source=metadata.label)
    n_lines = {metadata.label: n_items, reviews.label: n_reviews}
    extra = {(metadata.label, rule): n for rule, n in counts.items()}
    if media:
        store.append("staged_media", media.files)
        extra["media", "media_without_item"] = items.count_media_without_item(store)
    write_items = partial(_write_items, store, with_audio_files=media is not None)
    return catalogue.write(store, request, n_lines=n_lines, extra=extra, write_items=write_items)


def _write_items(store: Store, *, with_audio_files: bool) -> None:
    items.write(store)
    items.write_assets(store, modalities=list(Modality), with_audio_files=with_audio_files)
