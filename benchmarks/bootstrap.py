"""Intervals of a comparison: means over users drawn again and again, against drawing and averaging them plainly."""

import argparse
import json
import time
import tracemalloc

import numpy as np

from milktrain.comparing import bootstrap
from milktrain.comparing.per_user import Numbers


def series(n_users: int, n_series: int) -> Numbers:
    """(n_users, n_series) shares, most of them zero, as recall of new items is."""
    generator = np.random.default_rng(0)
    return np.where(generator.random((n_users, n_series)) < 0.05, generator.random((n_users, n_series)), 0.0)


def plainly(users: Numbers, *, resamples: int) -> Numbers:
    """The same by the definition."""
    generator = np.random.default_rng(0)
    return np.stack([users[generator.integers(len(users), size=len(users))].mean(axis=0) for _ in range(resamples)])


def measure(*, n_users: int = 1_000_000, n_series: int = 20, resamples: int = 200, plain: int = 10) -> dict[str, float]:
    """Seconds a draw by the clock and by the processor, both ways; memory of the draws; how far deviations are apart."""
    users = series(n_users, n_series)
    started, worked = time.perf_counter(), time.process_time()
    ours = bootstrap.means(users, resamples=resamples, generator=np.random.default_rng(0))
    found = {"seconds": (time.perf_counter() - started) / resamples, "processor": (time.process_time() - worked) / resamples}
    found |= {"memory_mb": _memory(users)}
    started, worked = time.perf_counter(), time.process_time()
    theirs = plainly(users, resamples=plain)
    found |= {"plain_seconds": (time.perf_counter() - started) / plain, "plain_processor": (time.process_time() - worked) / plain}
    deviations = ours.std(axis=0).mean() / theirs.std(axis=0).mean()
    return found | {"times_faster": found["plain_processor"] / found["processor"], "deviation_to_plain": float(deviations)}


def _memory(users: Numbers) -> float:
    """Megabytes at the peak of as many draws as are held at a time, besides the series."""
    tracemalloc.start()
    bootstrap.means(users, resamples=max(1, bootstrap.CHUNK // min(len(users), bootstrap.BLOCK)), generator=np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    measured = measure(n_users=options.users, n_series=options.series, resamples=options.resamples)
    print(json.dumps({"benchmark": "bootstrap", **vars(options), **{name: round(value, 5) for name, value in measured.items()}}))
