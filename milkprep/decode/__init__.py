"""Files to arrays: pictures to RGB, sound to mono samples, each within stated bounds of bytes, size and time.

A file that cannot be used raises `DecodeFailure`, which the extraction turns into a row and goes on. Content is
recognised by what it holds, never by its file name. Nothing here follows an address, runs a helper program or unpickles.
"""

import stat
from pathlib import Path

from schemas.contracts import AssetStatus, Modality

VIDEO_FRAMES = "video: frames are not read yet"
#: Matroska and WebM start with these bytes; MP4 and its kin have this word after a length, and then say which of them they are.
EBML, ISO_MEDIA = b"\x1a\x45\xdf\xa3", (b"ftyp", b"moov", b"mdat", b"wide", b"free")
#: Brands of that family that are pictures.
PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
#: Larger files are refused unread, in bytes.
MAX_FILE_BYTES = {Modality.VISUAL: 64 << 20, Modality.AUDIO: 1 << 30}


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


def is_video(path: Path) -> bool:
    """Whether a file starts as MP4, QuickTime, Matroska and WebM files do; False where it cannot be read."""
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return False
    return start.startswith(EBML) or (start[4:8] in ISO_MEDIA and start[8:12] not in PICTURE_BRANDS)


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
            if max_bytes == MAX_FILE_BYTES[Modality.VISUAL] and is_video(path):
                raise undecodable(VIDEO_FRAMES)
            raise undecodable(f"the file is larger than {max_bytes >> 20} MiB")
        return fingerprint.of_file(path)
    except FileNotFoundError as error:
        raise undecodable("there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise undecodable(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from error
