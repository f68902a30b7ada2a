"""A process of its own that decodes files and keeps them, because a damaged one can end the process that decodes it.

Each question is a line of JSON on its standard input - `content` (a path, or null where as many `bytes` as stated follow the line)
and `place` - and each answer a line on its standard output: null where the content can be decoded and lies in its place; else its
status and the reason in words; or `{"errno": ..., "file": ...}` where the disk refused. Ends when its input does.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from milkprep.decode import DecodeFailure, undecodable
from schemas.contracts import Modality

ANSWERS = 1


def main(modality: Modality, incoming: Path) -> None:
    """Answer until there are no more questions."""
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        try:
            answer: object = _kept(question, sys.stdin.buffer, modality, incoming / f"{os.getpid()}")
        except OSError as error:
            answer = {"errno": error.errno, "file": error.filename or str(incoming)}
        os.write(ANSWERS, json.dumps(answer).encode() + b"\n")


def _kept(question: dict[str, Any], body: BinaryIO, modality: Modality, mine: Path) -> list[str] | None:
    """Give a content its place if it can be decoded; else its status and the reason in words."""
    place, n_bytes = Path(question["place"]), question["bytes"]
    block = body.read(n_bytes) if question["content"] is None else None
    arrived = mine if block is not None else Path(question["content"])
    try:
        if place.stat().st_size == n_bytes:
            return None  # it was decoded before it was put there
    except FileNotFoundError:
        place.parent.mkdir(exist_ok=True)
    if block is not None:
        arrived.write_bytes(block)
    failure = inspect(arrived, modality)
    if failure is not None:
        return [failure.status.value, failure.reason]
    arrived.replace(place)
    return None


def inspect(path: Path, modality: Modality) -> DecodeFailure | None:
    """Decode a file, and keep nothing of it.

    Args:
        path: an ordinary file.
        modality: visual or audio.

    Returns:
        Why it cannot be decoded, or None where it can.
    """
    try:
        if not path.stat().st_size:
            raise undecodable("the file is empty")
        if modality is Modality.VISUAL:
            from milkprep.decode.image import read_image

            read_image(path)
        else:
            from milkprep.decode.audio import read_sound

            read_sound(path)
    except DecodeFailure as failure:
        return failure
    return None


if __name__ == "__main__":
    main(Modality(sys.argv[1]), Path(sys.argv[2]))
