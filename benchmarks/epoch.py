"""Seconds of one training epoch against the plain way, in one run, on generated data of the short-video set's size.

Run: python benchmarks/epoch.py
"""

import json
import resource
import statistics
import time

import numpy as np
import plain_epoch
import torch
from torch import nn

from milktrain import config, sampling
from milktrain.loop import Generators, adam, run_epoch
from milktrain.models import milk
from milktrain.recommender import Content, Task

USERS, ITEMS, PAIRS, WIDTHS = 9308, 6710, 55_000, (128, 128)
ROUNDS = 5


def measure() -> dict[str, float]:
    """Median seconds of each way over alternating rounds, and their ratio."""
    settings = config.load("published")
    generator = np.random.default_rng(0)
    pairs = np.unique(np.stack([generator.integers(USERS, size=PAIRS), generator.integers(ITEMS, size=PAIRS)], 1), axis=0)
    features = tuple(nn.functional.normalize(torch.randn(ITEMS, width), dim=1) for width in WIDTHS)
    train = torch.from_numpy(pairs)
    generators = Generators.seeded(0)
    everything = torch.ones(ITEMS, len(WIDTHS), dtype=torch.bool)
    model = milk.build(Task(Content(features, everything, everything[:, 0]), USERS, train), settings, generator=generators.weights)
    ours = adam(model, learning_rate=settings.learning_rate)
    sampler = sampling.negatives(train, candidates=torch.arange(ITEMS), n_items=ITEMS)
    table, maps = nn.Embedding(USERS, settings.dim), nn.ModuleList(nn.Linear(width, settings.dim) for width in WIDTHS)
    plain = torch.optim.Adam([*table.parameters(), *maps.parameters()], lr=settings.learning_rate)
    seconds: dict[str, list[float]] = {"milktrain": [], "plain": []}
    for _ in range(ROUNDS + 1):  # the first round warms up and is left out
        started = time.perf_counter()
        batches = sampling.epoch(train, sampler, batch_size=settings.batch_size, generator=generators.triples)
        run_epoch(model, ours, batches, generator=generators.environments)
        seconds["milktrain"].append(time.perf_counter() - started)
        started = time.perf_counter()
        plain_epoch.epoch(
            table, maps, list(features), pairs, n_items=ITEMS, batch_size=settings.batch_size, alpha=settings.alpha, beta=settings.beta,
            lam=settings.lam, reg=settings.reg, optimizer=plain,
        )  # fmt: skip
        seconds["plain"].append(time.perf_counter() - started)
    found = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    return found | {"ratio": found["milktrain"] / found["plain"], "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    print(json.dumps({"benchmark": "epoch"} | measure()))
