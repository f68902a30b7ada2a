"""What lies where a store is to be opened; promises that nothing but a DuckDB file, or nothing, is handed to DuckDB.

It also knows which files this process has open: whoever opens one of them a second time, and be it to look at its first bytes, lets go
of the system's lock when he closes it, and other processes may write.
"""

import os
import threading
from collections import Counter
from pathlib import Path

from schemas.errors import StoreError

#: What a DuckDB file holds at which byte.
MAGIC, MAGIC_AT = b"DUCK", 8


def check_store_file(path: Path, *, may_be_absent: bool) -> None:
    """Refuse what DuckDB would take for something else, e.g. a CSV file as a table in memory.

    Args:
        path: of the store.
        may_be_absent: whether it is to be made where it is not there.

    Raises:
        StoreError: if it is absent, its folder is, or it is another kind of file.
    """
    if not path.exists():
        if not may_be_absent:
            raise StoreError(f"There is no store at {path}. Make one with `python cli.py pull`, or name yours with --store.")
        if not path.absolute().parent.is_dir():
            raise StoreError(f"The folder {path.absolute().parent} of the store does not exist. Create it, or name another file with --store.")
        return
    if not path.is_file():
        raise StoreError(f"{path} is no file, so no store. Name another file with --store.")
    with path.open("rb") as stream:
        start = stream.read(len(MAGIC) + MAGIC_AT)
    if start and start[MAGIC_AT:] != MAGIC:
        raise StoreError(f"{path} is not a store but another kind of file. Name another file with --store.")


class OpenFiles:
    """Which files this process has open, and how often.

    Whoever opens one holds `one_at_a_time` from looking here until it is added.
    """

    def __init__(self) -> None:
        """None yet."""
        self.one_at_a_time = threading.Lock()
        self._lock, self._times = threading.Lock(), Counter[Path]()

    def __contains__(self, path: Path) -> bool:
        """Whether it is open."""
        return self._times[self.known_as(path)] > 0

    def add(self, path: Path) -> None:
        """It is opened."""
        with self._lock:
            self._times[self.known_as(path)] += 1

    def remove(self, path: Path) -> None:
        """It is closed, as often as it was opened."""
        with self._lock:
            self._times[self.known_as(path)] -= 1

    @staticmethod
    def known_as(path: Path) -> Path:
        """What a file is called whatever links lead to it, and from whichever folder."""
        return Path(os.path.realpath(path))  # which has an answer for links in a circle, where Path.resolve has none
