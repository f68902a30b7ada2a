"""What is wrong with the generated catalogue, on purpose: modalities missing, files unreadable, lines malformed or repeated.

Real catalogues are like that. Everything planted is counted, so that a reader can be held to the counts.
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from milkprep import demo_media
from milkprep.demo_records import SCRAPED_TITLE, Record
from schemas.contracts import AssetStatus, Modality, RejectReason

#: Shares of the items that have no picture, no title, no sound; neighbours overlap by OVERLAP, so some lack two, none three.
NO_PICTURE, NO_TITLE, NO_SOUND, OVERLAP = 0.08, 0.08, 0.10, 0.01
NOT_FETCHED = 6
BROKEN_PICTURES = 6
REPEATED_REVIEWS, REPEATED_PAIRS, REPEATED_ITEMS, OTHER_LINES_OF_ITEMS = 20, 15, 12, 2

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class MediaFlaws:
    """Which items lack what, by item number.

    Args:
        missing: status -> items, for each modality; an item is in at most one list of a modality.
    """

    missing: dict[Modality, dict[AssetStatus, list[int]]]

    def of(self, modality: Modality, item: int) -> AssetStatus:
        """The status an item's content ends with; `ok` where nothing is wrong."""
        return next((status for status, items in self.missing[modality].items() if item in items), AssetStatus.OK)


def draw_media_flaws(*, n_items: int, seed: int) -> MediaFlaws:
    """Draw which items lack what. At least one modality is left to each item."""
    order = np.random.default_rng([seed, 2]).permutation(n_items).tolist()
    start = 0

    def next_items(n: int, *, shared: int = 0) -> list[int]:
        nonlocal start
        taken: list[int] = order[start - shared : start - shared + n]
        start += n - shared
        return taken

    overlap = int(OVERLAP * n_items)
    no_picture = next_items(int(NO_PICTURE * n_items))
    no_title = next_items(int(NO_TITLE * n_items), shared=overlap)
    no_sound = next_items(int(NO_SOUND * n_items), shared=overlap)
    return MediaFlaws(
        {
            Modality.VISUAL: {
                AssetStatus.ABSENT: no_picture,
                AssetStatus.NOT_FETCHED: next_items(NOT_FETCHED),
                AssetStatus.DECODE_ERROR: next_items(BROKEN_PICTURES),
            },
            Modality.TEXT: {AssetStatus.ABSENT: no_title},
            Modality.AUDIO: {AssetStatus.ABSENT: no_sound, AssetStatus.SILENT: next_items(1), AssetStatus.TOO_SHORT: next_items(1)},
        }
    )


def without_text(record: Record, *, scraped: bool) -> Record:
    """A metadata line whose title is empty or a piece of a web page, and whose description is empty."""
    return {**record, "title": SCRAPED_TITLE if scraped else "", "description": "" if scraped else []}


def broken_picture(whole: bytes, *, kind: int) -> bytes:
    """What a file named .jpg may hold instead: a picture cut short, nothing, or a web page, by `kind` modulo 3."""
    return (whole[: len(whole) // 2], b"", b"<html><body>404 Not Found</body></html>\n")[kind % 3]


def unusable_sound(status: AssetStatus, rng: Generator) -> bytes:
    """A WAV file of silence, or one that ends before a window is full."""
    if status == AssetStatus.SILENT:
        return demo_media.wav(np.zeros(demo_media.RATE // 2))
    return demo_media.wav(demo_media.LOUDNESS * rng.standard_normal(demo_media.TOO_SHORT))


def review_lines(records: list[Record], *, seed: int) -> tuple[list[bytes], Counts]:
    """Lines of a review file in shuffled order, with malformed and repeated ones among them.

    Args:
        records: sound reviews, each of another (user, item) pair.
        seed: of order and choice.

    Returns:
        The lines and how many of them are wrong, by `RejectReason`.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = iter(records[n] for n in rng.choice(len(records), REPEATED_REVIEWS + REPEATED_PAIRS + 4, replace=False))
    repeated = [line_of(next(chosen)) for _ in range(REPEATED_REVIEWS)]
    second_thoughts = [_second_thought(next(chosen)) for _ in range(REPEATED_PAIRS)]
    unkeyed = [_without(next(chosen), key) for key in ("asin", "asin", "reviewerID")]
    wrong = {
        RejectReason.DUPLICATE_LINE: repeated,
        RejectReason.DUPLICATE_PAIR: second_thoughts,
        RejectReason.MISSING_KEY: unkeyed,
        RejectReason.WRONG_TYPE: [line_of({**next(chosen), "overall": "five"})],
        RejectReason.MALFORMED: [line_of(records[0])[:60], b"<html>503 Service Unavailable</html>"],
        RejectReason.NOT_UTF8: [line_of(records[0]).replace(b"A reader", b"A r\xe9ader")],
    }
    return _mixed([line_of(r) for r in records], wrong, rng)


def metadata_lines(records: list[Record], *, seed: int) -> tuple[list[bytes], Counts]:
    """Lines of a metadata file in shuffled order, with malformed and repeated ones among them; as `review_lines`."""
    rng = np.random.default_rng([seed, 4])
    chosen = [records[n] for n in rng.choice(len(records), REPEATED_ITEMS + OTHER_LINES_OF_ITEMS, replace=False)]
    wrong = {
        RejectReason.DUPLICATE_LINE: [line_of(r) for r in chosen[:REPEATED_ITEMS]],
        RejectReason.DUPLICATE_ITEM: [line_of({**r, "date": "May 1, 2018"}) for r in chosen[REPEATED_ITEMS:]],
        RejectReason.MISSING_KEY: [_without(records[0], "asin")],
        RejectReason.MALFORMED: [line_of(records[0])[:-40], b"{}}"],
    }
    return _mixed([line_of(r) for r in records], wrong, rng)


def line_of(record: Record) -> bytes:
    """A record as one JSON line without its line end."""
    return json.dumps(record).encode()


def _without(record: Record, key: str) -> bytes:
    return line_of({k: v for k, v in record.items() if k != key})


def _second_thought(review: Record) -> bytes:
    """Another line of the same user and item, a day later."""
    return line_of({**review, "reviewText": "Changed my mind.", "unixReviewTime": review["unixReviewTime"] + 86_400})


def _mixed(sound: list[bytes], wrong: dict[RejectReason, list[bytes]], rng: Generator) -> tuple[list[bytes], Counts]:
    lines = sound + [line for planted in wrong.values() for line in planted]
    counts = {reason.value: len(planted) for reason, planted in wrong.items()}
    return [lines[n] for n in rng.permutation(len(lines))], counts
