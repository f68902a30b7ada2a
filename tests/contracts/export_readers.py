"""What each export format says, read back from its description alone: none of the project's own readers is used.

A reader returns what `Told` holds, in the words of the files: ids are the files' own.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MILK_FILES = {"visual": "image_feat", "text": "text_feat", "audio": "audio_feat"}
MILK_VARIANTS = {"ftft": "", "ftmt": "_missing_test", "mtft": "_missing_train", "mtmt": "_missing_all"}


@dataclass
class Told:
    """Interactions by part as (user key, item key); new items by key; features a model is given, by modality and item key."""

    pairs: dict[str, set[tuple[str, str]]]
    new_items: set[str]
    features: dict[str, dict[str, tuple[float, ...]]]


def milk(folder: Path, *, setting: str) -> Told:
    """As the published loader reads: lines split at single spaces, arrays without pickle, rows by item id."""
    item_keys, user_keys = _keys(folder / "item_keys.tsv", "itemID"), _keys(folder / "user_keys.tsv", "userID")
    pairs: dict[str, set[tuple[str, str]]] = {}
    for part in ("train", "val", "test"):
        pairs[part] = set()
        for line in (folder / f"{part}.txt").read_text().splitlines():
            user, *items = [int(field) for field in line.split(" ")]  # two spaces, or one at the end, would be no number
            assert items == sorted(set(items))
            assert items
            pairs[part] |= {(user_keys[user], item_keys[item]) for item in items}
    new = np.load(folder / "cold_item_index.npy", allow_pickle=False)
    assert new.dtype == np.int64
    features = {}
    for modality, name in MILK_FILES.items():
        file = folder / f"{name}{MILK_VARIANTS[setting]}.npy"
        if file.exists():
            rows = np.load(file, allow_pickle=False)
            assert (rows.dtype, len(rows)) == (np.float32, len(item_keys))
            features[modality] = {item_keys[item]: tuple(map(float, row)) for item, row in enumerate(rows)}
    return Told(pairs, {item_keys[item] for item in new}, features)


def _keys(path: Path, number: str) -> dict[int, str]:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    (other,) = set(rows[0]) - {number}
    keys = {int(row[number]): row[other] for row in rows}
    assert sorted(keys) == list(range(len(keys)))
    return keys


READERS = {"milk": milk}
