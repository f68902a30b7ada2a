"""The plans of the publication's tables and figures, as they are shipped, and what a user changes in them."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from milktrain.experiments import reading
from milktrain.experiments.plan import Plan
from schemas.errors import BadValue
from schemas.plugins import check_known

PLANS = "plans"


def names() -> list[str]:
    """Names of the shipped plans, tables first."""
    files = resources.files(__package__).joinpath(PLANS).iterdir()
    found = sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    return sorted(found, key=lambda name: (not name.startswith("table"), name))


def load(
    name: str, *, seeds: int | None = None, settings: Sequence[str] = (), models: Sequence[str] = (), trials: int | None = None,
    changes: dict[str, Any] | None = None,
) -> Plan:  # fmt: skip
    """A shipped plan.

    Args:
        name: of it.
        seeds: repeats, in place of the plan's.
        settings: which of its settings; all when none is named.
        models: which of its models, or names of rows; all when none is named.
        trials: budget of its searches; 0 searches nothing.
        changes: settings laid over the preset in all rows.

    Raises:
        UnknownName: if there is no such plan.
        BadValue: if a setting or a model is none of the plan's.
    """
    check_known(name, names(), what="table or figure to reproduce")
    tables = tables_of(name)
    if settings:
        _among(settings, tables["settings"], what=f"setting of {name}")
        tables["settings"] = [each for each in tables["settings"] if each in settings]
        loss = tables.get("loss")
        if loss and not set(loss.values()) <= set(tables["settings"]):
            raise BadValue(f"{name} is what is lost from {loss['before']} to {loss['after']}: it needs both. Leave --setting out.")
    if models:
        known = [each for row in tables["row"] for each in (row.get("model", "milk"), row["name"])]
        _among(models, known, what=f"model of {name}")
        tables["row"] = [row for row in tables["row"] if row.get("model", "milk") in models or row["name"] in models]
    if seeds is not None:
        tables["seeds"] = seeds
    if changes:
        tables["set"] = tables.get("set", {}) | changes
    if trials is not None:
        _budget(tables, trials)
    return reading.checked(tables, told=f"The shipped plan {name}")


def tables_of(name: str) -> dict[str, Any]:
    """A shipped plan as it is written."""
    return tomllib.loads(resources.files(__package__).joinpath(PLANS, f"{name}.toml").read_text(encoding="utf-8"))


def _among(given: Sequence[str], known: Sequence[str], *, what: str) -> None:
    for each in given:
        check_known(each, list(dict.fromkeys(known)), what=what)


def _budget(tables: dict[str, Any], trials: int) -> None:
    """Give all searches of a plan a budget; without one, nothing is searched."""
    if trials == 0:
        tables.pop("search", None)
        for row in tables["row"]:
            row["search"] = False
        return
    tables["search"] = tables.get("search", {}) | {"trials": trials}
    for row in tables["row"]:
        if isinstance(row.get("search"), dict):
            row["search"]["trials"] = trials
