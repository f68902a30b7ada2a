"""Names for content: the same content has the same name on every machine, any change changes it.

All digests are SHA-256, written as 64 lower-case hex digits.
"""

import hashlib
import json
from pathlib import Path

import polars as pl

CHUNK_BYTES = 1 << 20
TEXT = (pl.String, pl.Enum, pl.Categorical)


def of_bytes(content: bytes) -> str:
    """Digest of a byte string.

    Example:
        >>> of_bytes(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def of_text(text: str) -> str:
    """Digest of a text's UTF-8 bytes."""
    return of_bytes(text.encode("utf-8", "surrogatepass"))


def of_file(path: Path) -> str:
    """Digest of a file's bytes, read in chunks of one MiB.

    Raises:
        OSError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def of_value(value: object) -> str:
    """Digest of a JSON-serialisable value; the order of dictionary keys does not matter.

    Example:
        >>> of_value({"a": 1, "b": 2}) == of_value({"b": 2, "a": 1})
        True
    """
    return of_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False))


def of_frame(frame: pl.DataFrame) -> str:
    """Digest of a frame's column names, types and values in row order.

    The caller sorts first: rows are part of the content. Works on integers, floats, booleans, strings and times;
    a missing value differs from every present one.

    Example:
        >>> of_frame(pl.DataFrame({"a": [1, 2]})) == of_frame(pl.DataFrame({"a": [2, 1]}))
        False
    """
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        kind = column.dtype
        assert kind.is_integer() or kind.is_float() or kind.is_temporal() or kind in (pl.Boolean, *TEXT), f"{name}: {kind}"
        digest.update(f"{name}:{kind}:{len(column)};".encode())
        digest.update(column.is_null().to_numpy().tobytes())
        if kind in TEXT:
            text = column.cast(pl.String).fill_null("")
            digest.update(text.str.len_bytes().cast(pl.UInt64).to_numpy().tobytes())
            digest.update("".join(text.to_list()).encode())
        else:
            physical = column.to_physical()
            digest.update(physical.fill_null(strategy="zero").to_numpy().tobytes())
    return digest.hexdigest()
