"""A process of its own that decodes files for an encoder whose weights it never sees: a damaged file can end only this process.

The first line it reads is JSON with `encoder`, the plugin's name, and `preparation`, what its `preparer` needs to know; an empty line
is the answer, when it is ready. Every further line is a list of paths, each with the SHA-256 its file had when it was listed. For each
it answers a line of JSON: `type` and `shape` of an array whose bytes follow, or `status` and `reason` of a failure; and the `seconds` it
took. It ends when its input does, and takes no more memory and time for a file than `milkprep.decode.limits` allows.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import DecodeFailure, undecodable
from milkprep.decode.limits import bound_memory, bound_time
from milkprep.encoder import Preparer
from schemas import plugins

NO_MEMORY = "decoding it takes too much memory"
CHANGED = "the file was changed or removed while it was read"


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library may say goes elsewhere
    questions = sys.stdin.buffer
    named = json.loads(questions.readline())
    prepare: Preparer = plugins.load("milkprep.extractors", named["encoder"]).preparer(named["preparation"])
    bound_memory()
    answers.write(b"\n")
    answers.flush()
    while line := questions.readline():
        for path, sha256 in json.loads(line):
            _answer(answers, prepare, Path(path), sha256)


def _answer(answers: BinaryIO, prepare: Preparer, path: Path, sha256: str) -> None:
    started = time.perf_counter()
    bound_time()
    body = b""
    try:
        array = _prepared(prepare, path, sha256)
        said, body = {"type": array.dtype.str, "shape": array.shape}, array.tobytes()
    except DecodeFailure as failure:
        said = _refusal(failure)
    except MemoryError:
        said = _refusal(undecodable(NO_MEMORY))
    answers.write(json.dumps(said | {"seconds": time.perf_counter() - started}).encode() + b"\n")
    answers.write(body)
    answers.flush()
    bound_time(0)


def _prepared(prepare: Preparer, path: Path, sha256: str) -> NDArray[np.generic]:
    """A file as the encoder takes it: the very content that its vector will be kept under, or none.

    Raises:
        DecodeFailure: as the encoder's preparation does, or if the file is another one than was listed.
    """
    try:
        array = np.ascontiguousarray(prepare(path))
    except DecodeFailure as failure:
        raise undecodable(CHANGED) if _is_another(path, sha256) else failure from failure
    if _is_another(path, sha256):
        raise undecodable(CHANGED)
    return array


def _is_another(path: Path, sha256: str) -> bool:
    """Whether a file is no longer what it was; asked after decoding, so that no change in between goes unseen."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != sha256
    except OSError:
        return True


def _refusal(failure: DecodeFailure) -> dict[str, Any]:
    return {"status": failure.status.value, "reason": failure.reason}


if __name__ == "__main__":
    main()
