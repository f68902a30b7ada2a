"""Seconds of one training epoch of every model that learns, beside MILK's, in one run, on generated data of the TikTok size.

Run: python benchmarks/models.py [--rounds 3] [--model NAME ...]
Rounds go through all models in turn, so that what else happens on the machine falls on all of them. Collaborative vectors are generated: what
learning them takes is told in docs/results.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator

import torch
from epoch import SIZES, Size
from torch import Tensor, nn

from milktrain import config, listing, optimizers, sampling
from milktrain.loop import Generators, run_epoch
from milktrain.model_settings import FLOORS, MODELS
from milktrain.recommender import Batch, Collaborative, Content, EpochWise, OwnBatches, Task
from schemas import plugins


def task(size: Size) -> tuple[Task, Tensor]:
    """Generated content and interactions, and which items are in training: the first four fifths."""
    generator = torch.Generator().manual_seed(0)
    n_train = size.items * 4 // 5
    users = torch.randint(size.users, (size.pairs,), generator=generator)
    items = torch.randint(n_train, (size.pairs,), generator=generator)
    pairs = torch.unique(torch.stack([users, items], dim=1), dim=0)
    features = tuple(nn.functional.normalize(torch.randn(size.items, width, generator=generator), dim=1) for width in size.widths)
    is_train = torch.arange(size.items) < n_train
    available = torch.ones(size.items, len(size.widths), dtype=torch.bool)
    return Task(Content(features, available, is_train), size.users, pairs), torch.arange(n_train)


class Timed:
    """A model under training, an epoch at a time.

    Args:
        name: of the model, with its usual settings.
        given: what it is trained on.
        candidates: of negatives.
    """

    def __init__(self, name: str, given: Task, candidates: Tensor) -> None:
        self._settings = config.load(model=name)
        self._generators = Generators.seeded(0)
        if listing.needs_collaborative(name):
            width = int(self._settings.of_model["backbone_width"])
            items = torch.randn(len(given.content.is_train), width, generator=torch.Generator().manual_seed(1)) / width**0.5
            users = torch.randn(given.n_users, width, generator=torch.Generator().manual_seed(2)) / width**0.5
            given = Task(given.content, given.n_users, given.train, Collaborative(users, items * given.content.is_train[:, None]))
        self._train = given.train
        self._model = plugins.load(MODELS, name).build(given, self._settings, generator=self._generators.weights)
        self._optimizer = optimizers.build(self._model, self._settings)
        self._sampler = sampling.negatives(given.train, candidates=candidates, n_items=len(given.content.is_train))
        self._model.train()

    def seconds(self) -> float:
        """Of one more epoch."""
        started = time.perf_counter()
        if isinstance(self._model, EpochWise):
            self._model.begin_epoch()
        run_epoch(self._model, self._optimizer, self._batches(), generator=self._generators.environments)
        return time.perf_counter() - started

    def _batches(self) -> Iterator[Batch]:
        size, generator = self._settings.batch_size, self._generators.triples
        if isinstance(self._model, OwnBatches):
            return self._model.batches(batch_size=size, generator=generator).drawn
        return sampling.epoch(self._train, self._sampler, batch_size=size, generator=generator)


def learning(names: list[str]) -> list[str]:
    """Those that learn by epochs; milk first."""
    learn = [name for name in names if name not in FLOORS]
    return sorted(learn, key=lambda name: (name != "milk", name))


def measure(names: list[str], size: Size, *, rounds: int) -> list[dict[str, object]]:
    """Median seconds of an epoch of each model, and how many times MILK's that is in the same round.

    Args:
        names: of the models; milk is always among them.
        size: of the data.
        rounds: after one that warms up.
    """
    given, candidates = task(size)
    timed = {name: Timed(name, given, candidates) for name in learning(sorted({"milk", *names}))}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, each in timed.items():
            took = each.seconds()
            if number:
                seconds[name].append(took)
    return [
        {
            "model": name,
            "seconds": statistics.median(took),
            "times_milk": statistics.median(a / b for a, b in zip(took, seconds["milk"], strict=True)),
        }
        for name, took in seconds.items()
    ]


def main() -> None:
    """Measure the models that are asked for, and print a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", action="append")
    asked = parser.parse_args()
    for row in measure(asked.model or plugins.names(MODELS), SIZES["TikTok"], rounds=asked.rounds):
        print(json.dumps({"benchmark": "models", "rounds": asked.rounds} | row), flush=True)


if __name__ == "__main__":
    main()
