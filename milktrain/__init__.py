"""Train and judge recommenders of new items whose modalities may be missing. Start reading at `recipe.py`.

Programs import from here: `train`, `open_run`, `evaluate`, `recommend`, `recommend_new`, `similar`. They are loaded when they are first
asked for, so that importing this package costs nothing. docs/python.md has an example.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milktrain.using.api import evaluate, open_run, recommend, recommend_new, similar, train

__all__ = ["evaluate", "open_run", "recommend", "recommend_new", "similar", "train"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("milktrain.using.api"), name)
    raise AttributeError(f"module 'milktrain' has no attribute {name!r}")
