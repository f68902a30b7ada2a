"""A small catalogue that is generated, not real, in the raw format of the Amazon 2018 release.

Promises: tastes are planted, so the right ranking of new items is known; what is missing, unreadable or malformed is planted
and counted; the same seed writes the same bytes; the folder appears whole or not at all. `truth.json` beside the files
holds everything that was planted.
"""

import gzip
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from milkprep import demo_flaws, demo_media, demo_records, demo_tastes
from schemas.contracts import AssetStatus, Modality
from schemas.errors import BadValue

GENERATOR = "milkprep demo catalogue"
METADATA, REVIEWS, TRUTH = "meta_Demo.json.gz", "Demo.json.gz", "truth.json"
#: Items of the metadata that nobody touches, and items that users touch but the metadata lacks.
UNTOUCHED, NOT_IN_METADATA, TOUCHES_OF_UNKNOWN = 8, 3, 6
#: One more user with a single interaction for every so many: the k-core filter has something to do.
USERS_A_PASSER_BY = 20
SMALLEST, LARGEST = 100, 9999


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything that was planted.

    Args:
        generator: which program wrote the folder.
        seed: what it was drawn from.
        themes: names of the T themes.
        item_tastes: item key -> (T,) how much it is about each theme; sums to 1. Items of the metadata only.
        user_tastes: user key -> (T,) how much they like each theme. A user likes an item as much as the dot product says.
        missing: modality -> item key -> the status its content ends with, for every item whose content is not there.
        planted: file name -> `RejectReason` -> lines that deserve it.
        untouched_items: items of the metadata that no review names.
        items_not_in_metadata: items of reviews that the metadata lacks.
        passers_by: users with one interaction.
    """

    generator: str
    seed: int
    themes: tuple[str, ...]
    item_tastes: dict[str, list[float]]
    user_tastes: dict[str, list[float]]
    missing: dict[str, dict[str, str]]
    planted: dict[str, dict[str, int]]
    untouched_items: list[str]
    items_not_in_metadata: list[str]
    passers_by: list[str]


@dataclass(frozen=True, slots=True)
class DemoCatalogue:
    """Where the files of a generated catalogue lie, and what was planted in them.

    Args:
        folder: holds the others, and `images/` and `audio/` of files named by item key.
        metadata: gzipped JSON lines, one an item.
        reviews: gzipped JSON lines, one a review.
        truth: what was planted; also in `truth.json`.
    """

    folder: Path
    metadata: Path
    reviews: Path
    truth: Truth


def write(folder: Path, *, seed: int = 0, n_users: int = 800, n_items: int = 600) -> DemoCatalogue:
    """Write a catalogue; an older one in its place is replaced.

    Args:
        folder: where; created, with its parents.
        seed: of everything in it, 0 or more.
        n_users: users with about 19 interactions each, 100 .. 9999.
        n_items: lines of metadata worth keeping, 100 .. 9999.

    Raises:
        BadValue: if a number is out of its range, or the folder holds something that this did not write.
        OSError: if the disk refuses.
    """
    for name, value in (("n_users", n_users), ("n_items", n_items)):
        if not SMALLEST <= value <= LARGEST:
            raise BadValue(f"{name} must be {SMALLEST} to {LARGEST}, not {value}.")
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh = Path(scratch, "new")
        truth = _fill(fresh, seed=seed, n_users=n_users, n_items=n_items)
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        fresh.rename(folder)
    return DemoCatalogue(folder, folder / METADATA, folder / REVIEWS, truth)


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        ours = json.loads((folder / TRUTH).read_text(encoding="utf-8"))["generator"] == GENERATOR
    except (OSError, ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise BadValue(f"{folder} holds something else than a generated catalogue, which would be lost. Name another folder.")


def _fill(folder: Path, *, seed: int, n_users: int, n_items: int) -> Truth:
    tastes = demo_tastes.draw(n_users=n_users, n_items=n_items, n_untouched=UNTOUCHED, seed=seed)
    flaws = demo_flaws.draw_media_flaws(n_items=n_items, seed=seed)
    items = [f"B0DEMO{n:04d}" for n in range(n_items)]
    users = [f"ADEMO{n:09d}" for n in range(n_users)]
    _write_media(folder, items, tastes=tastes, flaws=flaws, seed=seed)
    metadata, in_metadata = demo_flaws.metadata_lines(_metadata(items, tastes=tastes, flaws=flaws, seed=seed), seed=seed)
    touched = {user: [items[n] for n in numbers] for user, numbers in zip(users, tastes.touched, strict=True)}
    unknown, passers_by = _add_strangers(touched, seed=seed)
    reviews, in_reviews = demo_flaws.review_lines(_reviews(touched, seed=seed), seed=seed)
    _write_lines(folder / METADATA, metadata)
    _write_lines(folder / REVIEWS, reviews)
    truth = Truth(
        generator=GENERATOR, seed=seed, themes=demo_tastes.THEMES,
        item_tastes=dict(zip(items, tastes.items.round(4).tolist(), strict=True)),
        user_tastes=dict(zip(users, tastes.users.round(4).tolist(), strict=True)),
        missing={m.value: {items[n]: s.value for s, numbers in by.items() for n in numbers} for m, by in flaws.missing.items()},
        planted={METADATA: in_metadata, REVIEWS: in_reviews},
        untouched_items=items[n_items - UNTOUCHED :], items_not_in_metadata=unknown, passers_by=passers_by,
    )  # fmt: skip
    (folder / TRUTH).write_text(json.dumps(asdict(truth), indent=1), encoding="utf-8")
    return truth


def _add_strangers(touched: dict[str, list[str]], *, seed: int) -> tuple[list[str], list[str]]:
    """Let some users touch items that the metadata lacks, and add users who touch one item; the keys of both."""
    rng = np.random.default_rng([seed, 5])
    users = list(touched)
    popular = sorted({item for items in touched.values() for item in items})
    unknown = [f"B0GONE{n:04d}" for n in range(NOT_IN_METADATA)]
    for item in unknown:
        for n in rng.choice(len(users), TOUCHES_OF_UNKNOWN, replace=False):
            touched[users[n]].append(item)
    passers_by = [f"APASS{n:09d}" for n in range(len(users) // USERS_A_PASSER_BY)]
    touched |= {user: [demo_records.pick(popular, rng)] for user in passers_by}
    return unknown, passers_by


def _metadata(items: list[str], *, tastes: demo_tastes.Tastes, flaws: demo_flaws.MediaFlaws, seed: int) -> list[demo_records.Record]:
    rng = np.random.default_rng([seed, 6])
    records = []
    for n, asin in enumerate(items):
        picture = flaws.of(Modality.VISUAL, n) != AssetStatus.ABSENT
        record = demo_records.metadata(asin, shown=tastes.shown[Modality.TEXT][n], picture=picture, rng=rng)
        records.append(record if flaws.of(Modality.TEXT, n) == AssetStatus.OK else demo_flaws.without_text(record, scraped=n % 2 == 0))
    return records


def _reviews(touched: dict[str, list[str]], *, seed: int) -> list[demo_records.Record]:
    rng = np.random.default_rng([seed, 7])
    return [demo_records.review(user, item, rng) for user, items in touched.items() for item in items]


def _write_media(folder: Path, items: list[str], *, tastes: demo_tastes.Tastes, flaws: demo_flaws.MediaFlaws, seed: int) -> None:
    images, audio = folder / "images", folder / "audio"
    for made in (images, audio):
        made.mkdir(parents=True)
    rng = np.random.default_rng([seed, 8])
    for n, asin in enumerate(items):
        picture = demo_media.picture(tastes.shown[Modality.VISUAL][n], rng)
        sound = demo_media.sound(tastes.shown[Modality.AUDIO][n], rng)
        seen, heard = flaws.of(Modality.VISUAL, n), flaws.of(Modality.AUDIO, n)
        if seen == AssetStatus.DECODE_ERROR:
            kind = flaws.missing[Modality.VISUAL][seen].index(n)
            picture = demo_flaws.broken_picture(picture, kind=kind)
        if heard in (AssetStatus.SILENT, AssetStatus.TOO_SHORT):
            sound = demo_flaws.unusable_sound(heard, rng)
        if seen in (AssetStatus.OK, AssetStatus.DECODE_ERROR):
            (images / f"{asin}.jpg").write_bytes(picture)
        if heard != AssetStatus.ABSENT:
            (audio / f"{asin}.wav").write_bytes(sound)


def _write_lines(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
