"""Settings as a TOML file that `train --config` takes."""

import json
from collections.abc import Mapping
from typing import Any

from milktrain import model_settings
from milktrain.config import TrainConfig


def flat(config: TrainConfig) -> dict[str, Any]:
    """All settings by name, those that the model alone knows beside the others."""
    return {name: value for name, value in config.model_dump().items() if name != "of_model"} | config.of_model


def as_toml(
    config: TrainConfig, *, searched: Mapping[str, object], remarks: tuple[str, ...] = (), model: str = model_settings.MILK
) -> str:  # fmt: skip
    """All settings that the model has, so that the file means the same with every preset; those that were searched first.

    Args:
        config: the settings.
        searched: which of them were varied, by name.
        model: whose they are.
        remarks: lines that stand above.

    Example:
        >>> from milktrain import config
        >>> text = as_toml(config.load(), searched={"beta": 50.0}, remarks=("One of many.",))
        >>> text.splitlines()[:3]
        ['# One of many.', '# What was searched:', 'beta = 50.0']
    """
    idle = {"preset", *model_settings.idle(model, config.of_model)}
    settings = {name: value for name, value in flat(config).items() if name not in idle}
    lines = [f"# {remark}" for remark in remarks]
    lines += ["# What was searched:", *(f"{name} = {as_value(settings[name])}" for name in searched)]
    lines += ["# What was not:", *(f"{name} = {as_value(value)}" for name, value in settings.items() if name not in searched)]
    return "\n".join(lines) + "\n"


def as_value(value: object) -> str:
    """A value in TOML; texts, whole numbers, lists and truth values are written as in JSON."""
    return repr(value) if isinstance(value, float) else json.dumps(value)
