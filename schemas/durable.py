"""Files that are still there after the power failed: their bytes, and the names by which their folders know them.

A write reaches the disk some time after it was made, and so does a rename, in any order; `sync` waits until it has.
"""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk.

    Args:
        path: of a file or a folder.

    Raises:
        OSError: if it is not there, or the disk does not take it, e.g. for it is full.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(partial: Path, target: Path) -> None:
    """Give a file that was written under another name its own, so that under that one it is whole or not there at all.

    Args:
        partial: the file, written and closed.
        target: its name, in the same folder; a file of that name is replaced.

    Raises:
        OSError: as `sync`; what was there under the name is left.
    """
    sync(partial)
    partial.replace(target)
    sync(target.parent)
