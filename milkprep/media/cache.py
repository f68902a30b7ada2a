"""Where fetched content is kept: one file a content, named by its digest, complete or not there.

`<cache>/<first two digits>/<sha256>.<kind>`; what arrives lies in a folder of the run's own until it was decoded.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

#: What a file starts with, at which byte, and how it is called then. Names are for people: content is recognised by decoders.
STARTS = (
    (0, b"\xff\xd8\xff", "jpg"), (0, b"\x89PNG", "png"), (0, b"GIF8", "gif"), (8, b"WEBP", "webp"), (8, b"WAVE", "wav"), (0, b"BM", "bmp"),
    (0, b"II*\0", "tif"), (0, b"MM\0*", "tif"), (8, b"avif", "avif"), (4, b"ftypM4A", "m4a"), (4, b"ftyp", "mp4"), (0, b"\0\0\1\0", "ico"),
    (0, b"ID3", "mp3"), (0, b"\xff\xfb", "mp3"), (0, b"\xff\xf3", "mp3"), (0, b"\xff\xf1", "aac"), (0, b"fLaC", "flac"), (0, b"OggS", "ogg"),
    (0, b"\x1a\x45\xdf\xa3", "mkv"), (8, b"AIFF", "aiff"),
)  # fmt: skip
START_BYTES = 16
INCOMING = "incoming-"


class Cache:
    """A folder of contents.

    Args:
        folder: made where it is missing, with a folder of this process for what arrives; such folders of processes that are no
            more are removed.

    Raises:
        OSError: if it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_left()
        self.incoming = self.folder / f"{INCOMING}{os.getpid()}"
        self.incoming.mkdir(exist_ok=True)

    def place(self, sha256: str, start: bytes) -> Path:
        """Where a content belongs, whether or not it is there; a decoding process puts it there."""
        return self.folder / sha256[:2] / f"{sha256}.{kind(start)}"

    def close(self) -> None:
        """Remove what arrived and was not kept."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        self._remove_left()
        with suppress(OSError):
            self.folder.rmdir()  # where nothing was ever kept

    def _remove_left(self) -> None:
        """Remove folders of dead runs; again at the end, because a decoder outlives a run that was killed by a moment."""
        for left in self.folder.glob(f"{INCOMING}*"):
            if not _runs(left.name.removeprefix(INCOMING)):
                shutil.rmtree(left, ignore_errors=True)


def kind(start: bytes) -> str:
    """A name's ending for a content, by its first bytes; `bin` where they say nothing."""
    return next((name for at, mark, name in STARTS if start[at:].startswith(mark)), "bin")


def _runs(process: str) -> bool:
    """Whether a process is alive, as far as this one may know."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
