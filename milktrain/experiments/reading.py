"""A plan from its TOML, or everything that is wrong with it."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from milktrain import config, metrics, model_settings
from milktrain.experiments import published
from milktrain.experiments.chosen import settings_of, space_of
from milktrain.experiments.plan import Line, Plan, Row, lines
from schemas import plugins
from schemas.contracts import Setting
from schemas.errors import BadValue, MilkError

MORE = "docs/experiments.md shows how a plan is written."
#: A scenario's shares may miss 1 by as much as decimal fractions do.
NEARLY = 1e-9


def load(file: Path) -> Plan:
    """The plan that a file holds.

    Raises:
        BadValue: if the file cannot be read, or listing everything that is wrong with it.
    """
    try:
        return parse(file.read_text(encoding="utf-8"), told=str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{file} cannot be read: {error}. {MORE}") from error


def parse(text: str, *, told: str) -> Plan:
    """The plan that a text says.

    Args:
        text: TOML.
        told: where it is from, in words.

    Raises:
        BadValue: listing everything that is wrong with it.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{told} cannot be read as TOML: {error}. {MORE}") from error
    return checked(tables, told=told)


def checked(tables: Mapping[str, Any], *, told: str) -> Plan:
    """The plan that tables say.

    Args:
        tables: as TOML has them.
        told: where they are from, in words.

    Raises:
        BadValue: listing everything that is wrong.
    """
    given = tables.get("row")
    raw = given if isinstance(given, list) else []
    rows = [(number, each, *_shaped(Row, each)) for number, each in enumerate(raw, start=1)]
    problems = [f"{_row_named(number, each)}: {problem}" for number, each, _, wrong in rows for problem in wrong]
    sound = [row for _, _, row, _ in rows if isinstance(row, Row)]
    stand_in = sound or [Row(name="none")]
    header, wrong = _shaped(Plan, dict(tables) | {"row": [each.model_dump(by_alias=True) for each in stand_in]})
    problems += wrong if raw else [*wrong, "row: write at least one table [[row]]"]
    plan = header if isinstance(header, Plan) else Plan(title="none", settings=["ftmt"], row=stand_in)
    if sound:
        problems += _problems(plan)
    if problems:
        raise BadValue(f"{told} is no plan to carry out: {'; '.join(dict.fromkeys(problems))}. {MORE}")
    return plan


def _shaped(kind: type[BaseModel], given: object) -> tuple[BaseModel | None, list[str]]:
    try:
        return kind.model_validate(given), []
    except ValidationError as error:
        return None, [_in_words(each["type"], ".".join(map(str, each["loc"])), each["msg"], each.get("input")) for each in error.errors()]


def _in_words(kind: str, name: str, message: str, given: object) -> str:
    if kind == "extra_forbidden":
        return f"{name}: a plan has no such entry"
    return f"{name}: it is missing" if kind == "missing" else f"{name}: {message} (got {given!r})"


def _row_named(number: int, row: object) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return f"row {name!r}" if isinstance(name, str) else f"row {number}"


def _problems(plan: Plan) -> Iterator[str]:
    """What is wrong with a plan whose entries are of the right kind."""
    yield from _of_settings(plan)
    measured = list(metrics.METRICS)
    for metric in dict.fromkeys((*plan.metrics, *plan.picture.metrics)):
        if metric.partition("@")[0] not in measured:
            yield f"metrics: {metric} is none of {', '.join(measured)}, each with @K"
    yield from (f"picture: {metric} is not among the plan's metrics" for metric in plan.picture.metrics if metric not in plan.metrics)
    if plan.published is not None and plan.published not in published.names():
        yield f"published: {plan.published!r} is none of {', '.join(published.names())}"
    names = [line.name for line in lines(plan)]
    yield from (f"row {name!r}: the name is given twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for line in lines(plan):
        yield from (f"row {line.name!r}: {problem}" for problem in _of_line(plan, line))
    known = plugins.names(model_settings.MODELS)
    for dataset, by_model in plan.datasets.items():
        yield from (f"datasets.{dataset}: there is no model {model!r}" for model in by_model if model not in known)


def _of_settings(plan: Plan) -> Iterator[str]:
    known = [*Setting, *plan.scenarios]
    used = [*plan.settings, *((plan.loss.before, plan.loss.after) if plan.loss else ())]
    yield from (f"settings: {name!r} is none of {', '.join(known)}" for name in dict.fromkeys(used) if name not in known)
    yield from (f"settings: {name!r} is given twice" for name in dict.fromkeys(plan.settings) if plan.settings.count(name) > 1)
    if plan.loss:
        yield from (f"loss: {name!r} is not among the settings" for name in (plan.loss.before, plan.loss.after) if name not in plan.settings)
    for name, shares in plan.scenarios.items():
        if name in list(Setting):
            yield f"scenarios: {name!r} is a setting of its own, give another name"
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > NEARLY:
            yield f"scenarios: the shares of {name!r} sum to {sum(shares):g}, not to 1, or are below 0"


def _of_line(plan: Plan, line: Line) -> Iterator[str]:
    """What is wrong with the settings of a row, with each dataset's and without."""
    try:
        plugins.check_known(line.row.model, plugins.names(model_settings.MODELS), what="model")
        preset = line.row.preset or plan.preset
        plugins.check_known(preset, config.presets(), what="preset")
    except MilkError as error:
        yield str(error).removesuffix(".")
        return
    for dataset in (None, *plan.datasets):
        try:
            base = settings_of(plan, line, dataset=dataset, seed=0)
            missing = [metric for metric in plan.metrics if int(metric.partition("@")[2]) not in base.cutoffs]
            yield from (f"{metric} is not measured, the cut-offs are {', '.join(map(str, base.cutoffs))}: set cutoffs" for metric in missing)
            if line.search and len(set(line.search.splits)) < len(line.search.splits):
                yield "search.splits names a split twice"
            space_of(line, base=base)
        except MilkError as error:
            yield str(error).removesuffix(".")
