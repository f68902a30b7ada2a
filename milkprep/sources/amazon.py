"""Amazon reviews and metadata as the McAuley lab publishes them, one category a pull.

Releases 2014 (metadata as Python literals), 2018 (both of its schemas) and 2023, plain or gzipped. Files are read as streams;
everything that compares lines with each other happens in the store's temporary tables, which go to disk when memory is short.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from milkprep.pull import catalogue, input_files, items, media_folder, pairs
from milkprep.pull.input_files import PullRequest
from milkprep.pull.media_folder import MediaFolder
from milkprep.pull.pull_report import PullReport
from milkprep.pull.staging import LineShape, RawFile, stage_lines
from milkprep.sources import _amazon_2014, _amazon_2018, _amazon_2023, _amazon_addresses, _amazon_features, _amazon_kinds
from milkprep.sources._amazon_features import FeatureFile
from milkprep.sources._amazon_kinds import Kind
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Reporter
from schemas.store import Store


@dataclass(frozen=True, slots=True)
class Release:
    """How the files of one release are read."""

    metadata: Kind
    reviews: Kind
    metadata_shape: Callable[..., LineShape[Any]]
    reviews_shape: LineShape[Any]


RELEASES = {
    2014: Release(Kind.METADATA_2014, Kind.REVIEWS_2014, _amazon_2014.metadata_shape, _amazon_2014.REVIEWS),
    2018: Release(Kind.METADATA_2018, Kind.REVIEWS_2018, _amazon_2018.metadata_shape, _amazon_2018.REVIEWS),
    2023: Release(Kind.METADATA_2023, Kind.REVIEWS_2023, _amazon_2023.metadata_shape, _amazon_2023.REVIEWS),
}


def pull(
    store_path: Path,
    *,
    release: int | None = None,
    metadata: Path | None = None,
    reviews: Path | None = None,
    category: str | None = None,
    mirror: str | None = None,
    download_to: Path | None = None,
    visual_features: Path | None = None,
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
        release: of the dataset; recognised from the reviews when None.
        metadata: items, a dict a line; without it no item has a title, a description or a picture.
        reviews: JSON lines.
        category: as the release writes it; files of it that are not named are downloaded.
        mirror: address to download from in place of where the release is published.
        download_to: folder for downloads; `<store>.raw` beside the store when None.
        visual_features: published features, `image_features_<Category>.b`; they become the current visual feature set, and the
            addresses of pictures are then not kept.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        keep_all_items: keep items of the metadata without an interaction.
        media: folder of `images/<key>.*`, `audio/<key>.*` and `video/<key>.*`; a picture there replaces the item's addresses.
            The same folder at another place is another pull, as the store holds where each file lies.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Returns:
        What was taken and dropped; unchanged when the store already holds this pull.

    Raises:
        BadValue: if a file or folder is not there or not named, or a number is out of range.
        SourceError: if a file is of another kind or release, empty, damaged or cut short, or cannot be downloaded. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    _check(release, core, metadata, reviews, visual_features)
    listed = media_folder.read(media, reporter=reporter) if media else None
    _check_what_is_shown(listed, visual_features)
    if category is not None:
        input_files.require_folder(store_path.absolute().parent, flag="--store")
        folder = download_to or store_path.with_name(f"{store_path.name}.raw")
        metadata, reviews = _fetched(release, category, metadata, reviews, mirror, folder, reporter)
    files = _opened(release, metadata, reviews, visual_features, keep_all_items=keep_all_items)
    settings: dict[str, object] = {"core": core, "keep_all_items": keep_all_items}
    # The place of the media stays in the fingerprint: assets.location holds absolute paths, and those of another place would be wrong.
    settings["media"] = str(media.absolute()) if media else None
    request = _request(files, settings, listed, reporter)
    read = partial(_pull, request=request, files=files, core=core, keep_all=keep_all_items, media=listed, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one category, looked into but not read."""

    release: int
    metadata: RawFile | None
    reviews: RawFile
    features: FeatureFile | None

    @property
    def paths(self) -> list[Path]:
        """All of them; the features last."""
        return [file.path for file in (self.metadata, self.reviews, self.features) if file]


def _check(release: int | None, core: int, metadata: Path | None, reviews: Path | None, visual_features: Path | None) -> None:
    if release is not None and release not in RELEASES:
        raise BadValue(f"--release {release} is not read. Known: {', '.join(map(str, RELEASES))}.")
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction, 5 is usual.")
    for path, flag in ((metadata, "--metadata"), (reviews, "--reviews"), (visual_features, "--visual-features")):
        if path:
            input_files.require_file(path, flag=flag)


def _check_what_is_shown(media: MediaFolder | None, visual_features: Path | None) -> None:
    if media and visual_features and Modality.VISUAL in media.files["modality"]:
        raise BadValue(
            f"--media holds pictures or videos, and {visual_features} holds visual features too: an item can show one only. Leave one out."
        )


def _fetched(
    release: int | None, category: str, metadata: Path | None, reviews: Path | None, mirror: str | None, folder: Path, reporter: Reporter
) -> tuple[Path, Path]:
    if release is None:
        raise BadValue(f"--category {category} is in several releases. Say which with --release: {', '.join(map(str, RELEASES))}.")
    return _amazon_addresses.fetch(release, category, metadata=metadata, reviews=reviews, mirror=mirror, folder=folder, reporter=reporter)


def _opened(release: int | None, metadata: Path | None, reviews: Path | None, visual_features: Path | None, *, keep_all_items: bool) -> _Files:
    if reviews is None:
        raise BadValue("There are no interactions without reviews. Name the reviews file with --reviews, or what to download with --category.")
    if keep_all_items and metadata is None:
        raise BadValue("--keep-all-items keeps what the metadata lists. Name the metadata file with --metadata.")
    if metadata:
        _amazon_kinds.require_one_release(metadata, reviews)
    release = release or _amazon_kinds.recognised_release(metadata, reviews)
    if metadata:
        _amazon_kinds.require(metadata, kind=RELEASES[release].metadata, flag="--metadata")
    _amazon_kinds.require(reviews, kind=RELEASES[release].reviews, flag="--reviews")
    paths = [path for path in (metadata, reviews, visual_features) if path]
    label = dict(zip(paths, input_files.labels(paths), strict=True))
    return _Files(
        release,
        RawFile(metadata, label[metadata]) if metadata else None,
        RawFile(reviews, label[reviews]),
        _amazon_features.open_file(visual_features, label=label[visual_features]) if visual_features else None,
    )


def _request(files: _Files, settings: dict[str, object], media: MediaFolder | None, reporter: Reporter) -> PullRequest:
    # The features are named, as assets and their feature set bear the name.
    features = files.features.label if files.features else None
    parameters = {"release": files.release, **settings, "metadata": files.metadata is not None, "visual_features": features}
    inputs = input_files.describe(files.paths, reporter=reporter)
    return PullRequest(f"amazon-{files.release}", parameters, inputs, media.listing if media else [])


def _pull(
    store: Store, *, request: PullRequest, files: _Files, core: int, keep_all: bool, media: MediaFolder | None, reporter: Reporter
) -> PullReport:
    reviews = files.reviews
    items.create_tables(store)
    pairs.create_tables(store)
    n_reviews = stage_lines(store, reviews, RELEASES[files.release].reviews_shape, reporter=reporter)
    pairs.number_keys(store)
    pairs.drop_repeats(store, source=reviews.label)
    pairs.keep_core(store, core=core, source=reviews.label, reporter=reporter)
    n_lines, extra = _stage_items(store, files, keep_all=keep_all, reporter=reporter)
    n_lines[reviews.label] = n_reviews
    if media:
        store.append("staged_media", media.files)
        extra["media", "media_without_item"] = items.count_media_without_item(store)
        extra["media", "media_unknown_ending"] = len(media.unread)
    if files.features:
        n_lines[files.features.label] = files.features.n_records
    write_items = partial(
        _write_items, store, features=files.features, sha256=request.inputs[-1].sha256, with_audio_files=media is not None, reporter=reporter
    )
    return catalogue.write(store, request, n_lines=n_lines, extra=extra, write_items=write_items)


def _stage_items(store: Store, files: _Files, *, keep_all: bool, reporter: Reporter) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Read the metadata, if there is any, and decide which items are kept.

    Returns:
        Lines read by label, and further counts for the report.
    """
    metadata = files.metadata
    if metadata is None:
        items.keep(store, keep_all=False, source="")
        return {}, {}
    wanted = None if keep_all else pairs.item_keys(store)
    n_lines = stage_lines(store, metadata, RELEASES[files.release].metadata_shape(wanted=wanted), reporter=reporter)
    items.drop_repeats(store, source=metadata.label)
    counts = items.keep(store, keep_all=keep_all, source=metadata.label)
    return {metadata.label: n_lines}, {(metadata.label, rule): n for rule, n in counts.items()}


def _write_items(store: Store, *, features: FeatureFile | None, sha256: str, with_audio_files: bool, reporter: Reporter) -> None:
    items.write(store)
    modalities = [m for m in Modality if not (features and m is Modality.VISUAL)]
    items.write_assets(store, modalities=modalities, with_audio_files=with_audio_files)
    if features:
        _amazon_features.write(store, features, sha256=sha256, reporter=reporter)
