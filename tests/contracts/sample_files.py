"""What samples of sources are made of: files that can be shuffled or shortened, and how one source reads them."""

import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from milkprep.sources import PullReport
from schemas.reporting import Silent


@dataclass(frozen=True)
class Lines:
    """A file of lines, the first `header` of which stay where they are."""

    lines: tuple[bytes, ...]
    header: int = 0

    @property
    def data(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)

    def shuffled(self, seed: int) -> "Lines":
        rest = list(self.lines[self.header :])
        random.Random(seed).shuffle(rest)
        return Lines((*self.lines[: self.header], *rest), self.header)

    def without_last(self) -> "Lines":
        return Lines(self.lines[:-1], self.header)


@dataclass(frozen=True)
class Rows:
    """A Parquet file."""

    frame: pl.DataFrame

    @property
    def data(self) -> bytes:
        out = io.BytesIO()
        self.frame.write_parquet(out)
        return out.getvalue()

    def shuffled(self, seed: int) -> "Rows":
        return Rows(self.frame.sample(fraction=1, shuffle=True, seed=seed))

    def without_last(self) -> "Rows":
        return Rows(self.frame.head(-1))


@dataclass(frozen=True)
class JsonLists:
    """One JSON object of user -> items."""

    users: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def data(self) -> bytes:
        return json.dumps(dict(self.users)).encode()

    def shuffled(self, seed: int) -> "JsonLists":
        users = list(self.users)
        random.Random(seed).shuffle(users)
        return JsonLists(tuple(users))

    def without_last(self) -> "JsonLists":
        return JsonLists(self.users[:-1])


@dataclass(frozen=True)
class Fixed:
    """A file whose order means something, such as row = item."""

    data: bytes

    def shuffled(self, seed: int) -> "Fixed":
        return self


@dataclass(frozen=True)
class Sample:
    """One input of one source.

    Args:
        source: the plugin.
        files: what is read, by name within the folder.
        interactions: the one of them that holds these.
        taken: lines read and lines taken of each, by hand.
        pull: reads the folder into a store.
        media: other files beside them, with their own names for content.
        optional: files that are found by name, and how one may be missing: `gone`, or a `folder` in its place.
    """

    source: str
    files: Mapping[str, Any]
    interactions: str
    taken: Mapping[str, tuple[int, int]]
    pull: Callable[..., PullReport]
    media: tuple[str, ...] = ()
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, place: Path, **others: Any) -> Path:
        """Everything into a folder; files of `others`, by name, in place of its own."""
        contents = {name: file.data for name, file in {**self.files, **others.pop("files", {})}.items()}
        contents |= {name: name.encode() for name in self.media}
        for name, data in contents.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        return place

    def into(self, place: Path, store: Path, **options: Any) -> PullReport:
        """Pull a folder into a store."""
        return self.pull(place, store, reporter=Silent(), **options)


def npy(rows: list[Any], *, dtype: str = "float32") -> Fixed:
    """Rows as a .npy file."""
    out = io.BytesIO()
    np.save(out, np.array(rows, dtype=dtype))
    return Fixed(out.getvalue())


def texts(*lines: str, header: int = 0) -> Lines:
    """Lines of text."""
    return Lines(tuple(line.encode() for line in lines), header)
