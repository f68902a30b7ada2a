"""Work that one process may do at a time: a lock on a file, which a process that ends in whatever way lets go of.

The lock is the system's own (flock), so that what a killed process leaves behind is a name and blocks nobody.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import DataError


@contextmanager
def held(file: Path, *, what: str, instead: str, remove: bool = False, wait: bool = False) -> Iterator[None]:
    """Have what a file stands for to this process alone, while the block lasts.

    Args:
        file: made where there is none; holds the number of the process, for those that are refused.
        what: it stands for, in words.
        instead: what those that are refused can do, a sentence.
        remove: whether the file goes when the block ends.
        wait: whether to wait until it is let go of instead of being refused.

    Raises:
        DataError: if another process has it, or this one has it already, and one does not wait.
        OSError: if the file cannot be made.
    """
    handle = _take(file, what=what, instead=instead, wait=wait)
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        if remove:
            file.unlink(missing_ok=True)
        os.close(handle)


def _take(file: Path, *, what: str, instead: str, wait: bool) -> int:
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(handle, file):
                return handle
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace")
            os.close(handle)
            raise DataError(f"Another process works on {what}{f' (process {holder})' if holder else ''}. {instead}") from error
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # whoever had it took the name away between our opening and our locking: try the file that has it now


def _is_named(handle: int, file: Path) -> bool:
    try:
        named = file.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), named)
