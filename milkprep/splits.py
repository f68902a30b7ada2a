"""New-item splits: some items are new, all their interactions leave training, and a setting takes modalities away.

Seeded and reproducible to the bit: the same store, parameters and seed give the same rows and the same fingerprint on any
machine. The parts are drawn before the losses, so the four settings of one seed share their parts.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.splitting import missing, rows
from milkprep.splitting.rows import SplitRows
from schemas import availability as availability_of
from schemas import feature_sets, queries
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue, DataError, FeatureMissing
from schemas.store import Store

LARGEST_SEED = 2**63 - 1  # what the store's BIGINT holds
#: Share of a part's items that lose one modality; None where the setting takes nothing from it.
Rates = dict[Part, float | None]


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What was built.

    Args:
        name: `<setting>-<seed>` unless the user named it.
        fingerprint: of the parameters and every row.
        statistics: one row a part: users, items, interactions, density, share of items missing each modality.
        n_lost: items that lose a modality.
        changed: False when the store held exactly this split already.
    """

    name: str
    fingerprint: str
    statistics: pl.DataFrame
    n_lost: int
    changed: bool


def build(
    store_path: Path, *, setting: Setting, seed: int, cold_fraction: float = 0.2, test_loss: float = 0.5, train_loss: float = 0.3,
    name: str | None = None, replace: bool = False,
) -> SplitReport:  # fmt: skip
    """Draw a split and store it.

    Args:
        store_path: the store.
        setting: which sides lose modalities.
        seed: of the draw.
        cold_fraction: share of the items that are new, half of them validation, half test.
        test_loss: share of validation and of test items that lose one modality, where the setting says so.
        train_loss: share of training items that lose one, where the setting says so.
        name: how to call it; `<setting>-<seed>` when None.
        replace: overwrite a different split of the same name.

    Raises:
        BadValue: if a share or the seed is out of range, or the name cannot name a folder.
        FeatureMissing: if no modality has a feature set yet.
        DataError: if the catalogue is too small, or another split has the name and `replace` is off.
    """
    _check_shares(cold_fraction=cold_fraction, test_loss=test_loss, train_loss=train_loss)
    if not 0 <= seed <= LARGEST_SEED:
        raise BadValue(f"The seed is {seed}; it must be 0 to {LARGEST_SEED}.")
    if name is not None:
        rows.check_name(name)
    rates = {Part.TRAIN: train_loss if setting.training_loses else None, Part.VAL: test_loss if setting.test_loses else None}
    rates[Part.TEST] = rates[Part.VAL]
    parameters: dict[str, object] = {"cold_fraction": cold_fraction}
    parameters |= {"test_loss": test_loss} if setting.test_loses else {}
    parameters |= {"train_loss": train_loss} if setting.training_loses else {}
    with Store(store_path, mode="update") as store:
        split = _new_split(
            store, name or f"{setting}-{seed}", setting=setting, seed=seed, cold_fraction=cold_fraction, rates=rates, parameters=parameters
        )
        changed = rows.store_as_asked(store, split, replace=replace)
        sql = queries.load("milkprep.sql", "splits.sql")
        split_id = store.query(sql["find"], name=split.name)["split_id"].item()
        statistics = store.query(sql["statistics"], split_id=split_id)
    shown = [column.name for column in statistics if column.null_count() < len(column)]  # a modality without vectors has no columns
    return SplitReport(split.name, split.fingerprint, statistics.select(shown), int(split.availability["lost"].sum()), changed)


def write_inside(
    store: Store, name: str, *, setting: Setting, parameters: dict[str, object], items: pl.DataFrame, availability: pl.DataFrame
) -> None:
    """Store a split that somebody else drew. Call inside the transaction of the pull that brings it, at its end.

    Args:
        store: open for writing, with the catalogue, its pull and its vectors written.
        name: how to call it.
        setting: which sides lose modalities in it.
        parameters: where it is from.
        items: `item_idx`, `part`; every item of the split once.
        availability: `item_idx`, `modality`, `present`, `lost`; every item of the split, every modality with vectors.

    Raises:
        BadValue: if the name cannot name a folder.
    """
    rows.check_name(name)
    rows.write(store, rows.named(store, name, setting=setting, seed=0, parameters=parameters, items=items, availability=availability))


def _new_split(
    store: Store, name: str, *, setting: Setting, seed: int, cold_fraction: float, rates: Rates, parameters: dict[str, object]
) -> SplitRows:  # fmt: skip
    sql = queries.load("milkprep.sql", "splits.sql")
    matrix = availability_of.matrix(store)
    modalities = list(feature_sets.current(store))
    if not modalities:
        what_next = f"Run `python cli.py extract --modality text --store {store.path}` first."
        raise FeatureMissing(f"{store.path} has no vectors yet, so no modality to lose. {what_next}")
    touched = store.query(sql["items_with_interactions"])["item_idx"].to_numpy()
    present = matrix.select(m.value for m in modalities).to_numpy()[touched]  # (N, M)
    items, availability = _draw(touched, present, modalities=modalities, seed=seed, cold_fraction=cold_fraction, rates=rates)
    return rows.named(store, name, setting=setting, seed=seed, parameters=parameters, items=items, availability=availability)


def _draw(
    touched: NDArray[np.integer], present: NDArray[np.bool_], *, modalities: list[Modality], seed: int, cold_fraction: float, rates: Rates
) -> tuple[pl.DataFrame, pl.DataFrame]:
    n_each = int(cold_fraction * len(touched) / 2)
    if n_each < 1 or len(touched) - 2 * n_each < 1:
        raise DataError(
            f"{len(touched)} items with interactions are too few for a share of {cold_fraction} new ones. Pull more, or change --cold-fraction."
        )
    part_draw, loss_draw = np.random.default_rng(seed).spawn(2)
    order = part_draw.permutation(len(touched))
    members = {Part.VAL: order[:n_each], Part.TEST: order[n_each : 2 * n_each], Part.TRAIN: order[2 * n_each :]}
    part = np.empty(len(touched), dtype=object)
    lost = np.zeros_like(present)
    for name, mine in members.items():  # validation and test first: what training loses does not shift them
        part[mine] = name.value
        rate = rates[name]
        if rate is not None:
            ordered = np.sort(mine)
            lost[ordered] = missing.lose_one(present[ordered], rate=rate, generator=loss_draw)
    index = touched.astype(np.int32)
    cells = [
        pl.DataFrame({"item_idx": index, "modality": [m.value] * len(index), "present": present[:, j], "lost": lost[:, j]})
        for j, m in enumerate(modalities)
    ]
    return pl.DataFrame({"item_idx": index, "part": part.tolist()}), pl.concat(cells)


def _check_shares(**shares: float) -> None:
    wrong = [f"--{name.replace('_', '-')} {value}" for name, value in shares.items() if not 0 <= value <= 1]
    if wrong or not 0 < shares["cold_fraction"] < 1:
        raise BadValue(f"Shares lie between 0 and 1, and --cold-fraction strictly so; got {', '.join(wrong) or shares['cold_fraction']}.")
