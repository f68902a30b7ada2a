"""The store's answer to "what do I train on": tensors of one split, every shape and key checked once, here.

Features of items that lack a modality, or lose it in the split, are NaN: whoever uses one without imputing it is found out.
Shapes: U users, V items, M modalities.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from milktrain.recommender import warm
from schemas import availability as availability_of
from schemas import feature_sets, fingerprint, queries
from schemas.contracts import FeatureSet, Modality, Part, Setting
from schemas.errors import FeatureMissing, ShapeError, SplitMissing, Stale
from schemas.store import Store

ROWS_PER_READ = 16_384


@dataclass(frozen=True, slots=True)
class SplitName:
    """Which split, and the fingerprint of its content."""

    split_id: int
    name: str
    setting: Setting
    seed: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """One split of one store, in memory.

    `contents` names, for each of the M modalities, which content each item's vector was made of; together with the encoder's
    own fingerprint that names the vectors.

    Shapes:
        features: M matrices (V, d_m) float32, NaN where not available.
        present: (V, M) bool, the item has the modality.
        available: (V, M) bool, it has it and the split does not take it away.
        items: item ids of each part, ascending.
        pairs: (n, 2) int64 user, item of each part.
    """

    split: SplitName
    user_keys: Sequence[str]
    item_keys: Sequence[str]
    feature_sets: tuple[FeatureSet, ...]
    contents: tuple[str, ...]
    features: tuple[Tensor, ...]
    present: Tensor
    available: Tensor
    items: dict[Part, Tensor]
    pairs: dict[Part, Tensor]

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities, in the order of the M axes."""
        return tuple(each.modality for each in self.feature_sets)

    @property
    def n_users(self) -> int:
        """U, users without a training interaction included."""
        return len(self.user_keys)

    @property
    def n_items(self) -> int:
        """V, items outside the split included."""
        return len(self.item_keys)

    @property
    def is_train(self) -> Tensor:
        """(V,) bool."""
        flags = torch.zeros(self.n_items, dtype=torch.bool)
        flags[self.items[Part.TRAIN]] = True
        return flags

    @property
    def warm_items(self) -> Tensor:
        """(W,) training items that somebody interacted with, ascending: those that models learn of, see `recommender.warm`."""
        return warm(self.is_train, self.pairs[Part.TRAIN]).nonzero().squeeze(1)

    @property
    def has_cold_items(self) -> bool:
        """Whether there are training items that nobody interacted with."""
        return len(self.warm_items) < len(self.items[Part.TRAIN])

    @property
    def new_items(self) -> Tensor:
        """Validation and test items together, ascending: the candidates of the authors' code."""
        return torch.cat([self.items[Part.VAL], self.items[Part.TEST]]).sort().values


def read(store_path: Path, *, split: str, modalities: Sequence[Modality] | None = None, untouched: bool = False) -> Bundle:
    """Read one split, holding the store only meanwhile.

    Args:
        store_path: the store.
        split: name of a split in it.
        modalities: which to use; None takes every modality that has a feature set.
        untouched: whether items outside of the split, which nobody interacted with, come with the modalities they have; else without any.

    Raises:
        SplitMissing: if there is no such split; the message lists those there are.
        Stale: if the catalogue or the availability changed since the split was made.
        FeatureMissing: if a named modality, or every modality, has no feature set.
        ShapeError: if vectors and availability disagree.
    """
    sql = queries.load("milktrain.sql", "bundle.sql")
    with Store(store_path, mode="read") as store:
        name = _split(store, split)
        chosen = _feature_sets(store, modalities)
        counts = store.query(sql["counts"]).row(0, named=True)
        lost = store.query(sql["availability"], split_id=name.split_id)
        present, available = _masks(lost, n_items=counts["n_items"], modalities=[each.modality for each in chosen])
        items = _items(store, name.split_id)
        if untouched:
            had = availability_of.matrix(store).select(each.modality.value for each in chosen)
            outside = torch.ones(len(present), dtype=torch.bool).index_fill_(0, torch.cat(list(items.values())), False)
            present[outside] = available[outside] = torch.tensor(had.to_numpy())[outside]
        return Bundle(
            split=name,
            user_keys=store.query(sql["user_keys"])["user_key"].to_list(),
            item_keys=store.query(sql["item_keys"])["item_key"].to_list(),
            feature_sets=chosen,
            contents=tuple(fingerprint.of_frame(store.query(sql["contents"], feature_set_id=each.feature_set_id)) for each in chosen),
            features=tuple(_features(store, each, present=present[:, m], available=available[:, m]) for m, each in enumerate(chosen)),
            present=present,
            available=available,
            items=items,
            pairs={part: _tensor(store.query(sql["interactions"], split_id=name.split_id, part=part.value)) for part in Part},
        )


def split_names(store_path: Path) -> list[str]:
    """All splits of a store, by name."""
    with Store(store_path, mode="read") as store:
        return _split_names(store)


def no_such_split(store_path: Path | str, split: str, *, known: Sequence[str]) -> SplitMissing:
    """The error of a name that no split has."""
    there = f"It has: {', '.join(known)}." if known else "It has none yet."
    return SplitMissing(f"{store_path} has no split {split!r}. {there} Make one with `python cli.py build-splits --store {store_path}`.")


def _split_names(store: Store) -> list[str]:
    return list(store.query(queries.load("milktrain.sql", "bundle.sql")["split_names"])["name"])


def _split(store: Store, split: str) -> SplitName:
    sql = queries.load("milktrain.sql", "bundle.sql")
    rows = store.query(sql["split"], name=split)
    if not rows.height:
        raise no_such_split(store.path, split, known=_split_names(store))
    row = rows.row(0, named=True)
    again = f"Build it again with `python cli.py build-splits --setting {row['setting']} --seed {row['seed']} --replace --store {store.path}`."
    made = json.loads(row["parameters"])
    if set(made) & {"scenario", "loss", "order", "missing", "from"}:
        again = f"Build it again with `python cli.py build-splits --replace`, seed {row['seed']} and what else made it: {json.dumps(made)}."
    if made.get("imported"):
        again = "It came with its dataset: pull that into a new store and train there before anything else is extracted."
    if store.query(sql["catalogue_fingerprint"]).item() != row["catalogue_fingerprint"]:
        raise Stale(f"The catalogue changed since split {split!r} was made. {again}")
    if availability_of.name_of(availability_of.matrix(store)) != row["availability_fingerprint"]:
        raise Stale(f"Modality availability changed since split {split!r} was made, e.g. by `extract`. {again}")
    return SplitName(row["split_id"], row["name"], Setting(row["setting"]), row["seed"], row["fingerprint"])


def _feature_sets(store: Store, modalities: Sequence[Modality] | None) -> tuple[FeatureSet, ...]:
    if modalities is None:
        found = tuple(feature_sets.current(store).values())
        if not found:
            raise FeatureMissing(f"{store.path} has no feature set. Run `python cli.py extract --modality text --store {store.path}` first.")
        return found
    return tuple(feature_sets.current_of(store, modality) for modality in Modality if modality in modalities)


def _masks(rows: pl.DataFrame, *, n_items: int, modalities: Sequence[Modality]) -> tuple[Tensor, Tensor]:
    present = torch.zeros(n_items, len(modalities), dtype=torch.bool)
    available = present.clone()
    for m, modality in enumerate(modalities):
        mine = rows.filter(pl.col("modality") == modality.value)
        index = torch.from_numpy(mine["item_idx"].to_numpy().astype("int64"))
        present[index, m] = torch.tensor(mine["present"].to_numpy())
        available[index, m] = torch.tensor((mine["present"] & ~mine["lost"]).to_numpy())
    return present, available


def _features(store: Store, feature_set: FeatureSet, *, present: Tensor, available: Tensor) -> Tensor:
    sql = queries.load("milktrain.sql", "bundle.sql")[f"features_{feature_set.modality}"]
    matrix = torch.full((len(present), feature_set.identity.width), torch.nan)
    with_vector = torch.zeros(len(present), dtype=torch.bool)
    for rows in store.stream(sql, rows=ROWS_PER_READ):
        index = torch.from_numpy(rows["item_idx"].to_numpy().astype("int64"))
        matrix[index] = torch.tensor(rows["vector"].to_numpy())
        with_vector[index] = True
    missing = present & ~with_vector
    if bool(missing.any()):
        raise ShapeError(
            f"{int(missing.sum())} items of the split should have a {feature_set.modality} vector and have none. Run `python cli.py check`."
        )
    matrix[~available] = torch.nan
    return matrix


def _items(store: Store, split_id: int) -> dict[Part, Tensor]:
    rows = store.query(queries.load("milktrain.sql", "bundle.sql")["parts"], split_id=split_id)
    return {part: _tensor(rows.filter(pl.col("part") == part.value).select("item_idx")).squeeze(1) for part in Part}


def _tensor(frame: pl.DataFrame) -> Tensor:
    return torch.tensor(frame.to_numpy(), dtype=torch.int64)
