"""Containers of sound and moving pictures: which are opened, which of them are videos, and which broke off.

Only files are opened, and of those only containers that hold their content themselves: a playlist names other files and addresses.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

#: Containers that hold sound or moving pictures themselves; playlists, which name other files and addresses, are not among them.
CONTAINERS = "wav,w64,aiff,au,caf,mp3,flac,ogg,aac,ac3,eac3,mov,mp4,m4a,matroska,webm,asf,avi,mpegts,mpeg,amr,wv,ape,flv"
#: A file with less than this share of its stated length was cut short.
COMPLETE_SHARE = 0.9
#: Matroska and WebM start with these bytes; MP4 and its kin have one of these words after a length, and then say which of them they are.
EBML, ISO_MEDIA = b"\x1a\x45\xdf\xa3", (b"ftyp", b"moov", b"mdat", b"wide", b"free")
#: Brands of that family that are pictures, and that are sound.
PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
#: ASF (wmv, wma): what it starts with, what its first object holds where there is a video track, and how much of it is looked at.
ASF, ASF_VIDEO, ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b"), 1 << 16
#: MPEG program streams, and FLV, whose fifth byte says what is in it: 4 is sound alone.
PROGRAM_STREAM, FLV, FLV_SOUND, FLV_KINDS = b"\0\0\1\xba", b"FLV\1", 4, 5
#: Transport streams: packets that start with this byte, of one of these lengths (with a time before them: from the fifth byte on).
SYNC, PACKET, TIMED_PACKET, PACKETS_LOOKED_AT = 0x47, 188, 192, 4
#: Parts of a file looked at for its length, and names of those of MP4.
MAX_PARTS = 1 << 16
ISO_BOXES = (*ISO_MEDIA, b"skip", b"moof", b"mfra", b"styp", b"sidx", b"ssix", b"uuid", b"meta", b"pdin", b"emsg", b"prft")


def container_options() -> dict[str, str]:
    """What FFmpeg is told before it opens a file: follow nothing, and take nothing for a container that names other files."""
    return {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


def is_video(path: Path) -> bool:
    """Whether a file starts as containers of moving pictures do; False where it cannot be read.

    Some of these can hold sound alone, which only their tracks tell.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(PACKETS_LOOKED_AT * TIMED_PACKET)
            if start.startswith(ASF):
                return ASF_VIDEO in start + stream.read(ASF_HEADER)
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return False
    if start[4:8] in ISO_MEDIA:
        return start[8:12] not in PICTURE_BRANDS + SOUND_BRANDS
    if start.startswith(FLV):
        return len(start) > len(FLV) and start[len(FLV)] & FLV_KINDS != FLV_SOUND
    return start.startswith((EBML, PROGRAM_STREAM)) or (start[:4] == b"RIFF" and start[8:12] == b"AVI ") or _is_transport_stream(start)


def named_format(path: Path) -> str | None:
    """FFmpeg's name of a format that it recognises less surely than the ending of a file's name; None where it needs no help.

    Args:
        path: an ordinary file.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(PACKETS_LOOKED_AT * TIMED_PACKET)
    return "mpeg" if start.startswith(PROGRAM_STREAM) else "mpegts" if _is_transport_stream(start) else None


def is_cut_short(path: Path) -> bool:
    """Whether a container that states its bytes (MP4, Matroska, AVI, ASF) has fewer than `COMPLETE_SHARE` of them.

    Args:
        path: an ordinary file.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(len(ASF))
        file.seek(0)
        if start[4:8] in ISO_MEDIA:
            stated = _end_of_parts(file, _iso_box)
        elif start.startswith(EBML):
            stated = _end_of_segment(file)
        elif start[:4] == b"RIFF":
            stated = _end_of_parts(file, _riff_chunk)
        elif start == ASF:
            stated = _end_of_parts(file, _asf_object)
        else:
            return False
        return os.fstat(file.fileno()).st_size < COMPLETE_SHARE * stated


def _is_transport_stream(start: bytes) -> bool:
    for length in (PACKET, TIMED_PACKET):
        marks = start[length - PACKET :: length]
        if len(marks) == PACKETS_LOOKED_AT + (length == PACKET) and set(marks) == {SYNC}:
            return True
    return False


def _end_of_parts(file: BinaryIO, length_of: Callable[[bytes], int]) -> int:
    """Where the last part ends by its own statement; a length of 0 ends the walk, as the file's end does."""
    at, size = 0, os.fstat(file.fileno()).st_size
    for _ in range(MAX_PARTS):
        if at >= size:
            break
        file.seek(at)
        length = length_of(file.read(24))
        if not length:
            break
        at += length
    return at


def _iso_box(head: bytes) -> int:
    if head[4:8] not in ISO_BOXES:
        return 0  # the end, or something glued on
    length = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if length == 1 else length  # 0: up to the end, wherever that is


def _riff_chunk(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "little")
    return 8 + length + length % 2 if head[:4] == b"RIFF" and 0 < length < 0xFFFFFFFF else 0


def _asf_object(head: bytes) -> int:
    return int.from_bytes(head[16:24], "little") if len(head) == 24 else 0


def _end_of_segment(file: BinaryIO) -> int:
    """Where a Matroska file's segment ends; 0 where it was recorded live and its length unknown (RFC 8794, section 6.2)."""
    file.seek(len(EBML))
    head = _number(file)
    if head is None:
        return 0
    file.seek(head, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _number(file)
    return 0 if length is None else file.tell() + length


def _number(file: BinaryIO) -> int | None:
    """A number whose first byte tells how many bytes it has; None where it stands for unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    n_more = 8 - first[0].bit_length()
    most = (1 << 7 * (n_more + 1)) - 1
    number = int.from_bytes(first + file.read(n_more), "big") & most
    return None if number == most else number
