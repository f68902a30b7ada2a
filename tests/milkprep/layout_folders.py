"""Folders of prepared datasets as other projects lay them out, written by hand."""

import json
from pathlib import Path

import numpy as np

N_ITEMS = 10
#: User -> items; items 6 and 7 are validation's, 8 and 9 test's.
LISTS = {
    "train": {0: [0, 1, 2], 1: [2, 3], 2: [4, 5, 0], 3: []},
    "val": {0: [6], 1: [7, 6], 2: [], 3: [7]},
    "test": {0: [8], 1: [], 2: [9, 8], 3: [9]},
}
PAIRS = {(user, item) for lists in LISTS.values() for user, items in lists.items() for item in items}


def features(folder: Path, name: str, *, width: int = 3, zeros: tuple[int, ...] = ()) -> np.ndarray:
    """Rows that tell their item, zeros where said."""
    rows = np.arange(1, N_ITEMS + 1, dtype="float32")[:, None] * np.ones(width, dtype="float32") + np.arange(width, dtype="float32")
    rows[list(zeros)] = 0
    np.save(folder / f"{name}.npy", rows)
    return rows


def milk(folder: Path, *, lists=LISTS, new_items: tuple[int, ...] | None = (6, 7, 8, 9)) -> Path:
    """Lists of items a user, features of two modalities, and a variant in which test items lost some."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, users in lists.items():
        (folder / f"{part}.txt").write_text("".join(f"{user} {' '.join(map(str, items))}\n" for user, items in users.items()))
    for name in ("image_feat", "text_feat"):
        features(folder, name)
    features(folder, "image_feat_missing_test", zeros=(6, 8))
    features(folder, "text_feat_missing_test", zeros=(9,))
    if new_items is not None:
        np.save(folder / "cold_item_index.npy", np.array(new_items))
    return folder


def lattice(folder: Path, *, lists=LISTS) -> Path:
    """The same lists as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, users in lists.items():
        (folder / f"{part}.json").write_text(json.dumps({str(user): items for user, items in users.items()}))
    features(folder, "image_feat")
    return folder


def mmrec(folder: Path) -> Path:
    """Pairs with dense ids, keys of users and items, features, and a list of pictures that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.inter").write_text("userID\titemID\tx_label\n" + "".join(f"{user}\t{item}\t0\n" for user, item in sorted(PAIRS)))
    (folder / "i_id_mapping.csv").write_text("asin\titemID\n" + "".join(f"B{item:03d}\t{item}\n" for item in range(N_ITEMS)))
    (folder / "u_id_mapping.csv").write_text("user_id\tuserID\n" + "".join(f"user-{user}\t{user}\n" for user in range(4)))
    (folder / "missed_img_itemIDs.csv").write_text("2\n5\n")
    features(folder, "image_feat")
    features(folder, "text_feat", width=2)
    return folder
