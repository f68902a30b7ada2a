"""A million users: memory of an epoch, and what an interaction costs against the small size, in one run on generated data.

Run: python benchmarks/scale.py [--users 1000000] [--items 300000] [--pairs 20000000]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import epoch
import torch
from torch import nn

from milktrain import config, optimizers, sampling
from milktrain.loop import Generators, run_epoch
from milktrain.models import milk
from milktrain.recommender import Content, Task

ROUNDS = 5


def epoch_of(size: epoch.Size, *, optimizer: str) -> tuple[Callable[[], None], int]:
    """A function that trains one epoch of generated data, sampling included, and its number of interactions."""
    settings = config.load("default", changes={"optimizer": optimizer})
    generator = torch.Generator().manual_seed(0)
    n_train = size.items * 4 // 5
    item = (torch.rand(size.pairs, generator=generator).square_() * n_train).long()  # few items have most of the interactions
    keys = torch.unique(torch.randint(size.users, (size.pairs,), generator=generator) * size.items + item)
    train = torch.stack([keys // size.items, keys % size.items], dim=1)
    features = tuple(nn.functional.normalize(torch.randn(size.items, width, generator=generator), dim=1) for width in size.widths)
    everything = torch.ones(size.items, len(size.widths), dtype=torch.bool)
    generators = Generators.seeded(0)
    content = Content(features, everything, torch.arange(size.items) < n_train)
    model = milk.build(Task(content, size.users, train), settings, generator=generators.weights)
    steps = optimizers.build(model, settings)
    sampler = sampling.negatives(train, candidates=torch.arange(n_train), n_items=size.items)

    def one_epoch() -> None:
        batches = sampling.epoch(train, sampler, batch_size=settings.batch_size, generator=generators.triples)
        run_epoch(model, steps, batches, generator=generators.environments)

    return one_epoch, len(train)


def seconds_of(way: Callable[[], None]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def peak_gb() -> float:
    """The kernel's peak of this process's memory."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1e6


def measure(large: epoch.Size) -> dict[str, float]:
    """Microseconds an interaction at the small size, before and after one epoch of the large one, and at the large one."""
    small, n_small = epoch_of(epoch.SIZES["TikTok"], optimizer="adam")
    small()
    before = [seconds_of(small) for _ in range(ROUNDS)]
    way, n_large = epoch_of(large, optimizer="sparse_adam")
    seconds = seconds_of(way)
    peak = peak_gb()
    at_small = statistics.median(before + [seconds_of(small) for _ in range(ROUNDS)]) / n_small * 1e6
    at_large = seconds / n_large * 1e6
    return {"interactions": n_large, "seconds": seconds, "us_small": at_small, "us_large": at_large, "ratio": at_large / at_small, "peak_gb": peak}


def main() -> None:
    """Measure, and print a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=300_000)
    parser.add_argument("--pairs", type=int, default=20_000_000)
    asked = parser.parse_args()
    found = measure(epoch.Size(asked.users, asked.items, asked.pairs, (128, 128)))
    print(json.dumps({"benchmark": "scale"} | found))


if __name__ == "__main__":
    main()
