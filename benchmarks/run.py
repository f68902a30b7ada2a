"""Run every benchmark of this folder, each in a process of its own, and print one JSON line a benchmark."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = ("epoch", "models", "evaluation", "scale", "bootstrap", "pull", "k_core", "fetch_media", "item_means", "extract", "extract_memory")

if __name__ == "__main__":
    for name in BENCHMARKS:
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)
