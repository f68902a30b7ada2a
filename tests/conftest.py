"""Fixtures shared by all tests."""

import os
from pathlib import Path

import hypothesis
import pytest

from schemas.store import Store

# A machine that is busy with other things is no mistake of what is tested.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# Two test processes on two cores: torch must not start a thread a core in each. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of public research data, named by MILK_TEST_DATA/data.

    Unset: the test is skipped and says so. Set to a place that is not there: the test fails.
    """
    named = os.environ.get("MILK_TEST_DATA")
    if not named:
        pytest.skip("real data: set MILK_TEST_DATA to the folder that holds data/ and golden/")
    folder = Path(named).resolve() / "data"
    assert folder.is_dir(), f"MILK_TEST_DATA is set, but {folder} is not there"
    return folder


@pytest.fixture
def store(tmp_path: Path):
    """An empty store, open for writing."""
    with Store(tmp_path / "test.duckdb", mode="write") as opened:
        yield opened
