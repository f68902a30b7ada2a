"""The order in which a file comes to the disk, watched at the calls that make it so; nobody here pulls the plug."""

import errno
import os
from pathlib import Path

import pytest

from schemas import durable


@pytest.fixture
def calls(monkeypatch):
    """What is synced and renamed, in order; a file that is synced by the bytes it holds then."""
    seen: list[tuple[str, object]] = []
    really_synced, really_replaced = os.fsync, Path.replace

    def synced(handle):
        place = Path(f"/proc/self/fd/{handle}").resolve()
        seen.append(("sync", place.name if place.is_dir() else place.read_bytes()))
        really_synced(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", lambda path, target: seen.append(("rename", target.name)) or really_replaced(path, target))
    return seen


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_call_returns(tmp_path, calls):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.part").write_bytes(b"whole")
    durable.rename(folder / "a.part", folder / "a")
    assert calls == [("sync", b"whole"), ("rename", "a"), ("sync", "folder")]
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_a_disk_that_does_not_take_it_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "a.part").write_bytes(b"after")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        durable.rename(tmp_path / "a.part", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"before"


def test_nothing_stays_open(tmp_path):
    def n_open():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = n_open()
    for _ in range(3):
        durable.sync(tmp_path)
    assert n_open() == before
