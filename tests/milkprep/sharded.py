"""Catalogues for tests of shards, and the three commands on them with encoders that need no weights."""

from pathlib import Path

import numpy as np
from media_samples import gradient, write_picture
from small_catalogue import write_catalogue

from milkprep.engine.shards import Shard
from milkprep.extract import extract
from milkprep.shards import MergeReport, ShardReport, extract_shard, merge_shards
from schemas.contracts import Modality
from schemas.reporting import Silent

ENCODERS = {Modality.TEXT: "hashed-ngrams", Modality.VISUAL: "colour-layout"}
N_ITEMS = 44


def whole(path: Path, modality: Modality, **options) -> None:
    """One extraction of everything."""
    extract(path, modality=modality, encoder=ENCODERS[modality], reporter=Silent(), workers=1, **options)


def part(path: Path, modality: Modality, text: str, **options) -> ShardReport:
    """One shard of it."""
    return extract_shard(path, modality=modality, shard=Shard.parse(text), encoder=ENCODERS[modality], reporter=Silent(), workers=1, **options)


def parts(path: Path, modality: Modality, n: int, **options) -> list[Path]:
    """All shards, the last one first; their folders in the order of their numbers."""
    return [part(path, modality, f"{number}/{n}", **options).folder for number in range(n, 0, -1)][::-1]


def merge(path: Path, *folders: Path, **options) -> MergeReport:
    """The shards of a store into it."""
    return merge_shards(path, folders, reporter=Silent(), **options)


def texts(folder: Path, name: str) -> Path:
    """Texts that are shared between pages, and items without one."""
    generator = np.random.default_rng(0)
    words = [" ".join(f"word{n}" for n in generator.integers(0, 50, generator.integers(1, 30))) for _ in range(N_ITEMS // 2)]
    return write_catalogue(folder / name, [(words[i % len(words)] if i % 7 else None, "?!" if i % 11 == 4 else None) for i in range(N_ITEMS)])


def pictures(folder: Path, name: str) -> Path:
    """Pictures that are shared between pages, several of an item, broken ones, shared broken ones, and ones that are not there."""
    files: dict[int, list[Path]] = {}
    for item in range(N_ITEMS):
        file = folder / f"{item}.png"
        if item % 5 == 3:
            file.write_bytes(b"no picture" if item % 2 else f"no picture {item}".encode())
        elif item % 9:
            write_picture(file, np.roll(gradient(), 3 * (item % 13), axis=1))
        files[item] = [file, folder / "1.png"] if item % 6 == 1 else [file]
    return write_catalogue(folder / name, [("a", None)] * N_ITEMS, files={Modality.VISUAL: files})


CATALOGUES = {Modality.TEXT: texts, Modality.VISUAL: pictures}
