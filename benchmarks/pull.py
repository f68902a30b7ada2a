"""Seconds of `pull amazon` against only decoding the same files in a plain loop, in one run, on generated dumps.

The yardstick of releases with JSON metadata is `gzip -dc FILE | python -c "for line in stdin: json.loads(line)"` over both files;
that of 2014 reads its metadata with `ast.literal_eval`. The pull does all of it: it decodes, cleans texts, finds repeats, keeps the
5-core and writes the store.

Run: python benchmarks/pull.py [--release 2018] [--items 60000] [--reviews 400000] [--short] [--rounds 3] [--keep-all-items]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import raw_dumps

COUNT = "print(sum(map(len, sys.stdin.buffer)))"
DECODE = "for line in sys.stdin:\n    try: {call}(line)\n    except (ValueError, SyntaxError): pass"
PULL = """
import sys
from pathlib import Path
from milkprep.sources import amazon
from schemas.reporting import Silent
store, metadata, reviews, keep_all = *map(Path, sys.argv[1:4]), sys.argv[4] == "True"
print(amazon.pull(store, metadata=metadata, reviews=reviews, core=5, keep_all_items=keep_all, reporter=Silent()).n_interactions)
"""


def measure(folder: Path, *, release: int, n_items: int, n_reviews: int, short: bool, rounds: int, keep_all: bool) -> dict[str, float]:
    """Median seconds of each over alternating rounds, the ratio (above 1: the pull is faster), and the pull's largest peak of memory."""
    dump = raw_dumps.write(folder, release=release, n_items=n_items, n_reviews=n_reviews, short=short)
    calls = {dump.metadata: "ast.literal_eval" if release == 2014 else "json.loads", dump.reviews: "json.loads"}
    n_bytes = sum(_loop(file, COUNT, keep=True) for file in calls)
    loop_s, pull_s, peak_mb = [], [], 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        for file, call in calls.items():
            _loop(file, DECODE.format(call=call))
        loop_s.append(time.perf_counter() - started)
        seconds, peak = _pulled(folder / "made.duckdb", dump, keep_all=keep_all)
        pull_s.append(seconds)
        peak_mb = max(peak_mb, peak)
    found = {"raw_mb": n_bytes / 1e6, "loop": statistics.median(loop_s), "pull": statistics.median(pull_s)}
    return found | {"ratio": found["loop"] / found["pull"], "peak_mb": peak_mb}


def _loop(file: Path, code: str, *, keep: bool = False) -> int:
    """What `gzip -dc FILE | python -c CODE` does; the number it prints, where it is to be kept."""
    with subprocess.Popen([shutil.which("gzip") or "gzip", "-dc", str(file)], stdout=subprocess.PIPE) as unpacking:
        done = subprocess.run([sys.executable, "-c", f"import ast, json, sys\n{code}"], stdin=unpacking.stdout, check=True, capture_output=keep)
    return int(done.stdout) if keep else 0


def _pulled(store: Path, dump: raw_dumps.Dump, *, keep_all: bool) -> tuple[float, float]:
    """Seconds and peak megabytes of one pull in a process of its own, its start included."""
    store.unlink(missing_ok=True)
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-c", PULL, str(store), str(dump.metadata), str(dump.reviews), str(keep_all)], dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )  # fmt: skip
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the pull ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=int, choices=raw_dumps.RELEASES, default=2018)
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--reviews", type=int, default=400_000)
    parser.add_argument("--short", action="store_true", help="reviews of a few words")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-all-items", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        result = measure(
            Path(made), release=given.release, n_items=given.items, n_reviews=given.reviews, short=given.short, rounds=given.rounds,
            keep_all=given.keep_all_items,
        )  # fmt: skip
    print(json.dumps({"benchmark": "pull", "release": given.release, "items": given.items, "reviews": given.reviews} | result))
