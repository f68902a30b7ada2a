"""A process of its own that decodes files and keeps them, because a damaged one can end the process that decodes it.

It reads batches: a line with their number, and as many questions. A question is a line of JSON - `content` (a path, or null where
as many `bytes` as stated follow the line) and `place`. The answer to a batch is one line, a list: null for a content that can be
decoded and lies in its place; else its status and the reason in words; or `{"errno": ..., "file": ...}` where the disk refused.
It ends when its input does, and takes no more memory and time for a content than `milkprep.decode.limits` allows.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from milkprep.decode import DecodeFailure, undecodable
from milkprep.decode.limits import bound_memory, bound_time
from schemas.contracts import Modality

ANSWERS = 1


def main(modality: Modality, incoming: Path) -> None:
    """Answer until there are no more questions."""
    bound_memory()
    questions = sys.stdin.buffer
    mine = incoming / f"{os.getpid()}"
    while number := questions.readline():
        answers = [_answer(questions, modality, mine) for _ in range(int(number))]
        os.write(ANSWERS, json.dumps(answers).encode() + b"\n")


def _answer(questions: BinaryIO, modality: Modality, mine: Path) -> object:
    question = json.loads(questions.readline())
    block = questions.read(question["bytes"]) if question["content"] is None else None
    bound_time()
    try:
        return _kept(question, block, modality, mine)
    except OSError as error:
        return {"errno": error.errno, "file": error.filename or str(mine)}
    finally:
        bound_time(0)


def _kept(question: dict[str, Any], block: bytes | None, modality: Modality, mine: Path) -> list[str] | None:
    """Give a content its place if it can be decoded; else its status and the reason in words."""
    place, n_bytes = Path(question["place"]), question["bytes"]
    arrived = mine if block is not None else Path(question["content"])
    try:
        if place.stat().st_size == n_bytes:
            failure = inspect(place, modality)  # it may have been put there for another modality
            return None if failure is None else [failure.status.value, failure.reason]
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
            from milkprep.decode.pictures import refuse_undecodable

            refuse_undecodable(path)
        else:
            from milkprep.decode.audio import read_sound

            read_sound(path)
    except DecodeFailure as failure:
        return failure
    return None


if __name__ == "__main__":
    main(Modality(sys.argv[1]), Path(sys.argv[2]))
