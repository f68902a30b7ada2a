"""Pictures a second of `fetch-media` against bare httpx2 loops at the same concurrency, from a local server, in one run.

The bare loops only read answers: they check, digest, decode, keep and record nothing. There are two, threads that share a Client and
tasks that share an AsyncClient; the ratio is to the faster one.

Run: python benchmarks/fetch_media.py [--pictures N]
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import polars as pl

from milkprep.media.fetch import FetchOptions, fetch_media
from schemas.contracts import Modality
from schemas.reporting import Silent
from schemas.store import Store

PICTURES, CONCURRENCY, ROUNDS = 10_000, 16, 3
HERE = Path(__file__).parent
ASSETS = {"item_idx": pl.Int32, "modality": pl.String, "position": pl.Int32, "location": pl.String, "status": pl.String, "reason": pl.String}


@contextmanager
def server(n: int) -> Iterator[str]:
    """A running server of pictures; gives its address."""
    process = subprocess.Popen([sys.executable, str(HERE / "picture_server.py"), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.communicate("")


def by_threads(addresses: list[str]) -> float:
    """Seconds of a bare loop: threads that share a client."""
    limits = httpx2.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    started = time.perf_counter()
    with httpx2.Client(limits=limits) as client, ThreadPoolExecutor(CONCURRENCY) as pool:
        for n_bytes in pool.map(lambda address: len(client.get(address).content), addresses):
            assert n_bytes
    return time.perf_counter() - started


def by_tasks(addresses: list[str]) -> float:
    """Seconds of a bare loop: tasks that share an asynchronous client."""

    async def loop() -> None:
        waiting = iter(addresses)
        limits = httpx2.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        async with httpx2.AsyncClient(limits=limits) as client:

            async def work() -> None:
                for address in waiting:
                    assert (await client.get(address)).content

            await asyncio.gather(*(work() for _ in range(CONCURRENCY)))

    started = time.perf_counter()
    asyncio.run(loop())
    return time.perf_counter() - started


def by_fetch_media(addresses: list[str]) -> float:
    """Seconds of the command's engine, from a store that knows the addresses into a new cache; making that store is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.duckdb"
        rows = [(i, "visual", 0, address, "not_fetched", "address not fetched") for i, address in enumerate(addresses)]
        with Store(path, mode="write") as store:
            store.append("assets", pl.DataFrame(rows, schema=ASSETS, orient="row"))
        options = FetchOptions(concurrency=CONCURRENCY, per_host=CONCURRENCY, allow_private=True)
        report = fetch_media(path, modality=Modality.VISUAL, options=options, reporter=Silent())
        assert report.n_ok == len(addresses), report.summary
        return report.seconds


def measure(n: int = PICTURES) -> dict[str, float]:
    """Median pictures a second of each way over alternating rounds, and the ratio to the faster bare loop."""
    ways: dict[str, Callable[[list[str]], float]] = {"threads": by_threads, "tasks": by_tasks, "fetch_media": by_fetch_media}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with server(n) as root:
        addresses = [f"{root}/{i}.jpg" for i in range(n)]
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rates[name].append(n / way(addresses))
    found = {name: statistics.median(of) for name, of in rates.items()}
    bare = max(found["threads"], found["tasks"])
    return found | {"pictures": n, "ratio": found["fetch_media"] / bare, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    print(json.dumps({"benchmark": "fetch_media"} | measure(parser.parse_args().pictures)))
