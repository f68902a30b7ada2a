"""Files to arrays: pictures and frames of videos to RGB, sound to mono samples, each within stated bounds of bytes, size and time.

A file that cannot be used raises `DecodeFailure`, which the extraction turns into a row and goes on. Content is
recognised by what it holds, never by its file name. Nothing here follows an address, runs a helper program or unpickles.
"""

import stat
from pathlib import Path

from schemas.contracts import AssetStatus, Modality

#: Larger files are refused unread, in bytes. What is seen may be a video; of pictures, `image` takes only smaller ones.
MAX_FILE_BYTES = {Modality.VISUAL: 1 << 30, Modality.AUDIO: 1 << 30}


class DecodeFailure(Exception):
    """One piece of content that cannot be embedded: the status its asset gets, and why in words.

    The reason names no file, so that equal reasons can be counted together.
    """

    def __init__(self, status: AssetStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def undecodable(reason: str) -> DecodeFailure:
    """The failure of a file that holds nothing readable."""
    return DecodeFailure(AssetStatus.DECODE_ERROR, reason)


def digest(path: Path, *, max_bytes: int) -> str:
    """SHA-256 of a file, once it is known to be an ordinary file of a bearable size.

    Args:
        path: any path; pipes, devices and folders are refused rather than read.
        max_bytes: larger files are refused unread.

    Returns:
        64 hex digits.

    Raises:
        DecodeFailure: if there is no such ordinary file, it is empty, too large, or cannot be read.
    """
    from schemas import fingerprint  # which knows tables, too; the processes that only decode start faster without

    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise undecodable("not an ordinary file")
        if found.st_size == 0:
            raise undecodable("the file is empty")
        if found.st_size > max_bytes:
            raise undecodable(f"the file is larger than {max_bytes >> 20} MiB")
        return fingerprint.of_file(path)
    except FileNotFoundError as error:
        raise undecodable("there is no such file") from error
    except OSError as error:
        raise undecodable(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise undecodable("the file cannot be read: its name holds a null character") from error
