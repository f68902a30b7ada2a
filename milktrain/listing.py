"""What models there are, from their own files: what each is, what it starts from, and its settings."""

import ast
import importlib.resources
from dataclasses import dataclass

from milktrain import config, model_settings
from milktrain.model_settings import MODELS, CollaborativeSettings, Value
from schemas import plugins


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
        value: what it is when nothing is said.
        searched: whether `sweep` varies it when nothing is said.
        meaning: in words.
    """

    name: str
    value: Value
    searched: bool
    meaning: str


def models() -> list[Listed]:
    """All models by name. Nothing is imported: what they say stands at the top of their files."""
    return [_listed(name) for name in plugins.names(MODELS)]


def settings(model: str) -> list[Setting]:
    """The settings that a model alone knows, then those of all models that its publication sets otherwise or that a search varies.

    What `batch_size` counts is said of every model that learns.

    Raises:
        UnknownName: if there is no such model.
    """
    own, usual, space = model_settings.of(model), model_settings.usual(model), model_settings.space(model) or {}
    found = config.load(model=model)
    step = model_settings.step(model)
    common = [name for name in config.TrainConfig.model_fields if name in usual or name in space or (name == "batch_size" and step)]
    described = [(name, field.description) for name, field in own.model_fields.items()]
    described += [(name, f"in a step: {step}" if name == "batch_size" else config.TrainConfig.model_fields[name].description) for name in common]
    return [Setting(name, _plain(config.value(found, name)), name in space, what or "") for name, what in described]


def needs_collaborative(model: str) -> bool:
    """Whether a model starts from collaborative vectors."""
    return issubclass(model_settings.of(model), CollaborativeSettings)


def _listed(name: str) -> Listed:
    text = importlib.resources.files(MODELS).joinpath(f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    about = ast.get_docstring(ast.parse(text)) or ""
    first = " ".join(about.partition("\n\n")[0].split())
    return Listed(name, first, about)


def _plain(value: object) -> Value:
    assert isinstance(value, bool | int | float | str), f"a setting of a model is {value!r}"
    return value
