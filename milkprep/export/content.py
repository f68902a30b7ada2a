"""What a format may know of a split: parts, interactions, vectors and what was lost, numbered from 0 without gaps.

Promises: only items of the split, and users who touched one, have a number; numbers follow the ids of the store, so they are the
same wherever every item is in the split. A split that no longer agrees with the store is refused. Vectors come in batches.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas import availability as availability_of
from schemas import feature_sets, queries
from schemas.contracts import FeatureSet, Modality, Part, Setting
from schemas.errors import BadValue, FeatureMissing, ShapeError, SplitMissing, Stale
from schemas.store import Store

BATCH_BYTES = 32 << 20
MOST_ROWS = 16_384

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one modality.

    Args:
        feature_set: what made them.
        present: (N,) the item has one.
        available: (N,) it has one and the split does not take it away.
    """

    feature_set: FeatureSet
    present: Mask
    available: Mask

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self.feature_set.identity.width


@dataclass(frozen=True, slots=True)
class SplitContent:
    """One split of an open store. N items, U users.

    Args:
        name: of the split.
        setting: which sides lose modalities.
        seed: of its draw.
        fingerprint: of its content.
        items: (N) `item` 0 .. N - 1, `item_key`, `part`.
        users: (U) `user` 0 .. U - 1, `user_key`.
        vectors: by the modality as which they are handed over, which `--rename` may have changed.
    """

    name: str
    setting: Setting
    seed: int
    fingerprint: str
    items: pl.DataFrame
    users: pl.DataFrame
    vectors: Mapping[Modality, Vectors]
    _store: Store
    _split_id: int
    _item_of: NDArray[np.int32]  # number of each item_idx, -1 outside the split
    _user_of: NDArray[np.int32]

    def in_part(self, part: Part) -> Mask:
        """(N,) whether each item is in a part."""
        found: Mask = (self.items["part"] == part.value).to_numpy()
        return found

    def pairs(self, part: Part) -> pl.DataFrame:
        """Interactions of a part: `user`, `item`, both Int32, in this order."""
        found = self._store.query(_sql()["interactions"], split_id=self._split_id, part=part.value)
        return pl.DataFrame({"user": self._user_of[found["user_idx"].to_numpy()], "item": self._item_of[found["item_idx"].to_numpy()]})

    def batches(self, modality: Modality) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Item numbers (n,) and vectors (n, width) of a modality, in no order; those that the split takes away are among them.

        Raises:
            ShapeError: if an item should have a vector and has none.
        """
        vectors = self.vectors[modality]
        n_rows = max(1, min(MOST_ROWS, BATCH_BYTES // (4 * vectors.width)))
        left = vectors.present.copy()
        for rows in self._store.stream(_sql()[f"features_{vectors.feature_set.modality}"], rows=n_rows):
            numbers = self._item_of[rows["item_idx"].to_numpy()]
            inside = numbers >= 0
            left[numbers[inside]] = False
            yield numbers[inside], rows["vector"].to_numpy()[inside]
        if left.any():
            raise ShapeError(
                f"{int(left.sum())} items of split {self.name} should have a {vectors.feature_set.modality} vector and have none. "
                "Run `python cli.py check`."
            )


@contextmanager
def opened(
    store_path: Path, *, split: str, modalities: Sequence[Modality] | None = None, rename: Mapping[Modality, Modality] | None = None
) -> Iterator[SplitContent]:
    """A split of a store, which is held for reading meanwhile.

    Args:
        store_path: the store.
        split: name of a split in it.
        modalities: which to hand over; None takes every modality that has vectors.
        rename: modality -> as which other one its vectors are handed over.

    Raises:
        SplitMissing: if there is no such split; the message lists those there are.
        Stale: if the catalogue or the availability changed since the split was made.
        FeatureMissing: if a named modality, or every modality, has no vectors.
        BadValue: if `rename` names a modality that is not handed over, or two would bear one name.
    """
    sql = _sql()
    with Store(store_path, mode="read") as store:
        row = _row(store, split)
        _refuse_stale(store, split, row)
        chosen = _named(_chosen(store, modalities), rename or {})
        items = store.query(sql["items"], split_id=row["split_id"])
        users = store.query(sql["users"], split_id=row["split_id"])
        counts = store.query(sql["counts"]).row(0, named=True)
        yield SplitContent(
            name=split, setting=Setting(str(row["setting"])), seed=int(str(row["seed"])), fingerprint=str(row["fingerprint"]),
            items=_numbered(items, "item"), users=_numbered(users, "user"),
            vectors={name: _vectors(store, made, split_id=row["split_id"], items=items) for name, made in chosen.items()},
            _store=store, _split_id=int(str(row["split_id"])),
            _item_of=_lookup(items["item_idx"], counts["n_items"]), _user_of=_lookup(users["user_idx"], counts["n_users"]),
        )  # fmt: skip


def _row(store: Store, split: str) -> dict[str, object]:
    rows = store.query(_sql()["split"], name=split)
    if not rows.height:
        known = store.query(_sql()["split_names"])["name"].to_list()
        there = f"It has: {', '.join(known)}." if known else "It has none yet."
        raise SplitMissing(f"{store.path} has no split {split!r}. {there} Make one with `python cli.py build-splits --store {store.path}`.")
    return rows.row(0, named=True)


def _refuse_stale(store: Store, split: str, row: Mapping[str, object]) -> None:
    again = "Build it again with `python cli.py build-splits --replace`."
    if json.loads(str(row["parameters"])).get("imported"):
        again = "It came with its dataset: pull that into a new store."
    if store.query(_sql()["catalogue_fingerprint"]).item() != row["catalogue_fingerprint"]:
        raise Stale(f"The catalogue of {store.path} changed since split {split!r} was made. {again}")
    if availability_of.name_of(availability_of.matrix(store)) != row["availability_fingerprint"]:
        raise Stale(f"Modality availability of {store.path} changed since split {split!r} was made, e.g. by `extract`. {again}")


def _chosen(store: Store, modalities: Sequence[Modality] | None) -> list[FeatureSet]:
    if modalities is not None:
        return [feature_sets.current_of(store, modality) for modality in Modality if modality in modalities]
    found = list(feature_sets.current(store).values())
    if not found:
        raise FeatureMissing(f"{store.path} has no feature set. Run `python cli.py extract --modality text --store {store.path}` first.")
    return found


def _named(chosen: Sequence[FeatureSet], rename: Mapping[Modality, Modality]) -> dict[Modality, FeatureSet]:
    """The sets by the modality as which they are handed over, in the order of `Modality`."""
    unknown = [old for old in rename if old not in [made.modality for made in chosen]]
    if unknown:
        raise BadValue(f"--rename names {unknown[0]}, which is not exported. Exported are: {', '.join(made.modality for made in chosen)}.")
    named: dict[Modality, FeatureSet] = {}
    for made in chosen:
        name = rename.get(made.modality, made.modality)
        if name in named:
            raise BadValue(f"{named[name].modality} and {made.modality} would both be called {name}. Leave one out with --modalities.")
        named[name] = made
    return {modality: named[modality] for modality in Modality if modality in named}


def _vectors(store: Store, made: FeatureSet, *, split_id: object, items: pl.DataFrame) -> Vectors:
    rows = store.query(_sql()["availability"], split_id=split_id, modality=made.modality.value)
    if not rows["item_idx"].equals(items["item_idx"]):
        raise ShapeError(f"The split does not say of every item whether it has {made.modality}. Run `python cli.py check --store {store.path}`.")
    present = rows["present"].to_numpy()
    return Vectors(made, present, present & ~rows["lost"].to_numpy())


def _numbered(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """The rows with their numbers in place of the store's ids."""
    return rows.drop(f"{what}_idx").with_row_index(what).cast({what: pl.Int32})


def _lookup(ids: pl.Series, n: int) -> NDArray[np.int32]:
    """(n,) the number of each of the store's ids, -1 where it has none."""
    numbers = np.full(n, -1, dtype=np.int32)
    numbers[ids.to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return numbers


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "export.sql")
