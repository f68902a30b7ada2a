"""The plans of the publication's tables and figures, as they are shipped, and what a user changes in them."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from milktrain import model_settings
from milktrain.experiments import chosen, reading
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
        changes: settings laid over the preset, and over what the plan says of datasets, in all rows that do not set them themselves.

    Raises:
        UnknownName: if there is no such plan.
        BadValue: if a setting or a model is none of the plan's, or a change is not for all of its rows.
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
        known = [each for row in tables["row"] for each in (_model(row), row["name"])]
        _among(models, known, what=f"model of {name}")
        tables["row"] = [row for row in tables["row"] if _model(row) in models or row["name"] in models]
    if seeds is not None:
        tables["seeds"] = seeds
    if changes:
        _lay_over(tables, changes, name=name)
    if trials is not None:
        _budget(tables, trials)
    return reading.checked(tables, told=f"The shipped plan {name}")


def tables_of(name: str) -> dict[str, Any]:
    """A shipped plan as it is written."""
    return tomllib.loads(resources.files(__package__).joinpath(PLANS, f"{name}.toml").read_text(encoding="utf-8"))


def _among(given: Sequence[str], known: Sequence[str], *, what: str) -> None:
    for each in given:
        check_known(each, list(dict.fromkeys(known)), what=what)


def _lay_over(tables: dict[str, Any], changes: Mapping[str, Any], *, name: str) -> None:
    """Settings for all rows of a plan; what datasets have instead makes way for what a user says."""
    if problems := [problem for setting in changes if (problem := _unfit(tables, setting, changes))]:
        raise BadValue(f"{name} cannot be done with these settings: {'; '.join(problems)}. {reading.MORE}")
    tables["set"] = tables.get("set", {}) | dict(changes)
    for by_model in tables.get("datasets", {}).values():
        for settings in by_model.values():
            for setting in changes:
                settings.pop(setting, None)


def _unfit(tables: dict[str, Any], setting: str, changes: Mapping[str, Any]) -> str:
    """Why a setting is not for all rows that do not set it themselves; empty where it is."""
    preset = tables.get("preset", Plan.model_fields["preset"].default)
    rows = [row for row in tables["row"] if setting not in row.get("set", {}) and list(row.get("vary", {})) != [setting]]
    if not rows:
        return f"--set {setting}: every row sets it itself"
    wrong = {}
    for row in rows:
        beside = {**tables.get("set", {}), **changes, **row.get("set", {})}
        found = chosen.wrong_with({setting: changes[setting]}, model=_model(row), preset=row.get("preset", preset), beside=beside)
        wrong[row["name"]] = found.get(setting, "")
    refused = {row: words for row, words in wrong.items() if words}
    if not refused:
        return ""
    fit = list(dict.fromkeys(_model(row) for row in rows if row["name"] not in refused))
    if not fit:
        words = [wrong[row["name"]] for row in rows if setting not in model_settings.idle(_model(row), changes)]
        return f"--set {words[0]}" if words else f"--set {setting}: no row has a use for it"
    left = f"leave them out with `--models {','.join(fit)}`, or write a plan of your own that sets it in its rows"
    return f"--set {setting} is not for {', '.join(refused)}: {left}"


def _model(row: Mapping[str, Any]) -> str:
    return str(row.get("model", model_settings.MILK))


def _budget(tables: dict[str, Any], trials: int) -> None:
    """Give all searches of a plan a budget; without one, nothing is searched."""
    if trials == 0:
        if tables.pop("search", None):
            told = [sentence.removesuffix(".") for sentence in tables.get("note", "").split(". ") if "search" not in sentence]
            tables["note"] = ". ".join((*(sentence for sentence in told if sentence), "No settings were searched."))
        for row in tables["row"]:
            row["search"] = False
        return
    tables["search"] = tables.get("search", {}) | {"trials": trials}
    for row in tables["row"]:
        if isinstance(row.get("search"), dict):
            row["search"]["trials"] = trials
