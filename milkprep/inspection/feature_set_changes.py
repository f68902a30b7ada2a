"""The feature sets of a store as a list, and the two things that can be done to one: show it, remove it.

Promises: a change happens wholly or not at all, and its answer names the splits that do not agree with the availability any more.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from schemas import availability, feature_sets, item_means, queries
from schemas.contracts import FeatureSet
from schemas.errors import FeatureMissing
from schemas.store import Store

#: The encoder's name of vectors that came ready-made, which no extraction can make again.
IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Change:
    """What a change came to.

    Args:
        feature_set: the set that was to be shown or removed.
        shown: the set of its modality that is shown now; None where none is left.
        was_shown: whether `feature_set` itself was shown before.
        stale_splits: names of splits drawn from another availability than that of now.
    """

    feature_set: FeatureSet
    shown: FeatureSet | None
    was_shown: bool
    stale_splits: tuple[str, ...]


def listed(store_path: Path) -> pl.DataFrame:
    """Every feature set, finished or not, by modality and number.

    Args:
        store_path: the store.

    Returns:
        `id`, `modality`, `encoder`, `weights` (`random` where nobody trained them), `width`, `pooling`, `several` (what
        becomes of several files of an item; null where there are none), `items`, `contents`, `failed`, `current`, `finished`, `seconds`.
    """
    with Store(store_path, mode="read") as store:
        return store.query(_sql()["listing"])


def find(store_path: Path, number: int) -> FeatureSet:
    """The feature set of a number.

    Raises:
        FeatureMissing: if there is none; the message lists those there are.
    """
    with Store(store_path, mode="read") as store:
        return _existing(store, number)


def use(store_path: Path, number: int) -> Change:
    """Show a finished set as `features_<modality>`.

    Args:
        store_path: the store.
        number: the set's `id`.

    Raises:
        FeatureMissing: if there is no such set, or it was never finished.
    """
    with Store(store_path, mode="update") as store, store.transaction():
        chosen = _existing(store, number)
        if not store.query(_sql()["find"], fingerprint=chosen.fingerprint)["finished"].item():
            raise FeatureMissing(
                f"Feature set {number} of {store_path} was never finished. Run the `extract --modality {chosen.modality}` again that began it "
                f"(encoder {chosen.identity.encoder}), or --remove {number}."
            )
        before = feature_sets.current(store).get(chosen.modality)
        item_means.refresh_inside(store, chosen)  # of sets that were finished before means were stored
        feature_sets.make_current_inside(store, chosen)
        was_shown = before is not None and before.feature_set_id == number
        return Change(chosen, chosen, was_shown, tuple(availability.stale_splits(store)))


def remove(store_path: Path, chosen: FeatureSet) -> Change:
    """Remove a set, finished or not, with its vectors and everything recorded of it; the one finished last takes its place.

    Args:
        store_path: the store.
        chosen: the set, as `find` gave it.

    Raises:
        FeatureMissing: if it has gone meanwhile.
    """
    with Store(store_path, mode="update") as store, store.transaction():
        if _existing(store, chosen.feature_set_id).fingerprint != chosen.fingerprint:
            raise FeatureMissing(f"Feature set {chosen.feature_set_id} of {store_path} is another one by now. List them again.")
        before = feature_sets.current(store).get(chosen.modality)
        feature_sets.remove_inside(store, chosen)
        if chosen.identity.encoder == IMPORTED:
            label = chosen.identity.weights
            store.run(_sql()["forget_imported_assets"], modality=chosen.modality.value, location=label, reason=f"its vectors of {label} were removed")
        now = feature_sets.current(store).get(chosen.modality)
        was_shown = before is not None and before.feature_set_id == chosen.feature_set_id
        return Change(chosen, now, was_shown, tuple(availability.stale_splits(store)))


def _existing(store: Store, number: int) -> FeatureSet:
    found = feature_sets.by_id(store, number)
    if found is None:
        there = [f"{row['id']} ({row['modality']} by {row['encoder']})" for row in store.query(_sql()["listing"]).iter_rows(named=True)]
        raise FeatureMissing(f"{store.path} has no feature set {number}. It has: {', '.join(there) or 'none yet'}.")
    return found


def _sql() -> dict[str, str]:
    return queries.load("schemas.sql", "feature_sets.sql")
