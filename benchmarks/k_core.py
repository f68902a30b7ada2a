"""Seconds of the 10-core of ten million interactions in the store, against a plain way with scipy, in one run.

The plain way holds everything in memory as a sparse matrix and throws rows and columns away until nothing changes; the store's
works beyond memory, and records every pair that it drops. Both must end with the same number of pairs.

Run: python benchmarks/k_core.py [--pairs 10000000]
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from milkprep.pull import items, pairs
from schemas.reporting import Silent
from schemas.store import Store

CORE, BATCH = 10, 1_000_000


def drawn(n_pairs: int) -> NDArray[np.int64]:
    """Distinct (user, item) pairs, both by a power law, so that the core takes many rounds: (n, 2)."""
    generator, n_users, n_items = np.random.default_rng(0), max(n_pairs // 8, 10), max(n_pairs // 40, 10)
    users = (n_users * generator.random(n_pairs) ** 2).astype(np.int64)
    found = np.unique(users * n_items + (n_items * generator.random(n_pairs) ** 2.5).astype(np.int64))
    return np.stack([found // n_items, found % n_items], axis=1)


def in_store(drawn_pairs: NDArray[np.int64], folder: Path) -> tuple[float, int]:
    """Seconds, and pairs that are left."""
    with Store(folder / "k.duckdb", mode="write") as store:
        items.create_tables(store)
        pairs.create_tables(store)
        for first in range(0, len(drawn_pairs), BATCH):
            batch = drawn_pairs[first : first + BATCH]
            lines = np.arange(first, first + len(batch))
            frame = {"line": lines, "user_number": batch[:, 0].astype(np.int32), "item_number": batch[:, 1].astype(np.int32), "digest": lines}
            store.append("pairs", pl.DataFrame(frame))
        started = time.perf_counter()
        pairs.keep_core(store, core=CORE, source="made", reporter=Silent())
        seconds = time.perf_counter() - started
        return seconds, store.query("SELECT count(*) AS n FROM pairs").item()


def plain(drawn_pairs: NDArray[np.int64]) -> tuple[float, int]:
    """Seconds, and pairs that are left."""
    started = time.perf_counter()
    left = sparse.csr_matrix((np.ones(len(drawn_pairs), dtype=np.int32), (drawn_pairs[:, 0], drawn_pairs[:, 1])))
    while True:
        before = left.nnz
        left = left[np.asarray(left.sum(axis=1)).ravel() >= CORE]
        left = left[:, np.asarray(left.sum(axis=0)).ravel() >= CORE]
        if left.nnz == before:
            return time.perf_counter() - started, before


def measure(n_pairs: int = 10_000_000) -> dict[str, float]:
    """Seconds of each way, their ratio (above 1: the store is faster), and what is left."""
    made = drawn(n_pairs)
    with tempfile.TemporaryDirectory() as folder:
        store_s, n_left = in_store(made, Path(folder))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain_s, n_plain = plain(made)
    if n_left != n_plain:
        raise SystemExit(f"the two ways disagree: {n_left} and {n_plain} pairs are left")
    return {"pairs": len(made), "left": n_left, "store": store_s, "plain": plain_s, "ratio": plain_s / store_s, "peak_mb": peak_mb}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    print(json.dumps({"benchmark": "k_core"} | measure(parser.parse_args().pairs)))
