"""Pictures: any common format to RGB, the way a viewer would show it.

The size in the header is checked before a pixel is decoded. EXIF orientation is applied; transparency is laid on white;
of an animation the first frame is taken; CMYK, grey and palette become RGB; 16-bit grey is scaled to 8 bits. Colour
profiles are ignored, as the published vision encoders do.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.decode.containers import is_video

if TYPE_CHECKING:
    from PIL.Image import Image

#: More pixels than this are refused from the header alone.
MAX_PIXELS = 64_000_000
TOO_MANY_PIXELS = f"the picture has more than {MAX_PIXELS // 1_000_000} million pixels"
#: Larger files are refused unread, in bytes.
MAX_PICTURE_BYTES = 64 << 20
#: Formats that decode inside Pillow; others (EPS, for one) would start a helper program.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "ICO")
ORIENTATION_TAG = 0x0112
#: What Pillow raises on malformed files, format by format.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, struct.error, zlib.error)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode a picture.

    Args:
        path: an ordinary file; its ending does not matter.

    Returns:
        (H, W, 3) uint8 RGB, contiguous, H * W <= MAX_PIXELS.

    Raises:
        DecodeFailure: if it is no picture, cut short, or too large.
    """
    with _opened(path) as picture:
        return np.ascontiguousarray(_upright_rgb(picture))


def refuse_undecodable(path: Path) -> None:
    """Decode a picture as `read_image` does, and keep nothing of it.

    Args:
        path: an ordinary file; its ending does not matter.

    Raises:
        DecodeFailure: if it is no picture, cut short, or too large.
    """
    with _opened(path) as picture:
        picture.seek(0)
        picture.load()
        _refuse_unranged(picture)


@contextmanager
def _opened(path: Path) -> Iterator["Image"]:
    """A picture of bearable size; what goes wrong with it becomes a `DecodeFailure`."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        # Pillow warns about odd metadata and about sizes above its own limit; what matters is refused below.
        warnings.simplefilter("ignore")
        try:
            if path.stat().st_size > MAX_PICTURE_BYTES:
                raise undecodable(f"the picture's file is larger than {MAX_PICTURE_BYTES >> 20} MiB")
            Image.init()
            with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as picture:
                _refuse_huge(picture.size)
                yield picture
        except UnidentifiedImageError as error:
            raise undecodable("a video, and no picture" if is_video(path) else "not a picture of a known format") from error
        except Image.DecompressionBombError as error:  # beyond Pillow's own limit, which is higher
            raise undecodable(TOO_MANY_PIXELS) from error
        except MemoryError as error:
            raise undecodable("the picture takes too much memory to decode") from error
        except BROKEN as error:
            raise undecodable("the picture is broken or cut short") from error


def _refuse_huge(size: tuple[int, int]) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise undecodable("the picture has no pixels")
    if width * height > MAX_PIXELS:
        raise undecodable(TOO_MANY_PIXELS)


def _upright_rgb(picture: "Image") -> NDArray[np.uint8]:
    orientation = _orientation(picture)
    picture.seek(0)
    picture.load()
    return _turned(_rgb(picture), orientation)


def _orientation(picture: "Image") -> int:
    """EXIF orientation, 1 .. 8; a broken EXIF block is no reason to lose the picture."""
    try:
        found = picture.getexif().get(ORIENTATION_TAG, 1)
    except BROKEN:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo a camera's orientation (EXIF 2.32, table of tag 0x0112): 5 to 8 swap rows and columns first."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


def _rgb(picture: "Image") -> NDArray[np.uint8]:
    from PIL import Image

    if picture.mode.startswith("I"):
        grey = np.clip(np.asarray(picture).astype(np.int64), 0, 65535)  # (H, W) 16 bits; Pillow itself would clip at 255
        return np.repeat((grey // 257).astype(np.uint8)[:, :, None], 3, axis=2)
    _refuse_unranged(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        ground = Image.new("RGBA", opaque.size, "white")
        return np.asarray(Image.alpha_composite(ground, opaque))[:, :, :3]
    return np.asarray(picture.convert("RGB"))


def _refuse_unranged(picture: "Image") -> None:
    if picture.mode == "F":
        raise undecodable("a picture of floating-point numbers has no stated range")
