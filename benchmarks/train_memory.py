"""Peak memory of each step of a training of MILK from a store: a few steps of an epoch, and lists for a few users that all others are given too.

What is left out takes time and no memory: every table, every pair and every list is there in its full size.

Run: python benchmarks/train_memory.py STORE [--split ftmt-0] [--steps 3] [--users 256]
"""

import argparse
import functools
import itertools
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import torch

from milktrain import bundle, checkpoint, config, groups, loop, ranking, recipe, sampling
from milktrain.recommender import Batches
from schemas.reporting import Silent

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
STEPS: tuple[tuple[ModuleType | type, str], ...] = (
    (bundle, "read"), (recipe, "content_of"), (sampling, "negatives"), (loop, "_one_epoch"), (loop, "evaluate"), (checkpoint.Unfinished, "save"),
    (recipe, "evaluate"), (groups, "frame"), (recipe, "_write"),
)  # fmt: skip


def peak_mb() -> int:
    """The most memory since the last call, in MB; from here on it is counted anew."""
    peak = next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    CLEAR.write_text("5")
    return peak // 1000


def measure(store: Path, *, split: str, steps: int, users: int) -> dict[str, int]:
    """MB at most in each step, and in all of it."""
    found: dict[str, int] = {}

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def wrapped(*args: object, **named: object) -> object:
            found["between"] = max(found.get("between", 0), peak_mb())
            answer = call(*args, **named)
            found[name] = max(found.get(name, 0), peak_mb())
            return answer

        return wrapped

    def few(*args: object, real: Callable[..., Batches] = loop._batches, **named: object) -> Batches:
        batches = real(*args, **named)
        return Batches(steps, itertools.islice(batches.drawn, steps))

    def for_some(model: object, who: torch.Tensor, *args: object, real: Callable[..., torch.Tensor] = ranking._best, **named: object) -> torch.Tensor:
        best = real(model, who[:users], *args, **named)
        return best.repeat(-(-len(who) // len(best)), 1)[: len(who)]

    settings = config.load(changes={"optimizer": "sparse_adam", "max_epochs": "1"})
    with ExitStack() as patched, tempfile.TemporaryDirectory() as folder:
        patched.enter_context(patch.object(loop, "_batches", few))
        patched.enter_context(patch.object(ranking, "_best", for_some))
        for place, name in STEPS:
            told = f"{getattr(place, '__name__', '').rpartition('.')[2]}.{name}"
            patched.enter_context(patch.object(place, name, noted(told, getattr(place, name))))
        recipe.train(store, split=split, config=settings, runs_folder=Path(folder), reporter=Silent())
    return found | {"all": max(found.values())}


def main() -> None:
    """Measure, and print a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--split", default="ftmt-0")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--users", type=int, default=256)
    asked = parser.parse_args()
    print(json.dumps({"benchmark": "train_memory"} | measure(asked.store, split=asked.split, steps=asked.steps, users=asked.users)))


if __name__ == "__main__":
    main()
