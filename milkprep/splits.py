"""New-item splits: some items are new, all their interactions leave training, and a setting takes modalities away.

Seeded and reproducible to the bit: the same store, parameters and seed give the same rows and the same fingerprint on any
machine. The parts are drawn before the losses, so all splits of one seed and order share their parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from milkprep.splitting import given, missing, parts, plan, rows
from milkprep.splitting.parts import Order
from milkprep.splitting.plan import Missing, Plan
from milkprep.splitting.rows import SplitRows
from schemas import availability as availability_of
from schemas import feature_sets, fingerprint, queries
from schemas.contracts import Modality, Part, Setting
from schemas.errors import DataError, FeatureMissing
from schemas.store import Store

#: Shares where nothing else is asked for.
COLD_FRACTION, TEST_LOSS, TRAIN_LOSS = 0.2, 0.5, 0.3


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What was built.

    Args:
        name: `<setting>-<seed>` of a setting alone, unless the user named it.
        setting: which sides lose modalities.
        fingerprint: of the parameters and every row.
        statistics: one row a part: users, items, interactions, density, share of items missing each modality.
        losses: one row a part and number of modalities lost: how many items, and how many of them had every modality before.
        n_lost: vectors that are lost.
        changed: False when the store held exactly this split already.
        notes: what did not go as asked, in words.
    """

    name: str
    setting: Setting
    fingerprint: str
    statistics: pl.DataFrame
    losses: pl.DataFrame
    n_lost: int
    changed: bool
    notes: tuple[str, ...] = ()


def build(
    store_path: Path, *, setting: Setting | None = None, seed: int, cold_fraction: float = COLD_FRACTION, test_loss: float = TEST_LOSS,
    train_loss: float = TRAIN_LOSS, scenario: Sequence[float] | None = None, losses: Mapping[Part, Mapping[Modality, float]] | None = None,
    order: Order = Order.RANDOM, which: Missing = Missing.RANDOM, name: str | None = None, replace: bool = False,
) -> SplitReport:  # fmt: skip
    """Draw a split and store it.

    Args:
        store_path: the store.
        setting: which sides lose modalities; with `scenario` FTMT when None, with `losses` it follows from them.
        seed: of the draw.
        cold_fraction: share of the items that are new, half of them validation, half test.
        test_loss: share of validation and of test items that lose one modality, where the setting says so.
        train_loss: share of training items that lose one, where the setting says so.
        scenario: in place of `test_loss`, shares of the validation and of the test items that lose 0, 1, ... modalities, summing to 1.
        losses: in place of a setting, by part and modality the share of the items with this modality and another that lose it.
        order: how new items are picked.
        which: which items lose modalities.
        name: how to call it; a name that says all of this when None, of a setting alone `<setting>-<seed>`.
        replace: overwrite a different split of the same name.

    Raises:
        BadValue: if a share or the seed is out of range, arguments exclude each other, the name cannot name a folder, or the store
            has too few modalities for what is to be lost.
        FeatureMissing: if no modality has a feature set yet.
        DataError: if the catalogue is too small, lacks times that `order` needs, cannot lose so much, or another split has the name
            and `replace` is off.
    """
    asked = plan.made(
        setting=setting, seed=seed, cold_fraction=cold_fraction, test_loss=test_loss, train_loss=train_loss, scenario=scenario, losses=losses,
        order=order, which=which,
    )  # fmt: skip
    if name is not None:
        rows.check_name(name)
    with Store(store_path, mode="update") as store:
        split = _drawn(store, asked, name=name)
        notes = _shortfalls(split.items, split.availability, asked)
        return _report(store, split, changed=rows.store_as_asked(store, split, replace=replace), notes=notes)


def check(store_path: Path, *, setting: Setting | None, seed: int, scenario: Sequence[float] | None = None, name: str) -> None:
    """Draw a split and store nothing, to hear what `build` of the same would say.

    Args:
        store_path: the store.
        setting: as of `build`, as all else.
        seed: of the draw.
        scenario: shares of new items that lose 0, 1, ... modalities.
        name: of the split.

    Raises:
        MilkError: as `build`.
    """
    asked = plan.made(
        setting=setting, seed=seed, scenario=scenario, cold_fraction=COLD_FRACTION, test_loss=TEST_LOSS, train_loss=TRAIN_LOSS,
    )  # fmt: skip
    rows.check_name(name)
    with Store(store_path, mode="read") as store:
        rows.is_there(store, _drawn(store, asked, name=name))


def build_given(store_path: Path, file: Path, *, name: str | None = None, replace: bool = False) -> SplitReport:
    """Store a split that a file says: `item_key`, `part`, and if there are any `lost_visual`, `lost_text`, `lost_audio`.

    Args:
        store_path: the store.
        file: CSV, TSV, JSON lines or Parquet.
        name: how to call it; the file's name without its ending when None.
        replace: overwrite a different split of the same name.

    Raises:
        BadValue: if there is no such file, or the name cannot name a folder.
        SourceError: if the file cannot be read, or holds mistakes; every kind is counted.
        FeatureMissing: if no modality has a feature set yet.
        DataError: if another split has the name and `replace` is off.
    """
    name = file.name.partition(".")[0] if name is None else name
    rows.check_name(name)
    read = given.read(file)
    parameters: dict[str, object] = {"from": file.name, "sha256": fingerprint.of_file(file)}
    with Store(store_path, mode="update") as store:
        touched, present = _touched(store)
        keys = store.query(queries.load("milkprep.sql", "splits.sql")["item_keys"])
        found = given.resolve(file, read, touched=touched, present=present, keys=keys)
        split = rows.named(store, name, setting=found.setting, seed=0, parameters=parameters, items=found.items, availability=found.availability)
        return _report(store, split, changed=rows.store_as_asked(store, split, replace=replace), notes=found.notes)


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


def _drawn(store: Store, asked: Plan, *, name: str | None) -> SplitRows:
    touched, present = _touched(store)
    items, availability = _draw(touched, present, asked)
    return rows.named(
        store, name or asked.name, setting=asked.setting, seed=asked.seed, parameters=asked.parameters, items=items, availability=availability
    )


def _touched(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The items with interactions, and for each modality with vectors whether each of them has it."""
    modalities = list(feature_sets.current(store))
    if not modalities:
        what_next = f"Run `python cli.py extract --modality text --store {store.path}` first."
        raise FeatureMissing(f"{store.path} has no vectors yet, so no modality to lose. {what_next}")
    touched = store.query(queries.load("milkprep.sql", "splits.sql")["items_with_interactions"])
    matrix = availability_of.matrix(store).select(m.value for m in modalities)
    return touched, matrix[touched["item_idx"].to_numpy()]


def _draw(touched: pl.DataFrame, had: pl.DataFrame, asked: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    part_draw, loss_draw = np.random.default_rng(asked.seed).spawn(2)
    modalities, present = [Modality(name) for name in had.columns], had.to_numpy()  # (N, M)
    newness = _newness(touched) if asked.order is Order.FIRST_SEEN else None
    part = np.empty(len(touched), dtype=object)
    lost = np.zeros_like(present)
    for name, mine in parts.members(len(touched), cold_fraction=asked.cold_fraction, generator=part_draw, newness=newness).items():
        part[mine] = name.value
        loss = asked.losses.get(name)
        if loss is not None:
            ordered = np.sort(mine)
            lost[ordered] = plan.apply(
                loss, present[ordered], modalities=modalities, generator=loss_draw, weights=_weights(touched[ordered], asked.missing)
            )
    index = touched["item_idx"].to_numpy().astype(np.int32)
    cells = [
        pl.DataFrame({"item_idx": index, "modality": [m.value] * len(index), "present": present[:, j], "lost": lost[:, j]})
        for j, m in enumerate(modalities)
    ]
    return pl.DataFrame({"item_idx": index, "part": part.tolist()}), pl.concat(cells)


def _newness(touched: pl.DataFrame) -> NDArray[np.integer]:
    """The rank of each item by its first interaction."""
    n_untimed, n = int(touched["n_untimed"].sum()), int(touched["n"].sum())
    if n_untimed:
        raise DataError(
            f"{n_untimed} of {n} interactions have no time, so which items were seen last is not known. Leave --order out for a random draw."
        )
    found: NDArray[np.integer] = touched["newness"].to_numpy()
    return found


def _weights(touched: pl.DataFrame, which: Missing) -> missing.Weights | None:
    """Weights of the items of one part; all its interactions are in that part, so popularity is of that part alone."""
    return None if which is Missing.RANDOM else missing.rank_weights(touched["n"].to_numpy(), most=which is Missing.POPULAR)


def _shortfalls(items: pl.DataFrame, availability: pl.DataFrame, asked: Plan) -> tuple[str, ...]:
    """Where items with few modalities by nature keep a part from losing as it was told to."""
    by_item = availability.group_by("item_idx").agg(pl.col("lost", "present").sum()).join(items, on="item_idx")
    notes = []
    for part, loss in asked.losses.items():
        mine = by_item.filter(pl.col("part") == part.value)
        single = mine.filter(pl.col("present") < 2).height
        notes += [f"{part}: {single} of {mine.height} items have one modality or none by nature and lose nothing."] if single else []
        wanted = missing.counts(loss.shares, mine.height) if isinstance(loss, plan.Levels) else []
        for level, n in enumerate(wanted):
            got = mine.filter(pl.col("lost") == level).height
            if got != n:
                notes.append(f"{part}: {got} items lose {plan.LEVELS[level].replace('complete', 'none')}, not {n}: too few have enough by nature.")
    return tuple(notes)


def _report(store: Store, split: SplitRows, *, changed: bool, notes: tuple[str, ...]) -> SplitReport:
    sql = queries.load("milkprep.sql", "splits.sql")
    split_id = store.query(sql["find"], name=split.name)["split_id"].item()
    statistics = store.query(sql["statistics"], split_id=split_id)
    shown = [column.name for column in statistics if column.null_count() < len(column)]  # a modality without vectors has no columns
    losses = store.query(sql["losses"], split_id=split_id)
    return SplitReport(
        split.name, split.setting, split.fingerprint, statistics.select(shown), losses, int(split.availability["lost"].sum()), changed, notes
    )
