"""Extraction of files made to do harm, by the command line: each is a row with its status and reason, memory stays bounded, the good are embedded."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import hostile_files
import numpy as np
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, violations, write_catalogue
from tiny_vision import write_open_clip

from milkprep import decode
from milkprep.extract import ExtractReport, extract
from schemas.contracts import Modality
from schemas.reporting import Silent

ROOT = Path(__file__).parents[2]
#: Runs the command line, and says at last how much memory it took, and the largest of its decoding processes, in kB.
CHILD = """
import json, re, resource, sys
from pathlib import Path
import cli
try:
    cli.main()
except SystemExit as end:
    code = end.code
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([code, int(peak), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]), file=sys.stderr)
"""
#: An interpreter with all libraries, and with DuckDB's working memory.
MOST_KB = 900 << 10
MOST_KB_WITH_TORCH = 1600 << 10
CASES = {
    Modality.VISUAL: ("colour-layout", "good.png", hostile_files.write_pictures),
    Modality.AUDIO: ("log-mel", "good.wav", hostile_files.write_sounds),
}


def by_command_line(path: Path, modality: Modality, encoder: str, *options: str) -> tuple[dict[str, object], int]:
    """What it said as JSON, and the peak of its memory in kB; it is stopped after some minutes, which no file may take."""
    command = [sys.executable, "-c", CHILD, "extract", "--modality", modality.value, "--encoder", encoder, "--store", str(path), "--json", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr.strip(), "it said nothing"
    code, *peaks = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, None), done.stderr
    return json.loads(done.stdout), max(peaks)


def states_of(path: Path, modality: Modality) -> dict[Path, hostile_files.State]:
    rows = query(path, f"SELECT location, status, reason FROM assets WHERE modality = '{modality}'")
    return {Path(location): (status, reason) for location, status, reason in rows}


@pytest.mark.parametrize("modality", CASES)
def test_hostile_files_are_rows_with_reasons_in_bounded_memory(tmp_path, modality):
    encoder, good, write = CASES[modality]
    states = {**write(tmp_path), **hostile_files.write_special(tmp_path), **hostile_files.write_locked(tmp_path / good)}
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * len(states), files={modality: {n: [file] for n, file in enumerate(states)}})
    said, peak = by_command_line(path, modality, encoder)
    found = states_of(path, modality)
    assert {file.name: found[file] for file in found if found[file] != states[file]} == {}
    assert found == states
    n_good, n_absent = (sum(status == word for status, _ in states.values()) for word in ("ok", "absent"))
    n_failed = len(states) - n_good - n_absent  # that a video has no sound is no failure
    assert (said["items"], said["failed"]) == (n_good, n_failed)
    counted = Counter(reason for status, reason in states.values() if reason)
    assert {row["reason"]: row["items"] for row in said["reasons"]} == counted
    assert query(path, "SELECT count(*) FROM rejects") == [(n_failed,)]
    assert peak < MOST_KB
    assert violations(path) == {}


def test_hostile_pictures_are_the_same_rows_for_a_network(tmp_path):
    """Its preparation resizes, and a picture of one pixel by a million must not become one of gigabytes."""
    states = hostile_files.write_pictures(tmp_path)
    network = write_open_clip(tmp_path / "network")
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * len(states), files={Modality.VISUAL: {n: [file] for n, file in enumerate(states)}})
    _, peak = by_command_line(path, Modality.VISUAL, "open-clip", "--weights", str(network), "--device", "cpu")
    assert states_of(path, Modality.VISUAL) == states
    assert peak < MOST_KB_WITH_TORCH


@pytest.mark.parametrize("change", ["removed", "another"])
def test_a_file_that_changes_between_listing_and_decoding_is_a_row_and_can_be_tried_again(tmp_path, monkeypatch, change):
    files = [write_picture(tmp_path / f"{n}.png", np.roll(gradient(), 5 * n, axis=1)) for n in range(3)]
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 3, files={Modality.VISUAL: {n: [file] for n, file in enumerate(files)}})
    really_digested = decode.digest

    def digested_and_changed(file, **options):
        sha256 = really_digested(file, **options)
        if file == files[1]:
            file.unlink()
            if change == "another":
                file.write_bytes(files[2].read_bytes())
        return sha256

    def extracted(**options) -> ExtractReport:
        return extract(path, modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent(), **options)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "digest", digested_and_changed)
        assert extracted().n_items == 2
    assert states_of(path, Modality.VISUAL)[files[1]] == ("decode_error", "the file was changed or removed while it was read")
    write_picture(files[1])
    assert extracted(retry_failed=True).n_items == 3
    assert violations(path) == {}


LARGE = """
import re, sys
from pathlib import Path
from milkprep.extractors import colour_layout
held = lambda: int(re.search(r"VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
prepare = colour_layout.preparer({"frames": 1, "frame_choice": "even"})
prepare(Path(sys.argv[1]))
before = held()
prepare(Path(sys.argv[2]))
print(held() - before)
"""


def test_a_large_picture_leaves_little_behind_in_the_process_that_decoded_it(tmp_path):
    small = write_picture(tmp_path / "small.png")
    large = write_picture(tmp_path / "large.png", np.zeros((7000, 7000, 4), dtype=np.uint8))  # which takes a gigabyte
    done = subprocess.run([sys.executable, "-c", LARGE, str(small), str(large)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 300 << 10
