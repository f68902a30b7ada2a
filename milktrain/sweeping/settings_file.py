"""Settings as a TOML file that `train --config` takes."""

import json
from collections.abc import Mapping

from milktrain.config import TrainConfig


def as_toml(config: TrainConfig, *, searched: Mapping[str, object], remarks: tuple[str, ...] = ()) -> str:
    """All settings, so that the file means the same with every preset; those that were searched first.

    Args:
        config: the settings.
        searched: which of them were varied, by name.
        remarks: lines that stand above.

    Example:
        >>> from milktrain import config
        >>> text = as_toml(config.load(), searched={"beta": 50.0}, remarks=("One of many.",))
        >>> text.splitlines()[:3]
        ['# One of many.', '# What was searched:', 'beta = 50.0']
    """
    settings = {name: value for name, value in config.model_dump().items() if name != "preset"}
    lines = [f"# {remark}" for remark in remarks]
    lines += ["# What was searched:", *(f"{name} = {_value(settings[name])}" for name in searched)]
    lines += ["# What was not:", *(f"{name} = {_value(value)}" for name, value in settings.items() if name not in searched)]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value in TOML; texts, whole numbers, lists and truth values are written as in JSON."""
    return repr(value) if isinstance(value, float) else json.dumps(value)
