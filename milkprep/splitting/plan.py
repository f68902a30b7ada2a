"""What is asked of a split: what each part loses, which items lose it, which items are new. Every mistake is found before a store is opened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from milkprep.splitting import missing
from milkprep.splitting.missing import Mask, Weights
from milkprep.splitting.parts import Order
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue

LARGEST_SEED = 2**63 - 1  # what the store's BIGINT holds
HELD_OUT = (Part.VAL, Part.TEST)
#: How `--scenario` calls the numbers of modalities that are lost.
LEVELS = ("complete", "one", "two", "three")
SCENARIO_FORM = "Write e.g. --scenario complete=.1,one=.45,two=.45; the shares sum to 1."


class Missing(StrEnum):
    """Which items lose modalities: all alike, rather the popular ones, or rather the unpopular ones."""

    RANDOM = "random"
    POPULAR = "popular"
    UNPOPULAR = "unpopular"


@dataclass(frozen=True, slots=True)
class OneLost:
    """A share of the items that have several modalities loses one at random."""

    share: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Shares of all items that lose 0, 1, ... modalities at random, summing to 1."""

    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OfEach:
    """For some modalities, the share of the items that have it and another one which lose it."""

    shares: Mapping[Modality, float]


Loss = OneLost | Levels | OfEach


@dataclass(frozen=True, slots=True)
class Plan:
    """What a split is to be.

    Args:
        setting: which sides lose modalities.
        seed: of the draw.
        cold_fraction: share of the items that are new.
        losses: of each part; a part without one keeps everything.
        order: how new items are picked.
        missing: which items lose modalities.
        parameters: all of this but setting and seed, as the store keeps it.
        name: of the split unless the user gives one.
    """

    setting: Setting
    seed: int
    cold_fraction: float
    losses: Mapping[Part, Loss]
    order: Order
    missing: Missing
    parameters: dict[str, object]
    name: str


def made(
    *, setting: Setting | None, seed: int, cold_fraction: float, test_loss: float, train_loss: float, scenario: Sequence[float] | None = None,
    losses: Mapping[Part, Mapping[Modality, float]] | None = None, order: Order = Order.RANDOM, which: Missing = Missing.RANDOM,
) -> Plan:  # fmt: skip
    """A plan from what `milkprep.splits.build` takes; the arguments are explained there.

    Raises:
        BadValue: if a share or the seed is out of range, or arguments exclude each other.
    """
    shares = {f"--loss {part}:{modality}": share for part, own in (losses or {}).items() for modality, share in own.items()}
    _check_shares(cold_fraction, {"--test-loss": test_loss, "--train-loss": train_loss, **shares})
    if not 0 <= seed <= LARGEST_SEED:
        raise BadValue(f"The seed is {seed}; it must be 0 to {LARGEST_SEED}.")
    if scenario is not None:
        check_scenario(scenario)
    setting = _setting(setting, scenario, losses or {})
    by_part: dict[Part, Loss] = {part: OfEach(own) for part, own in (losses or {}).items()}
    parameters: dict[str, object] = {"cold_fraction": cold_fraction}
    if scenario is not None:
        by_part |= dict.fromkeys(HELD_OUT, Levels(tuple(scenario)))
        parameters["scenario"] = dict(zip(LEVELS, map(float, scenario), strict=False))
    elif not losses and setting.test_loses:
        by_part |= dict.fromkeys(HELD_OUT, OneLost(test_loss))
        parameters["test_loss"] = test_loss
    if not losses and setting.training_loses:
        by_part[Part.TRAIN] = OneLost(train_loss)
        parameters["train_loss"] = train_loss
    if losses:
        parameters["loss"] = {part.value: {m.value: float(own[m]) for m in Modality if m in own} for part in Part if (own := losses.get(part))}
    parameters |= {"order": order.value} if order is not Order.RANDOM else {}
    parameters |= {"missing": which.value} if which is not Missing.RANDOM else {}
    marks = [order.value] * (order is not Order.RANDOM) + ["scenario"] * (scenario is not None) + ["loss"] * bool(losses)
    if which is not Missing.RANDOM and not by_part:
        raise BadValue(f"--missing {which} says which items lose modalities, but nothing is lost in setting {setting}. Leave it out, or say what is.")
    name = "-".join([setting, *marks, *[which.value] * (which is not Missing.RANDOM), str(seed)])
    return Plan(setting, seed, cold_fraction, by_part, order, which, parameters, name)


def apply(loss: Loss, present: Mask, *, modalities: Sequence[Modality], generator: np.random.Generator, weights: Weights | None) -> Mask:
    """What the items of one part lose.

    Args:
        loss: of the part.
        present: (N, M) what its items have.
        modalities: of the M columns.
        generator: source of randomness.
        weights: (N,) which items rather than others; all alike when None.

    Raises:
        BadValue: if the store lacks a modality that is to be lost, or has too few.
        DataError: if so much cannot be lost.
    """
    if isinstance(loss, OneLost):
        return missing.lose_one(present, rate=loss.share, generator=generator, weights=weights)
    if isinstance(loss, Levels):
        if len(loss.shares) > len(modalities):
            most = LEVELS[len(modalities) - 1]
            raise BadValue(
                f"The scenario has items lose {LEVELS[len(loss.shares) - 1]}, but the store has vectors of {len(modalities)} modalities and an item "
                f"keeps one: {most} is the most it can lose. Let items lose fewer, or extract or import another modality."
            )
        return missing.lose_levels(present, shares=loss.shares, generator=generator, weights=weights)
    absent = [modality for modality in loss.shares if modality not in modalities]
    if absent:
        raise BadValue(f"--loss names {absent[0]}, of which the store has no vectors. It has: {', '.join(modalities)}.")
    return missing.lose_shares(present, shares=[loss.shares.get(m, 0.0) for m in modalities], generator=generator, weights=weights)


def _setting(setting: Setting | None, scenario: Sequence[float] | None, losses: Mapping[Part, object]) -> Setting:
    """The setting as given, or which follows from where something is lost."""
    if losses and (setting is not None or scenario is not None):
        raise BadValue("--loss says of every part what it loses. Leave --setting and --scenario out, or --loss.")
    if scenario is not None and setting is not None and not setting.test_loses:
        raise BadValue(f"--scenario takes modalities from new items, which setting {setting} does not. Say --setting ftmt or mtmt, or leave it out.")
    if scenario is not None:
        return setting or Setting.FTMT
    if losses:
        return Setting(f"{'m' if Part.TRAIN in losses else 'f'}t{'m' if set(losses) & set(HELD_OUT) else 'f'}t")
    if setting is None:
        raise BadValue("Say what is lost with --setting, --scenario or --loss, or name a split that is given with --from.")
    return setting


def check_scenario(shares: Sequence[float]) -> None:
    """Refuse shares of a scenario that cannot be meant.

    Raises:
        BadValue: if they are none, lie outside [0, 1] or do not sum to 1.
    """
    fit = 0 < len(shares) <= len(LEVELS) and all(0 <= share <= 1 for share in shares)
    if not fit or not math.isclose(math.fsum(shares), 1, abs_tol=1e-9):
        raise BadValue(f"The shares of --scenario sum to {math.fsum(shares):g}. {SCENARIO_FORM}")


def _check_shares(cold_fraction: float, shares: Mapping[str, float]) -> None:
    wrong = [f"{flag} {value}" for flag, value in {"--cold-fraction": cold_fraction, **shares}.items() if not 0 <= value <= 1]
    if wrong or not 0 < cold_fraction < 1:
        raise BadValue(f"Shares lie between 0 and 1, and --cold-fraction strictly so; got {', '.join(wrong) or cold_fraction}.")
