"""What a sweep varies: settings of a run, each with a range or a list of choices, as a TOML file says.

    [learning_rate]
    low = 1e-4
    high = 1e-2
    log = true                                  # even in orders of magnitude

    [preprocessing]
    choices = ["row_l2", "standardise_row_l2"]

    [neighbours]
    low = 3
    high = 50
    only_with = { imputation = ["nearest"] }    # varied only where imputation is one of these

Both ends belong to a range. Every end and every choice is a value that a run could have, which is checked here; all problems
are told at once.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from milktrain import config, model_settings
from milktrain.config import TrainConfig
from schemas.errors import BadValue

Value = bool | int | float | str
#: Settings that a sweep cannot vary, and why.
FIXED = {
    "preset": "it is the name that settings started from",
    "seed": "the seed that does best on validation is luck",
    "cutoffs": "trials are compared by one metric",
    "stop_metric": "trials are compared by one metric, which --metric names",
}


@dataclass(frozen=True, slots=True)
class Dimension:
    """One setting that is varied.

    Args:
        name: of the setting.
        low: least value of a range.
        high: greatest.
        log: whether orders of magnitude are drawn evenly, rather than values.
        whole: whether a range is of whole numbers.
        choices: the values, where there is no range.
        only_with: values of other settings, by name, with which alone this one is varied.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Value, ...] = ()
    only_with: dict[str, tuple[Value, ...]] = field(default_factory=dict)

    def holds(self, value: Value) -> bool:
        """Whether this value could be drawn."""
        if self.choices:
            return value in self.choices
        return not isinstance(value, str | bool) and self.low <= value <= self.high

    def is_active(self, settings: Mapping[str, Value]) -> bool:
        """Whether this one is varied beside these settings."""
        return all(settings.get(name) in values for name, values in self.only_with.items())


@dataclass(frozen=True, slots=True)
class Space:
    """Everything a sweep varies; a setting that depends on another comes after it."""

    dimensions: tuple[Dimension, ...]

    def of(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """What these settings say of what is varied here; empty where they are outside of the space."""
        active = [each for each in self.dimensions if each.is_active(settings)]
        inside = all(each.name in settings and each.holds(settings[each.name]) for each in active)
        return {each.name: settings[each.name] for each in active} if inside else {}

    def as_value(self) -> list[dict[str, object]]:
        """For fingerprints and JSON."""
        return [asdict(each) for each in self.dimensions]


class _Entry(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: list[bool | int | float | str] | None = None
    only_with: dict[str, list[bool | int | float | str]] = {}


def load(file: Path | None, *, base: TrainConfig, model: str = model_settings.MILK) -> Space:
    """The space that a file describes.

    Args:
        file: TOML; None takes what the model's own file varies.
        base: the settings that all trials share; what is varied must fit beside them.
        model: whose settings they are.

    Raises:
        BadValue: if the file cannot be read, or listing everything that is wrong with it; or if there is none, and the model varies nothing.
    """
    if file is None:
        tables = usual(model)
        if not tables:
            raise BadValue(f"{model} says nothing of what a search could vary. Name a file with --space; docs/sweeps.md shows how one is written.")
        return read(tables, told=f"The space of {model}", base=base, model=model)
    try:
        return read(tomllib.loads(file.read_text(encoding="utf-8")), told=str(file), base=base, model=model)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadValue(f"{file} cannot be read as TOML: {error}. docs/sweeps.md shows how a space is written.") from error


def usual(model: str) -> dict[str, Any]:
    """The tables of what a search varies when nobody says what; empty where the model's file has nothing of it."""
    own = model_settings.space(model)
    if own is None and model == model_settings.MILK:
        return tomllib.loads(resources.files(__package__).joinpath("default_space.toml").read_text(encoding="utf-8"))
    return own or {}


def read(tables: Mapping[str, object], *, told: str, base: TrainConfig, model: str = model_settings.MILK) -> Space:
    """The space that tables describe.

    Args:
        tables: by the setting's name, as TOML has them.
        told: where they are from, in words.
        base: the settings that all trials share.
        model: whose settings they are.

    Raises:
        BadValue: listing everything that is wrong.
    """
    problems: list[str] = []
    found = [dimension for name, table in tables.items() if (dimension := _dimension(name, table, base, problems, model=model))]
    problems += _conditions(found, named=set(tables))
    problems += _without_use(found, base=base, model=model)
    if not tables:
        problems.append("it names no setting")
    if problems:
        raise BadValue(f"{told} is no space to search: {'; '.join(problems)}. docs/sweeps.md shows how a space is written.")
    return Space(tuple(sorted(found, key=lambda each: bool(each.only_with))))


def _dimension(name: str, table: object, base: TrainConfig, problems: list[str], *, model: str) -> Dimension | None:
    """One table as a dimension; what is wrong with it joins the problems."""
    before, known = len(problems), _known(model)
    if name not in known:
        problems.append(f"{name}: there is no such setting")
    elif name in FIXED:
        problems.append(f"{name} cannot be varied: {FIXED[name]}")
    if not isinstance(table, dict):
        problems.append(f"{name}: write a table, [{name}] and below it low and high, or choices")
    if len(problems) > before:
        return None
    try:
        entry = _Entry(**table)  # type: ignore[arg-type] # the model checks what the file holds
    except ValidationError as error:
        problems += [f"{name}.{'.'.join(map(str, each['loc'][:1]))}: {each['msg']}" for each in error.errors()]
        return None
    whole = known[name].annotation is int
    problems += [f"{name}: {problem}" for problem in _shape(entry, whole=whole)]
    given = entry.choices if entry.choices is not None else [each for each in (entry.low, entry.high) if each is not None]
    problems += dict.fromkeys(problem for value in given for problem in config.problems(base.model_dump() | {name: value}, model=model))
    if len(problems) > before:
        return None
    fitted = (config.checked(base.model_dump() | {name: value}, model=model) for value in given)  # 50 as a float is 50.0
    values = tuple(value for each in fitted if isinstance(value := config.value(each, name), Value))
    conditions = {other: tuple(allowed) for other, allowed in entry.only_with.items()}
    if entry.choices is not None:
        return Dimension(name, choices=values, only_with=conditions)
    low, high = (value for value in values if not isinstance(value, str))
    return Dimension(name, low=low, high=high, log=entry.log, whole=whole, only_with=conditions)


def _known(model: str) -> dict[str, FieldInfo]:
    """Settings that the model has, by name."""
    idle = {"of_model", *model_settings.idle(model)}
    common = {name: each for name, each in TrainConfig.model_fields.items() if name not in idle and model_settings.shapes(name, model=model)}
    return common | model_settings.of(model).model_fields


def _shape(entry: _Entry, *, whole: bool) -> list[str]:
    """What is wrong with how a range or a list is written."""
    if entry.choices is not None:
        if entry.low is not None or entry.high is not None or entry.log:
            return ["choices stand alone, without low, high and log"]
        return [] if len(set(entry.choices)) == len(entry.choices) > 1 else ["choices are two values or more, each once"]
    if entry.low is None or entry.high is None:
        return ["give low and high, or choices"]
    if entry.low >= entry.high:
        return [f"low {entry.low} is not below high {entry.high}"]
    if whole and not (isinstance(entry.low, int) and isinstance(entry.high, int)):
        return ["low and high are whole numbers here"]
    return ["a range with log begins above 0"] if entry.log and entry.low <= 0 else []


def _conditions(found: list[Dimension], *, named: set[str]) -> list[str]:
    """What is wrong with what settings depend on."""
    free = {each.name: each for each in found if not each.only_with}
    wrong = []
    for each in found:
        for other, allowed in each.only_with.items():
            if other not in free:
                known = "depends on a setting itself" if other in named else "is not varied here"
                wrong.append(f"{each.name}: only_with names {other}, which {known}")
            elif not allowed or not set(allowed) <= set(free[other].choices):
                wrong.append(f"{each.name}: only_with names values of {other} that are not among its choices")
    return wrong


def _without_use(found: list[Dimension], *, base: TrainConfig, model: str) -> list[str]:
    """Settings that would be varied where the model has no use for them: no run could be made with what is found so."""
    varied, without = {each.name: each for each in found}, model_settings.idle_with(model)
    wrong = []
    for each in found:
        if each.name not in without:
            continue
        other, value = without[each.name]
        if other not in varied and config.value(base, other) == value:
            wrong.append(f"{each.name}: {model} has no use for it with {other} {value}")
        elif other in varied and varied[other].holds(value) and value in each.only_with.get(other, (value,)):
            wrong.append(f"{each.name}: {model} has no use for it with {other} {value}; add only_with without {value}")
    return wrong
