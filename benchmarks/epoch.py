"""Seconds of one training epoch against the plain way, in one run, on generated data of two published sizes.

Run: python benchmarks/epoch.py [--rounds 5] [--clothing-rounds 1]
The larger size takes one to two minutes a round, nearly all of it the plain way.
"""

import argparse
import json
import resource
import statistics
import time
from dataclasses import dataclass

import numpy as np
import plain_epoch
import torch
from torch import nn

from milktrain import config, sampling
from milktrain.loop import Generators, adam, run_epoch
from milktrain.models import milk
from milktrain.recommender import Content, Task


@dataclass(frozen=True, slots=True)
class Size:
    """What is generated: users, items of which four fifths are in training, training interactions, and the widths of the features."""

    users: int
    items: int
    pairs: int
    widths: tuple[int, ...]


SIZES = {
    "TikTok": Size(9308, 6710, 55_126, (128, 128)),
    "Clothing": Size(39_387, 23_033, 222_759, (4096, 384)),
}


def measure(size: Size, *, rounds: int) -> dict[str, float]:
    """Median seconds of each way over alternating rounds, and how many times faster ours is.

    Args:
        size: of the data.
        rounds: how often each way is timed, after a first round of `milktrain` that warms up.
    """
    settings = config.load("published")
    generator = np.random.default_rng(0)
    drawn = np.stack([generator.integers(size.users, size=size.pairs), generator.integers(size.items * 4 // 5, size=size.pairs)], 1)
    pairs = np.unique(drawn, axis=0)
    features = tuple(nn.functional.normalize(torch.randn(size.items, width), dim=1) for width in size.widths)
    train = torch.from_numpy(pairs)
    generators = Generators.seeded(0)
    everything = torch.ones(size.items, len(size.widths), dtype=torch.bool)
    content = Content(features, everything, everything[:, 0])
    model = milk.build(Task(content, size.users, train), settings, generator=generators.weights)
    ours = adam(model, learning_rate=settings.learning_rate)
    sampler = sampling.negatives(train, candidates=torch.arange(size.items), n_items=size.items)
    table, maps = nn.Embedding(size.users, settings.dim), nn.ModuleList(nn.Linear(width, settings.dim) for width in size.widths)
    plain = torch.optim.Adam([*table.parameters(), *maps.parameters()], lr=settings.learning_rate)

    def our_way() -> None:
        batches = sampling.epoch(train, sampler, batch_size=settings.batch_size, generator=generators.triples)
        run_epoch(model, ours, batches, generator=generators.environments)

    def plain_way() -> None:
        plain_epoch.epoch(
            table, maps, list(features), pairs, n_items=size.items, batch_size=settings.batch_size, alpha=settings.alpha, beta=settings.beta,
            lam=settings.lam, reg=settings.reg, optimizer=plain,
        )  # fmt: skip

    our_way()
    seconds: dict[str, list[float]] = {"milktrain": [], "plain": []}
    for _ in range(rounds):
        for name, way in (("plain", plain_way), ("milktrain", our_way)):
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    found = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = [slow / fast for slow, fast in zip(seconds["plain"], seconds["milktrain"], strict=True)]
    return found | {"times_faster": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def main() -> None:
    """Measure the sizes that are asked for, and print a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clothing-rounds", type=int, default=1)
    asked = parser.parse_args()
    for name, rounds in (("TikTok", asked.rounds), ("Clothing", asked.clothing_rounds)):
        if rounds:
            found = measure(SIZES[name], rounds=rounds)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"benchmark": "epoch", "size": name, "rounds": rounds} | found | {"peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()
