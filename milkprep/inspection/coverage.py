"""Coverage: how many items have each modality, which combinations there are, why the others lack one, and what a split leaves.

Everything is counted by the store, in one state of it; nothing is estimated.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from schemas import availability, feature_sets, queries
from schemas.contracts import Modality
from schemas.errors import DataError, SplitMissing
from schemas.store import Store


@dataclass(frozen=True, slots=True)
class SplitCoverage:
    """What the parts of a split have.

    Args:
        name: of the split.
        setting: where it takes modalities away.
        agrees: whether it was drawn from the availability of now.
        parts: `part`, `modality`, `items`, `present` (by nature), `lost` (by the setting), `left`; in the order of parts and modalities.
    """

    name: str
    setting: str
    agrees: bool
    parts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a store has of each modality.

    Args:
        n_items: all items.
        modalities: `modality`, `has`, `lacks`, `has_share` in [0, 1], `encoder` and `weights` of the vectors that are shown, NULL
            where there are none.
        combinations: `combination` in words, `visual`, `text`, `audio`, `items`, `share`; most frequent first.
        reasons: `modality`, `reason`, `items`, `share` of all items; modality by modality, most frequent first.
        splits: names of the splits there are.
        split: the one that was asked for.
    """

    n_items: int
    modalities: pl.DataFrame
    combinations: pl.DataFrame
    reasons: pl.DataFrame
    splits: tuple[str, ...]
    split: SplitCoverage | None


def count(store_path: Path, *, split: str | None = None) -> Coverage:
    """Count what a store has.

    Args:
        store_path: the store.
        split: name of a split to look into as well.

    Raises:
        DataError: if the store holds no items.
        SplitMissing: if there is no such split; the message lists those there are.
    """
    sql = _sql()
    with Store(store_path, mode="read") as store:
        combinations = availability.combinations(store)
        n_items = int(combinations["items"].sum())
        if not n_items:
            raise DataError(f"{store_path} holds no items. Bring some in with `python cli.py pull`.")
        share = (pl.col("items") / n_items).alias("share")
        return Coverage(
            n_items,
            modalities=_modalities(store, combinations, n_items=n_items),
            combinations=_named(combinations).with_columns(share),
            reasons=availability.reasons(store).with_columns(share),
            splits=tuple(store.query(sql["split_names"])["name"].to_list()),
            split=None if split is None else _split(store, split),
        )


def _modalities(store: Store, combinations: pl.DataFrame, *, n_items: int) -> pl.DataFrame:
    shown = feature_sets.current(store)
    rows = []
    for modality in Modality:
        has = int(combinations.filter(pl.col(modality.value))["items"].sum())
        identity = shown[modality].identity if modality in shown else None
        made_by = (identity.encoder, identity.weights) if identity else (None, None)
        rows.append((modality.value, has, n_items - has, has / n_items, *made_by))
    schema = {"modality": pl.String, "has": pl.Int64, "lacks": pl.Int64, "has_share": pl.Float64, "encoder": pl.String, "weights": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _named(combinations: pl.DataFrame) -> pl.DataFrame:
    names = [name_of(tuple(m for m, has in zip(Modality, row, strict=True) if has)) for row in combinations.select(*Modality).iter_rows()]
    return combinations.select(pl.Series("combination", names, dtype=pl.String), *Modality, "items")


def name_of(combination: tuple[Modality, ...]) -> str:
    """A combination of modalities in words.

    Example:
        >>> name_of((Modality.VISUAL, Modality.TEXT)), name_of((Modality.AUDIO,)), name_of(())
        ('visual + text', 'audio only', 'none')
    """
    if not combination:
        return "none"
    return " + ".join(combination) if len(combination) > 1 else f"{combination[0]} only"


def printable(text: str) -> str:
    r"""A text from outside without what would move a terminal's cursor or has no sign: control characters, line breaks.

    Example:
        >>> printable("red\x1b[31m" + chr(10) + "end")
        'red [31m end'
    """
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _split(store: Store, name: str) -> SplitCoverage:
    sql = _sql()
    found = store.query(sql["split"], name=name)
    if not found.height:
        known = store.query(sql["split_names"])["name"].to_list()
        there = f"It has: {', '.join(known)}." if known else "It has none yet."
        raise SplitMissing(f"{store.path} has no split {name!r}. {there} Make one with `python cli.py build-splits --store {store.path}`.")
    row = found.row(0, named=True)
    agrees = row["availability_fingerprint"] == availability.name_of(availability.matrix(store))
    return SplitCoverage(name, row["setting"], agrees, store.query(sql["parts"], split_id=row["split_id"]))


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "coverage.sql")
