"""A disk that fills up during an extraction: one clear error, a whole store, and the next run goes on from there."""

from pathlib import Path

import full_disk
import pytest
from small_catalogue import query, tables, violations, write_catalogue

from milkprep.extract import extract
from schemas.contracts import Modality
from schemas.reporting import Silent

FULL = "cannot be written to: File too large. Make room on its disk and run the same command again; what was stored before is whole."
N_ITEMS = 3000  # three pages
HASHED = {"modality": Modality.TEXT, "encoder": "hashed-ngrams", "reporter": Silent()}
TEXTS = [(f"title {item}", "word " * (item % 20)) for item in range(N_ITEMS)]


def extracted(path: Path, *, most_bytes: int) -> tuple[int, str]:
    """Exit code and what was said."""
    return full_disk.command_line("extract", "--modality", "text", "--encoder", "hashed-ngrams", "--store", path, most_bytes=most_bytes)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A store whose extraction met no full disk."""
    path = write_catalogue(tmp_path_factory.mktemp("alone") / "s.duckdb", TEXTS)
    extract(path, **HASHED)
    return path


@pytest.mark.parametrize("more_bytes", [-(1 << 30), 0, 2 << 20], ids=["nothing", "no more", "2 MiB more"])
def test_a_full_disk_is_one_clear_error_and_the_next_run_goes_on(tmp_path, alone, more_bytes):
    path = write_catalogue(tmp_path / "s.duckdb", TEXTS)
    code, said = extracted(path, most_bytes=max(1024, path.stat().st_size + more_bytes))
    assert code == 1
    assert said == f"Error: {path} {FULL}\n"
    assert violations(path) == {}
    assert query(path, "SELECT finished_at FROM feature_sets") in ([], [(None,)])
    held = query(path, "SELECT count(*) FROM feature_rows")[0][0]
    assert held < N_ITEMS
    extract(path, **HASHED)
    assert tables(path) == tables(alone)
