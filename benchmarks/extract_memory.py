"""Peak memory of `extract` over many contents and over few, each in a process of its own: texts by hashed-ngrams, JPEG files by colour-layout.

What grows is the engine's and the store's; a learned encoder adds its weights and batches, which do not depend on how many contents there are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import contents

from schemas.contracts import Modality

ENCODERS = {Modality.TEXT: "hashed-ngrams", Modality.VISUAL: "colour-layout"}
FEW = 2_000
#: The kernel's own word for the peak of a process itself: what getrusage says may be that of the process that started it.
CHILD = """
import re, sys
from pathlib import Path
from milkprep.extract import extract
from schemas.contracts import Modality
from schemas.reporting import Silent

report = extract(Path(sys.argv[1]), modality=Modality(sys.argv[2]), encoder=sys.argv[3], reporter=Silent())
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(report.n_embedded_now, int(peak) / 1000, report.seconds)
"""


def run(store: Path, modality: Modality) -> tuple[int, float, float]:
    """Contents embedded, peak in MB, seconds."""
    command = [sys.executable, "-c", CHILD, str(store), modality.value, ENCODERS[modality]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    n, peak, seconds = done.stdout.split()
    return int(n), float(peak), float(seconds)


def measure(folder: Path, *, modality: Modality, n: int, few: int = FEW) -> dict[str, float]:
    """Peaks over few and over n contents, and their difference, in MB; seconds of the latter."""
    found = {}
    for name, count in (("few", few), ("many", n)):
        path = folder / f"{modality}{name}.duckdb"
        if modality is Modality.TEXT:
            contents.write_texts(path, contents.texts(count))
        else:
            contents.write_pictures(path, folder / f"{name}_pictures", n=count, side=128)
        found[name] = run(path, modality)
    return {"n": found["many"][0], "few_mb": found["few"][1], "many_mb": found["many"][1],
            "growth_mb": found["many"][1] - found["few"][1], "seconds": found["many"][2]}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=5_000)
    chosen = parser.parse_args()
    for modality, n in ((Modality.TEXT, chosen.texts), (Modality.VISUAL, chosen.pictures)):
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps({"benchmark": "extract_memory", "modality": modality.value, **measure(Path(place), modality=modality, n=n)}))
