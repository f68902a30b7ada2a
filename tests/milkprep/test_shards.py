"""Shards of an extraction: merged, they leave the very tables that one run would have left."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, tables, violations, write_catalogue

from milkprep.encoder import EncoderOptions
from milkprep.engine import content, shards
from milkprep.engine.shards import Manifest, Shard
from milkprep.extract import extract
from milkprep.shards import MergeReport, ShardReport, extract_shard, merge_shards
from schemas.contracts import Modality
from schemas.errors import BadValue, DataError, Stale
from schemas.reporting import Silent
from schemas.store import Store

ENCODERS = {Modality.TEXT: "hashed-ngrams", Modality.VISUAL: "colour-layout"}
N_ITEMS = 44


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    for modality in Modality:
        monkeypatch.setitem(content.PAGE_ITEMS, modality, 8)


def whole(path: Path, modality: Modality, **options) -> None:
    extract(path, modality=modality, encoder=ENCODERS[modality], reporter=Silent(), **options)


def part(path: Path, modality: Modality, text: str, **options) -> ShardReport:
    return extract_shard(path, modality=modality, shard=Shard.parse(text), encoder=ENCODERS[modality], reporter=Silent(), **options)


def merge(path: Path, *folders: Path, **options) -> MergeReport:
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


@pytest.mark.parametrize("n", [1, 2, 3, 9])
@pytest.mark.parametrize("modality", CATALOGUES)
def test_shards_that_are_merged_leave_what_one_run_leaves(tmp_path, modality, n):
    alone, shared = CATALOGUES[modality](tmp_path, "alone.duckdb"), CATALOGUES[modality](tmp_path, "shared.duckdb")
    whole(alone, modality)
    before = shared.read_bytes()
    for number in reversed(range(1, n + 1)):
        assert part(shared, modality, f"{number}/{n}").finished
    assert shared.read_bytes() == before
    report = merge(shared)
    assert (report.n_shards, report.result.is_shown) == (n, True)
    assert tables(shared) == tables(alone)
    assert violations(shared) == {}
    again = merge(shared)
    assert again.n_assets_now == 0
    assert tables(shared) == tables(alone)
