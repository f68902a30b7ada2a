"""What models there are, from their own files: what each is, what it starts from, and its settings."""

import ast
import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from milktrain import config, model_settings
from milktrain.model_settings import MODELS, CollaborativeSettings, Value
from milktrain.sweeping import space
from schemas import plugins

if TYPE_CHECKING:
    import polars as pl

#: Limits from here on are those of a number's memory, and not said.
ENDLESS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as a list shows it.

    Args:
        name: as `train --model` takes it.
        what: the first sentence of its file.
        about: all that its file says: source, and where it departs from it.
    """

    name: str
    what: str
    about: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a model.

    Args:
        name: as `--set` takes it.
        value: what it is when nothing is said, with the preset `default`; a list is text, as `--set` takes it.
        range: what it may be, in words.
        own: whether this model alone knows it.
        published: whether the publication of the model sets it, in place of the presets.
        searched: whether `sweep` varies it when nothing is said.
        meaning: in words.
    """

    name: str
    value: Value
    range: str
    own: bool
    published: bool
    searched: bool
    meaning: str


def models() -> list[Listed]:
    """All models by name. Nothing is imported: what they say stands at the top of their files."""
    return [_listed(name) for name in plugins.names(MODELS)]


def settings(model: str) -> list[Setting]:
    """The settings that a model alone knows, then those that all models share, without those that it makes nothing of.

    What `batch_size` counts is said of every model that learns.

    Raises:
        UnknownName: if there is no such model.
    """
    mine, usual, searched, step = model_settings.of(model), model_settings.usual(model), space.usual(model), model_settings.step(model)
    without = model_settings.idle_with(model)
    alone = model_settings.OF_MILK if model == model_settings.MILK else frozenset()
    shared = [name for name in config.TrainConfig.model_fields if _is_shared(name, model)]
    found, told = config.load(model=model), {}
    for name in [*mine.model_fields, *(name for name in config.TrainConfig.model_fields if name in alone), *shared]:
        field = _fields(mine if name in mine.model_fields else config.TrainConfig)[name]
        meaning = f"in a step: {step}" if name == "batch_size" and step else field.get("description", "")
        if name in without:
            meaning += " (of no use with {}={})".format(*without[name])
        own = name not in shared
        told[name] = Setting(
            name, _plain(config.value(found, name)), _range(name, field, model), own, name in usual, name in searched, meaning
        )  # fmt: skip
    return list(told.values())


def tables(model: str) -> list[tuple[str, "pl.DataFrame"]]:
    """The settings of a model as titles and frames: those that it alone knows, then those that all models share; none that is empty."""
    import polars as pl

    every, found = settings(model), []
    for own, title in ((True, f"settings of {model} alone"), (False, f"settings that all models share, as {model} has them")):
        rows = [
            {"name": each.name, "value": _value_text(each.value), "range": each.range, "meaning": each.meaning} for each in every if each.own == own
        ]
        if rows:
            found.append((title, pl.DataFrame(rows)))
    return found


def remarks(model: str) -> list[str]:
    """What the tables of a model's settings do not say, a sentence each."""
    every = settings(model)
    searched, published = [each.name for each in every if each.searched], [each.name for each in every if each.published]
    alone = [] if any(each.own for each in every) else [f"{model} has no settings that it alone knows."]
    return [
        *alone, "Values are those of --preset default; `train --set NAME=VALUE` changes one.",
        *([f"As its publication has them, whatever the preset: {', '.join(published)}."] if published else []),
        *([f"What `sweep --model {model}` varies when nothing is said: {', '.join(searched)}."] if searched else []),
    ]  # fmt: skip


def needs_collaborative(model: str) -> bool:
    """Whether a model starts from collaborative vectors."""
    return issubclass(model_settings.of(model), CollaborativeSettings)


def _listed(name: str) -> Listed:
    text = importlib.resources.files(MODELS).joinpath(f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    about = ast.get_docstring(ast.parse(text)) or ""
    first = " ".join(about.partition("\n\n")[0].split())
    return Listed(name, first, about)


def _plain(value: object) -> Value:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    assert isinstance(value, bool | int | float | str), f"a setting of a model is {value!r}"
    return value


def _value_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _is_shared(name: str, model: str) -> bool:
    """Whether a setting that all models share is one of this model too."""
    apart = {"preset", "of_model"} | model_settings.OF_MILK | model_settings.idle(model)
    return name not in apart and model_settings.shapes(name, model=model)


def _fields(kind: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """What pydantic says of the fields of settings, by name."""
    found: dict[str, dict[str, Any]] = kind.model_json_schema()["properties"]
    return found


def _range(name: str, field: dict[str, Any], model: str) -> str:
    """What a setting may be.

    Example:
        >>> _range("dim", {"type": "integer", "minimum": 1, "maximum": 512}, "milk"), _range("lam", {"type": "number", "minimum": 0}, "milk")
        ('whole, 1 to 512', '0 or more')
    """
    if "enum" in field:
        elsewhere = model_settings.OWN_STANDINS if name == "imputation" and model != model_settings.MILK else ()
        return ", ".join(str(each) for each in field["enum"] if each not in elsewhere)
    if "pattern" in field:
        return "metric@cut-off"
    if field.get("type") == "boolean":
        return "true or false"
    if field.get("type") == "array":
        return f"[...] of {_range(name, field['items'], model)}"
    low, above, high, below = (field.get(key) for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"))
    bounds = [f"above {above}"] * (above is not None) + [f"below {below}"] * (below is not None and below < ENDLESS)
    if low is not None and high is not None and high < ENDLESS:
        bounds.insert(0, f"{low} to {high}")
    elif low is not None:
        bounds.insert(0, f"{low} or more")
    elif high is not None and high < ENDLESS:
        bounds.append(f"at most {high}")
    return ", ".join(["whole"] * (field.get("type") == "integer") + bounds)
