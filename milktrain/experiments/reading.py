"""A plan from its TOML, or everything that is wrong with it."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from milktrain.experiments import entries, mistakes
from milktrain.experiments.plan import Plan
from schemas.errors import BadValue, MilkError

#: Given the stores that a plan names, or None where what it names cannot be known, what is wrong that is no part of the plan.
Beside = Callable[[Sequence[str] | None], list[MilkError]]
MORE = "docs/experiments.md shows how a plan is written."


def nothing(_: Sequence[str] | None) -> list[MilkError]:
    """Nothing is wrong beside the plan."""
    return []


def load(file: Path, *, beside: Beside = nothing) -> Plan:
    """The plan that a file holds.

    Args:
        file: TOML.
        beside: what else is wrong with what was asked.

    Raises:
        BadValue: if the file cannot be read, or listing everything that is wrong.
        MilkError: if nothing is wrong but one thing beside the plan.
    """
    try:
        return parse(file.read_text(encoding="utf-8"), told=str(file), beside=beside)
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{file} cannot be read: {error}. {MORE}") from error


def parse(text: str, *, told: str, beside: Beside = nothing) -> Plan:
    """The plan that a text says.

    Args:
        text: TOML.
        told: where it is from, in words.
        beside: what else is wrong with what was asked.

    Raises:
        BadValue: listing everything that is wrong.
        MilkError: if nothing is wrong but one thing beside the plan.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{told} cannot be read as TOML: {error}. {MORE}") from error
    return checked(tables, told=told, beside=beside)


def checked(tables: Mapping[str, Any], *, told: str, beside: Beside = nothing) -> Plan:
    """The plan that tables say.

    Args:
        tables: as TOML has them.
        told: where they are from, in words.
        beside: what else is wrong with what was asked.

    Raises:
        BadValue: listing everything that is wrong.
        MilkError: if nothing is wrong but one thing beside the plan.
    """
    found = entries.sound(tables)
    problems = list(dict.fromkeys((*found.wrong, *mistakes.of(found))))
    others = beside(None if found.plan is None or found.lacks("stores") else found.plan.stores)
    if not problems and len(others) == 1:
        raise others[0]
    if problems or others or found.plan is None:
        all_told = "; ".join((*problems, *(str(each).removesuffix(".") for each in others)))
        raise BadValue(f"{told} is no plan to carry out: {all_told}. {MORE}")
    return found.plan
