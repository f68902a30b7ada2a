"""Shards as they lie in folders, checked before anything is made of them: all of one extraction, each once, finished and undamaged.

What lies there may come from anywhere. Names of files follow from page numbers, never from what a manifest says; no file is read whose
size or layout is another than a shard writes; and of what is read every value is looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from milkprep import extractors
from milkprep.engine.content import PAGE_ITEMS
from milkprep.engine.shards import MANIFEST, SCHEMA, Manifest, page_file
from schemas import feature_sets, fingerprint
from schemas.contracts import AssetStatus
from schemas.errors import DataError
from schemas.reporting import Progress

#: What shards of one extraction have in common, besides what they say in words.
SAID = {"modality": "modality", "fingerprint": "feature set", "catalogue": "catalogue", "page_items": "pages", "shard.of": "number of parts"}
#: Widest vector that a store's table takes.
MOST_WIDTH = 100_000
#: Bytes an asset takes in a file besides its vector, at most: an address and a reason.
ROW_BYTES = 32 << 10
#: Rows that are decoded at a time.
ROWS_AT_ONCE = 256
#: What became of a content that has no vector.
FAILED = (AssetStatus.DECODE_ERROR, AssetStatus.TOO_SHORT, AssetStatus.SILENT, AssetStatus.ABSENT)


@dataclass(frozen=True, slots=True)
class Shards:
    """All shards of one extraction.

    Args:
        folders: by shard, in the order of their numbers.
        manifests: in the same order.
    """

    folders: Sequence[Path]
    manifests: Sequence[Manifest]

    @property
    def first(self) -> Manifest:
        """What holds for all of them is in each."""
        return self.manifests[0]

    def pages(self) -> Iterator[tuple[int, Path]]:
        """Number and file of every page, in the order in which one process would have embedded them."""
        of_shards = zip(self.folders, self.manifests, strict=True)
        yield from sorted((page, page_file(folder, page)) for folder, manifest in of_shards for page in manifest.pages)


def gather(folders: Sequence[Path]) -> Shards:
    """The shards in some folders, or in folders inside them; they must be all of one extraction, each once and finished.

    Raises:
        DataError: if they are not; the message says which is missing, unfinished, there twice or of something else.
    """
    found = [(folder, Manifest.read(folder)) for folder in _shard_folders(folders)]
    if not found:
        raise DataError(f"There is no shard in {', '.join(map(str, folders))}. Make some with `python cli.py extract --shards N/M --out FOLDER`.")
    found.sort(key=lambda shard: shard[1].shard.number)
    shards = Shards([folder for folder, _ in found], [manifest for _, manifest in found])
    _require_one_extraction(shards)
    _require_all(shards)
    return shards


def require_undamaged(shards: Shards, progress: Progress) -> None:
    """Compare every file with the digest its shard was finished with.

    Raises:
        DataError: if one is missing, or another file than it was.
    """
    for folder, manifest in zip(shards.folders, shards.manifests, strict=True):
        for page, file in zip(manifest.pages, manifest.files or (), strict=True):
            path = page_file(folder, page)
            if not path.is_file():
                raise _damaged(path, "it is missing")
            if path.stat().st_size != file.bytes or fingerprint.of_file(path) != file.sha256:
                raise _damaged(path, "it is not the file that was written, or only a part of it")
            progress.advance()


def read_page(file: Path, *, width: int, most_rows: int) -> pl.DataFrame:
    """One page of a shard, as a shard may be.

    Returns:
        `REFUSED`'s columns and `vector` Array(Float32, width), null where there is none.

    Raises:
        DataError: if it holds anything else.
    """
    if file.stat().st_size > (most_rows + 4) * (width * 4 + ROW_BYTES):
        raise _damaged(file, f"it is too large for {most_rows} assets")
    try:
        with parquet.ParquetFile(file) as opened:
            _require_layout(file, opened, most_rows)
            rows = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(opened.iter_batches(batch_size=ROWS_AT_ONCE), SCHEMA)))
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise _damaged(file, str(error)) from error
    n, digest = pl.col("vector").list.len(), pl.col("content_sha256")
    has_vector = n > 0
    wrong = {
        "an asset without a number": pl.any_horizontal(pl.col("item_idx", "position", "location", "vector").is_null()),
        "a digest that is none": digest.is_not_null() & ~digest.str.contains("^[0-9a-f]{64}$"),
        "a status that is none": pl.col("status").is_not_null() & ~pl.col("status").is_in([status.value for status in FAILED]),
        "a failure without a reason": pl.col("status").is_null() != pl.col("reason").is_null(),
        "neither content nor failure": digest.is_null() & pl.col("status").is_null(),
        "a vector of what failed": has_vector & (digest.is_null() | pl.col("status").is_not_null()),
        f"a vector that is not {width} wide": has_vector & (n != width),
        "a vector with a number that is none": ~pl.col("vector").list.eval(pl.element().is_finite().fill_null(value=False)).list.all(),
        "a vector of zeros": has_vector & ~pl.col("vector").list.eval(pl.element() != 0).list.any(),
        "a vector twice": has_vector & digest.is_duplicated() & ~digest.is_first_distinct(),
    }
    for what, where in wrong.items():
        if rows.select(where.fill_null(value=False).any()).item():
            raise _damaged(file, f"it holds {what}")
    if rows.select("item_idx", "position").is_duplicated().any():
        raise _damaged(file, "it holds an asset twice")
    vector = pl.when(has_vector).then(pl.col("vector")).otherwise(None)
    return rows.with_columns(vector=vector.list.to_array(width))


def _require_layout(file: Path, opened: parquet.ParquetFile, most_rows: int) -> None:
    about = opened.metadata
    if not opened.schema_arrow.equals(SCHEMA):
        raise _damaged(file, "it has other columns than a shard")
    if about.num_rows > most_rows:
        raise _damaged(file, f"it holds {about.num_rows} assets where the store has {most_rows}")
    columns = [about.row_group(group).column(column) for group in range(about.num_row_groups) for column in range(about.num_columns)]
    if any(column.compression != "UNCOMPRESSED" or column.has_dictionary_page for column in columns):
        raise _damaged(file, "it is compressed, as no shard is")


def _shard_folders(folders: Sequence[Path]) -> list[Path]:
    """Folders with a manifest: those named, else those inside them, one or two deep."""
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder}. Name folders that `python cli.py extract --shards` wrote.")
        patterns = (MANIFEST,) if (folder / MANIFEST).is_file() else (f"*/{MANIFEST}", f"*/*/{MANIFEST}")
        found |= dict.fromkeys(path.parent.resolve() for pattern in patterns for path in sorted(folder.glob(pattern)))
    return list(found)


def _require_one_extraction(shards: Shards) -> None:
    first = shards.first
    for folder, other in zip(shards.folders, shards.manifests, strict=True):
        for what in SAID:
            if attrgetter(what)(other) != attrgetter(what)(first):
                raise DataError(
                    f"{shards.folders[0]} and {folder} are parts of different work, by their {SAID[what]}: {_described(first)}, and "
                    f"{_described(other)}. Name the folders of one."
                )
    if first.fingerprint != feature_sets.name_of(first.modality, first.identity):
        raise DataError(f"The shards in {shards.folders[0].parent} are named after another encoder than they describe. Run the shards again.")
    if first.identity.encoder not in extractors.names(first.modality) or not 1 <= first.identity.width <= MOST_WIDTH:
        raise DataError(f"The shards are of {_described(first)}, which this version does not know. Merge them with the version that made them.")
    if first.page_items != (known := PAGE_ITEMS[first.modality]):
        raise DataError(f"The shards have pages of {first.page_items} items, this version has pages of {known}. Use the version that made them.")


def _described(manifest: Manifest) -> str:
    return f"{manifest.modality} by {manifest.identity.encoder[:80]!r} in {manifest.shard.of} parts"


def _require_all(shards: Shards) -> None:
    of = shards.first.shard.of
    numbers = [manifest.shard.number for manifest in shards.manifests]
    for number, folder, next_number, next_folder in zip(numbers, shards.folders, numbers[1:], shards.folders[1:], strict=False):
        if number == next_number:
            raise DataError(f"Shard {number}/{of} is there twice: in {folder} and in {next_folder}. Name one of them.")
    unfinished = [f"{manifest.shard}" for manifest in shards.manifests if manifest.files is None]
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in set(numbers)][:20]
    if missing or unfinished:
        both = [f"{word} {', '.join(some)}" for word, some in (("missing:", missing), ("not finished:", unfinished)) if some]
        raise DataError(f"Not all {of} shards are there ({'; '.join(both)}). Run those with `python cli.py extract --shards N/{of}`, then merge.")


def _damaged(file: Path, why: str) -> DataError:
    return DataError(f"{file} cannot be merged: {why}. Delete the folder of that shard and run the shard again; nothing was merged.")
