"""The settings that a row is trained with: preset, dataset, what the row sets, what a search has found."""

import tomllib
from collections.abc import Mapping

from milktrain import config, metrics, model_settings
from milktrain.config import TrainConfig
from milktrain.experiments.plan import Line, Plan
from milktrain.sweeping import space as spaces
from milktrain.sweeping.settings_file import as_value, flat
from milktrain.sweeping.space import Space
from schemas.errors import BadValue

#: Settings that a plan says itself, and with what.
SAID = {"seed": "seeds", "preset": "preset"}


def settings_of(plan: Plan, line: Line, *, dataset: str | None, seed: int, found: Mapping[str, object] | None = None) -> TrainConfig:
    """All settings of a run, from the least to the most particular.

    Args:
        plan: what it is of; its preset and settings come first.
        line: the row.
        dataset: whose own settings come next, where the plan has some for the model.
        seed: of the training.
        found: by a search; laid over all else.

    Raises:
        MilkError: listing every setting that is unknown or out of range.
    """
    model = line.row.model
    of_dataset = plan.datasets.get(dataset or "", {}).get(model, {})
    given: dict[str, object] = {**plan.changes, **of_dataset, **line.changes, **(found or {})}
    if said := sorted(set(given) & set(SAID)):
        raise BadValue("; ".join(f"{name} is said by the plan's {SAID[name]}, not by set" for name in said))
    changes = {name: as_value(value) for name, value in given.items()} | {"seed": str(seed)}
    return config.load(line.row.preset or plan.preset, model=model, changes=changes)


def wrong_with(given: Mapping[str, object], *, model: str, preset: str, beside: Mapping[str, object] | None = None) -> dict[str, str]:
    """What is wrong with settings that a plan gives a model, by their names; nothing where they can be used.

    Args:
        given: by name.
        model: that is known.
        preset: that is known.
        beside: settings that it has as well; with some of them others have no use.
    """
    base, only = flat(config.load(preset, model=model)), model_settings.idle_with(model)
    idle = model_settings.idle(model, {**(beside or {}), **given})
    found: dict[str, str] = {}
    for name, value in given.items():
        if name in SAID:
            found[name] = f"{name} is said by the plan's {SAID[name]}, not by set"
        elif name in idle:
            found[name] = f"{name}: {model} has no use for it" + (" with {} {}".format(*only[name]) if name in only else "")
        elif name == "of_model":
            found[name] = f"{name}: there is no such setting"
        elif name == "imputation" and value in model_settings.OWN_STANDINS and model != model_settings.MILK:
            found[name] = f"{name}: {value} is part of {model_settings.MILK} alone"
        elif problems := config.problems(base | {name: value}, model=model):
            found[name] = "; ".join(problems)
        elif name == "stop_metric" and str(value).partition("@")[0] not in metrics.METRICS:
            found[name] = f"{name}: {value} is none of {', '.join(metrics.METRICS)}, each with @K"
    return found


def typed(value: str) -> object:
    """A setting as typed on a command line: a TOML value, or plain text where it is none.

    Example:
        >>> typed("1e-3"), typed("both")
        (0.001, 'both')
    """
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def space_of(line: Line, *, base: TrainConfig) -> Space | None:
    """What the search of a row varies: its space without what the row sets itself; None where nothing is left.

    Args:
        line: the row.
        base: its settings.

    Raises:
        BadValue: listing everything that is wrong with the space.
    """
    if line.search is None:
        return None
    model, is_rows_own = line.row.model, line.row.search is not True
    if not is_rows_own and not spaces.usual(model):
        return None  # a model that varies nothing: a space for all rows is none of its own
    tables = line.search.space or spaces.usual(model)
    left = {name: table for name, table in tables.items() if name not in line.changes}
    kept = {name: table for name, table in left.items() if not isinstance(table, dict) or set(table.get("only_with", {})) <= set(left)}
    return spaces.read(kept, told="The space of its search", base=base, model=model) if kept else None
