"""A split as rows with a fingerprint, and how they are written.

Promises: the fingerprint is of everything that makes the split, so the same split has the same on any machine; a name is taken over
only where that is asked for.
"""

import json
import re
from dataclasses import dataclass

import polars as pl

from schemas import availability as availability_of
from schemas import fingerprint, queries
from schemas.contracts import Setting
from schemas.errors import BadValue, DataError
from schemas.store import Store

#: A split's name becomes part of the name of run folders.
NAME = re.compile(r"[\w-][\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SplitRows:
    """A split that is not stored yet.

    Args:
        name: how it is called.
        setting: which sides lose modalities in it.
        seed: of its draw; 0 where nothing was drawn.
        parameters: how it was made.
        sources: fingerprints of the catalogue and of the availability that it is of.
        fingerprint: of all of this but the name, and of the rows.
        items: `item_idx`, `part`.
        availability: `item_idx`, `modality`, `present`, `lost`.
    """

    name: str
    setting: Setting
    seed: int
    parameters: dict[str, object]
    sources: dict[str, str]
    fingerprint: str
    items: pl.DataFrame
    availability: pl.DataFrame


def named(
    store: Store, name: str, *, setting: Setting, seed: int, parameters: dict[str, object], items: pl.DataFrame, availability: pl.DataFrame
) -> SplitRows:
    """A split with its fingerprint. See `SplitRows`."""
    sources = {
        "catalogue_fingerprint": str(store.query(queries.load("milkprep.sql", "splits.sql")["catalogue_fingerprint"]).item()),
        "availability_fingerprint": availability_of.name_of(availability_of.matrix(store)),
    }
    contents = [fingerprint.of_frame(items), fingerprint.of_frame(availability)]
    whole = fingerprint.of_value([setting.value, seed, parameters, sources, contents])
    return SplitRows(name, setting, seed, parameters, sources, whole, items, availability)


def store_as_asked(store: Store, split: SplitRows, *, replace: bool) -> bool:
    """Store a split unless it is there already.

    Returns:
        Whether anything was written.

    Raises:
        DataError: if another split has the name and `replace` is off.
    """
    sql = queries.load("milkprep.sql", "splits.sql")
    found = store.query(sql["find"], name=split.name)
    if found["fingerprint"].to_list() == [split.fingerprint] or (not replace and is_there(store, split)):
        return False
    with store.transaction():
        for old in found["split_id"]:
            for statement in ("forget", "forget_items", "forget_availability"):
                store.run(sql[statement], split_id=old)
        write(store, split)
    return True


def is_there(store: Store, split: SplitRows) -> bool:
    """Whether this very split is stored.

    Raises:
        DataError: if another one has its name.
    """
    found = store.query(queries.load("milkprep.sql", "splits.sql")["find"], name=split.name)
    if found.height and found["fingerprint"].item() != split.fingerprint:
        what_next = "Name this one otherwise to keep both, or overwrite that one with `python cli.py build-splits --replace`."
        raise DataError(f"{store.path} already has another split {split.name!r}, made otherwise. {what_next}")
    return bool(found.height)


def write(store: Store, split: SplitRows) -> None:
    """Write the rows. Call inside a transaction."""
    sql = queries.load("milkprep.sql", "splits.sql")
    split_id = int(store.query(sql["next_id"])["id"].item())
    store.run(
        sql["register"], split_id=split_id, name=split.name, setting=split.setting.value, seed=split.seed,
        parameters=json.dumps(split.parameters), fingerprint=split.fingerprint, **split.sources,
    )  # fmt: skip
    numbered = pl.lit(split_id, dtype=pl.Int32).alias("split_id")
    store.append("split_items", split.items.with_columns(numbered))
    store.append("split_availability", split.availability.with_columns(numbered))


def check_name(name: str) -> None:
    """Refuse a name that cannot name a folder.

    Raises:
        BadValue: if it is none.
    """
    if not NAME.fullmatch(name):
        raise BadValue(f"{name!r} cannot name a split: letters, digits, '_', '-' and '.' can, up to 100 of them, not beginning with '.'.")
