"""New-item splits: some items are new, all their interactions leave training, and a setting takes modalities away.

Seeded and reproducible to the bit: the same store, parameters and seed give the same rows and the same fingerprint on any
machine. The parts are drawn before the losses, so the four settings of one seed share their parts.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep import missing
from schemas import availability as availability_of
from schemas import feature_sets, fingerprint, queries
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue, DataError, FeatureMissing
from schemas.store import Store

PARTS = tuple(part.value for part in Part)


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What was built.

    Args:
        name: `<setting>-<seed>` unless the user named it.
        fingerprint: of the parameters and every row.
        statistics: one row a part: users, items, interactions, density, share of items missing each modality.
        changed: False when the store held exactly this split already.
    """

    name: str
    fingerprint: str
    statistics: pl.DataFrame
    changed: bool


@dataclass(frozen=True, slots=True)
class _Rows:
    items: pl.DataFrame  # item_idx, part
    availability: pl.DataFrame  # item_idx, modality, present, lost


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
        BadValue: if a share is out of range.
        FeatureMissing: if no modality has a feature set yet.
        DataError: if the catalogue is too small, or another split has the name and `replace` is off.
    """
    _check_shares(cold_fraction=cold_fraction, test_loss=test_loss, train_loss=train_loss)
    if seed < 0:
        raise BadValue(f"The seed is {seed}; it must be 0 or above.")
    name = name or f"{setting}-{seed}"
    parameters: dict[str, object] = {"cold_fraction": cold_fraction}
    parameters |= {"test_loss": test_loss} if setting.test_loses else {}
    parameters |= {"train_loss": train_loss} if setting.training_loses else {}
    sql = queries.load("milkprep.sql", "splits.sql")
    with Store(store_path, mode="write") as store:
        matrix = availability_of.matrix(store)
        modalities = list(feature_sets.current(store))
        if not modalities:
            raise FeatureMissing(
                f"{store_path} has no vectors yet, so no modality to lose. Run `python cli.py extract --modality text --store {store_path}` first."
            )
        touched = store.query(sql["items_with_interactions"])["item_idx"].to_numpy()
        rows = _draw(
            touched,
            matrix,
            modalities=modalities,
            setting=setting,
            seed=seed,
            cold_fraction=cold_fraction,
            test_loss=test_loss,
            train_loss=train_loss,
        )
        sources = {
            "catalogue_fingerprint": str(store.query(sql["catalogue_fingerprint"]).item()),
            "availability_fingerprint": availability_of.name_of(matrix),
        }
        print_of_rows = [fingerprint.of_frame(rows.items), fingerprint.of_frame(rows.availability)]
        whole = fingerprint.of_value([setting.value, seed, parameters, sources, print_of_rows])
        found = store.query(sql["find"], name=name)
        changed = not found.height or found["fingerprint"].item() != whole
        if changed:
            if found.height and not replace:
                raise DataError(f"{store_path} already has another split {name!r}. Give --replace to overwrite it, or --name to keep both.")
            with store.transaction():
                _write(store, rows, replaced=found, name=name, setting=setting, seed=seed, parameters=parameters, sources=sources, whole=whole)
        split_id = store.query(sql["find"], name=name)["split_id"].item()
        statistics = store.query(sql["statistics"], split_id=split_id)
    return SplitReport(name, whole, statistics, changed)


def _draw(
    touched: NDArray[np.integer], matrix: pl.DataFrame, *, modalities: list[Modality], setting: Setting, seed: int,
    cold_fraction: float, test_loss: float, train_loss: float,
) -> _Rows:  # fmt: skip
    n_each = int(cold_fraction * len(touched) / 2)
    if n_each < 1 or len(touched) - 2 * n_each < 1:
        raise DataError(
            f"{len(touched)} items with interactions are too few for a share of {cold_fraction} new ones. Pull more, or change --cold-fraction."
        )
    part_draw, loss_draw = np.random.default_rng(seed).spawn(2)
    order = part_draw.permutation(len(touched))
    part = np.zeros(len(touched), dtype=np.int64)  # index into PARTS
    part[order[:n_each]], part[order[n_each : 2 * n_each]] = 1, 2
    present = matrix.select(m.value for m in modalities).to_numpy()[touched]  # (N, M)
    lost = np.zeros_like(present)
    for index, loses, rate in ((1, setting.test_loses, test_loss), (2, setting.test_loses, test_loss), (0, setting.training_loses, train_loss)):
        if loses:
            mine = np.flatnonzero(part == index)
            lost[mine] = missing.lose_one(present[mine], rate=rate, generator=loss_draw)
    items = pl.DataFrame({"item_idx": touched.astype(np.int32), "part": [PARTS[p] for p in part]})
    frames = [
        pl.DataFrame({"item_idx": touched.astype(np.int32), "modality": [m.value] * len(touched), "present": present[:, j], "lost": lost[:, j]})
        for j, m in enumerate(modalities)
    ]
    return _Rows(items, pl.concat(frames))


def _write(
    store: Store, rows: _Rows, *, replaced: pl.DataFrame, name: str, setting: Setting, seed: int,
    parameters: dict[str, object], sources: dict[str, str], whole: str,
) -> None:  # fmt: skip
    sql = queries.load("milkprep.sql", "splits.sql")
    for old in replaced["split_id"]:
        for statement in ("forget", "forget_items", "forget_availability"):
            store.run(sql[statement], split_id=old)
    split_id = int(store.query(sql["next_id"])["id"].item())
    store.run(
        sql["register"],
        split_id=split_id,
        name=name,
        setting=setting.value,
        seed=seed,
        parameters=json.dumps(parameters),
        fingerprint=whole,
        **sources,
    )
    numbered = pl.lit(split_id, dtype=pl.Int32).alias("split_id")
    store.append("split_items", rows.items.with_columns(numbered))
    store.append("split_availability", rows.availability.with_columns(numbered))


def _check_shares(**shares: float) -> None:
    wrong = [f"--{name.replace('_', '-')} {value}" for name, value in shares.items() if not 0 <= value <= 1]
    if wrong or not 0 < shares["cold_fraction"] < 1:
        raise BadValue(f"Shares lie between 0 and 1, and --cold-fraction strictly so; got {', '.join(wrong) or shares['cold_fraction']}.")
