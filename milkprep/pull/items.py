"""Items of a pull: which are kept, and what content each has, set-wise in the store's temporary tables.

Promises: one line an item, the first; every line that is not used is a row of `staged_rejects`; every piece of content an item
has, or lacks, is one row of `assets` with a reason in words.
"""

from collections.abc import Collection

from milkprep.pull.text_cleaning import SCRAPED
from schemas import queries
from schemas.contracts import Modality
from schemas.store import Store


def create_tables(store: Store) -> None:
    """Make the temporary tables `staged_rejects`, `staged_items`, `staged_media` and `kept_items`, empty."""
    store.run(_sql()["create"])


def drop_repeats(store: Store, *, source: str) -> None:
    """Keep the first line of each item in `staged_items`; the others become rejects of `source`."""
    sql = _sql()
    store.run(sql["find_repeated_items"])
    store.run(sql["reject_repeated_items"], source=source)
    store.run(sql["drop_repeated_items"])


def keep(store: Store, *, keep_all: bool, source: str) -> dict[str, int]:
    """Fill `kept_items`, numbered in the order of keys.

    Args:
        store: open for writing, with `pairs` final and `staged_items` unique.
        keep_all: also keep items of the metadata without an interaction; otherwise they become rejects.
        source: the metadata file, for `staged_rejects`.

    Returns:
        Counts by rule: `scraped_title`, `not_in_metadata`.
    """
    sql = _sql()
    store.run(sql["keep_items"], keep_all=keep_all)
    store.run(sql["reject_lonely_items"], source=source)
    return {
        "scraped_title": int(store.query(sql["count_scraped_titles"], reason=SCRAPED).item()),
        "not_in_metadata": int(store.query(sql["count_not_in_metadata"]).item()),
    }


def count_media_without_item(store: Store) -> int:
    """Files of `staged_media` whose name is the key of no kept item."""
    return int(store.query(_sql()["count_media_without_item"]).item())


def write(store: Store) -> None:
    """Write `items`. Call inside a transaction."""
    store.run(_sql()["write_items"])


def write_assets(store: Store, *, modalities: Collection[Modality], with_audio_files: bool = False) -> None:
    """Write `assets`: texts, local files, picture addresses, and what is absent. Call inside a transaction.

    Args:
        store: open for writing, with `kept_items`, `staged_items` and `staged_media` ready.
        modalities: which to write; the others are the caller's.
        with_audio_files: whether audio files were looked for, so that an item without one says so.
    """
    sql = _sql()
    if Modality.TEXT in modalities:
        store.run(sql["write_text_assets"])
    if Modality.VISUAL in modalities:
        store.run(sql["write_media_assets"], modality=Modality.VISUAL.value)
        store.run(sql["write_picture_addresses"])
    if Modality.AUDIO in modalities and with_audio_files:
        store.run(sql["write_media_assets"], modality=Modality.AUDIO.value)
        store.run(sql["write_missing_audio"])


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "items.sql")
