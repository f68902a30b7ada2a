"""Ten thousand mutated lines of each Amazon release: each is taken or refused, and sound ones among them are read as if alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_files import count, pull_amazon, table, write_lines

from milkprep.pull import items, pairs
from milkprep.pull.lines import block_of
from milkprep.pull.parallel_blocks import rows_of
from milkprep.pull.staging import LineShape, RawFile, stage_lines
from milkprep.sources import amazon
from schemas.contracts import RejectReason
from schemas.reporting import Silent
from schemas.store import Store

#: Of each of the two files of a release.
N_MUTATED, N_SOUND = 5_000, 300
#: Of these, lines that are each given as a block.
N_BY_BLOCK = 800
SEED = 2014_2018_2023

TEXTS = ["Plain", "Don't", "Both ' and \"", "A\nb &amp; \\", "Grüße 日本語", "<b>bold</b> 5 < 6", "\u2028 \u00a0", "", "x" * 3000]
VALUES: list[Any] = [
    None, True, 0, -1, 2**63, 2**70, -(2**64), 1.5, 1e308, 5e-324, "", " ", "text", "\x00", [], {}, [[]], [None], ["a", None, ["b"]],
    {"a": {"b": [1]}}, [1, "a"], "1500000000", 253_402_300_800, 253_402_300_800_000, "\ud800",
]  # fmt: skip
PIECES = [
    b"'", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"{}", b'"""', b"\\u0000", b"\\ud800", b"\\N{BULLET}", b"\\x", b"\\", b"\x00", b"\x01\x1f",
    b"\x7f", b"\r", b"\r\r", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"9" * 400, b"1e999",
    b"-0", b"0x1F", b"1_000", b"NaN", b"-Infinity", b"None", b"null", b"True", b"u'a'", b"b'a'", b"/*", b"#", b"[" * 5_000, b'{"a":' * 3_000,
    b"(" * 2_000, b"-" * 3_000, b"'a' 'b'", b"f'{1}'", b"__import__('os')", b" " * 50, b"\t",
]  # fmt: skip


def item(release: int, key: str, n: int) -> dict[str, Any]:
    """A record of metadata."""
    text = TEXTS[n % len(TEXTS)]
    if release == 2014:
        return {"asin": key, "title": text, "description": text, "price": 1.5, "imUrl": f"http://e.org/{n}.jpg", "categories": [["A", text], ["B"]],
                "related": {"also_bought": ["X"]}, "salesRank": {"Toys": n}}  # fmt: skip
    if release == 2018:
        return {"category": ["A", text], "description": [text, ""], "title": text, "brand": text, "imageURL": [f"http://e.org/{n}._SS40_.jpg"],
                "imageURLHighRes": [f"http://e.org/{n}.jpg"] if n % 2 else [], "asin": key, "details": {"Size": "1"}}  # fmt: skip
    return {"main_category": None, "title": text, "description": [text], "price": None, "store": text, "categories": ["A", None],
            "images": [{"thumb": "t", "large": f"http://e.org/{n}.jpg", "hi_res": None}], "details": {"Brand": "B"}, "parent_asin": key}  # fmt: skip


def review(release: int, key: str, n: int) -> dict[str, Any]:
    """A record of reviews; users are few, so that some have many."""
    text, user = TEXTS[n % len(TEXTS)], f"{key[:4]}-user-{n % 50}"
    if release == 2023:
        return {
            "rating": float(n % 6),
            "title": text,
            "text": text,
            "asin": "V",
            "parent_asin": key,
            "user_id": user,
            "timestamp": 1_588_687_728_923 + n,
        }
    more = {"helpful": [0, 1]} if release == 2014 else {"verified": True}
    return {"reviewerID": user, "asin": key, "reviewText": text, "overall": float(n % 6), "unixReviewTime": 1_393_545_600 + n, **more}


def written(record: dict[str, Any], *, literal: bool) -> bytes:
    text = repr(record) if literal else json.dumps(record, ensure_ascii=len(record) % 2 == 0)
    return text.encode("utf-8", "backslashreplace").replace(b"\n", b" ")


def swapped(record: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """One value is of another type."""
    name = list(record)[random.integers(len(record))]
    return record | {name: VALUES[random.integers(len(VALUES))]}


def repeated_key(record: dict[str, Any], random: np.random.Generator, *, literal: bool) -> bytes:
    """One key is there twice, the second time perhaps with another value."""
    line, other = written(record, literal=literal), written(swapped(record, random), literal=literal)
    return line[:-1] + b", " + other[1:]


def damaged(line: bytes, random: np.random.Generator) -> bytes:
    """Bytes are changed, put in, taken out, repeated, or the rest is missing."""
    for _ in range(random.integers(1, 4)):
        at, until = sorted(random.integers(len(line) + 1, size=2).tolist())
        match random.integers(6):
            case 0:
                line = line[:at] + random.bytes(1) + line[at + 1 :]
            case 1:
                line = line[:at] + random.bytes(int(random.integers(4))) + line[at:]
            case 2:
                line = line[:at]
            case 3:
                line = line[:at] + line[min(until, at + 20) :]
            case 4:
                line = line[:until] + line[at:]
            case _:
                line = line[:at] + PIECES[random.integers(len(PIECES))] + line[at:]
    return line


def mutated(record: dict[str, Any], random: np.random.Generator, *, literal: bool) -> bytes:
    kind = random.integers(8)
    line = written(swapped(record, random) if kind < 3 else record, literal=literal)
    if kind == 0:
        line = repeated_key(record, random, literal=literal)
    return (damaged(line, random) if kind > 1 else line).replace(b"\n", b" ")


@dataclass(frozen=True)
class Kind:
    """One of the two files of a release."""

    release: int
    record: Callable[[int, str, int], dict[str, Any]]

    @property
    def literal(self) -> bool:
        return self.release == 2014 and self.record is item

    @property
    def shape(self) -> LineShape[Any]:
        release = amazon.RELEASES[self.release]
        return release.metadata_shape(wanted=None) if self.record is item else release.reviews_shape

    def sound(self) -> list[bytes]:
        return [written(self.record(self.release, f"sound-{n}", n), literal=self.literal) for n in range(N_SOUND)]

    def mutated(self, n_lines: int) -> list[bytes]:
        random = np.random.default_rng([SEED, self.release, self.record is item])
        return [mutated(self.record(self.release, f"odd-{n % 700}", n), random, literal=self.literal) for n in range(n_lines)]

    def among(self) -> list[bytes]:
        """Sound lines, in their order, with mutated ones between them."""
        lines = [*self.sound(), *self.mutated(N_MUTATED)]
        order = np.random.default_rng([SEED, 1]).permutation(len(lines))
        order[order < N_SOUND] = range(N_SOUND)
        return [lines[at] for at in order]


KINDS = [Kind(release, record) for release in amazon.RELEASES for record in (item, review)]


def kept(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """What a store holds of the sound lines."""
    of_items = "SELECT item_key, title, description, brand, categories, in_metadata, modality, position, location, content_sha256, status, reason"
    of_pairs = 'SELECT user_key, item_key, rating, "timestamp" FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx)'
    return {
        "items": table(folder, f"{of_items} FROM items LEFT JOIN assets USING (item_idx) WHERE item_key LIKE 'sound-%' ORDER BY ALL"),
        "pairs": table(folder, f"{of_pairs} WHERE item_key LIKE 'sound-%' AND user_key LIKE 'soun-user-%' ORDER BY ALL"),
    }


@pytest.mark.parametrize("release", amazon.RELEASES)
def test_every_mutated_line_is_taken_or_refused_and_sound_ones_are_read_as_if_alone(tmp_path, release):
    (tmp_path / "alone").mkdir()
    metadata, reviews = Kind(release, item), Kind(release, review)
    pull_amazon(tmp_path / "alone", metadata.sound(), reviews.sound(), release=release, keep_all_items=True)
    report = pull_amazon(tmp_path, metadata.among(), reviews.among(), release=release, keep_all_items=True)
    assert kept(tmp_path) == kept(tmp_path / "alone")
    assert {name: len(rows) > N_SOUND - 1 for name, rows in kept(tmp_path).items()} == {"items": True, "pairs": True}
    n_described = table(tmp_path, "SELECT count(*) FROM items WHERE in_metadata")[0][0]
    for file, n_taken in (("meta.json.gz", n_described), ("reviews.json.gz", report.n_interactions)):
        refused = table(tmp_path, f"SELECT line, reason, detail FROM rejects WHERE source = '{file}' ORDER BY line")
        assert (count(report, file, "read"), count(report, file, "taken")) == (N_MUTATED + N_SOUND, n_taken)
        assert len({line for line, _, _ in refused}) == len(refused) == N_MUTATED + N_SOUND - n_taken
        assert all(1 <= line <= N_MUTATED + N_SOUND and RejectReason(reason) and detail for line, reason, detail in refused)
        assert n_taken > N_SOUND + 100  # the mutation leaves some lines sound enough
        assert {"malformed", "not_utf8", "wrong_type"} <= {reason for _, reason, _ in refused}
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert {rule for rule, rows in store.violations().items() if rows.height} == set()


@pytest.fixture(scope="module")
def memory():
    """A store that examples share; temporary tables are made anew by each."""
    with Store(":memory:", mode="write") as store:
        yield store


def staged(store: Store, shape: LineShape[Any], file: Path) -> tuple[pl.DataFrame, dict[int, tuple[str, str]]]:
    """Rows of a file by line, and its refused lines with why."""
    items.create_tables(store)
    pairs.create_tables(store)
    n_lines = stage_lines(store, RawFile(file, "f"), shape, reporter=Silent())
    rows = store.query(f"SELECT * FROM {shape.table} ORDER BY line")
    refused = {line: (reason, detail) for line, reason, detail in store.query("SELECT line, reason, detail FROM staged_rejects").rows()}
    assert sorted([*rows["line"], *refused]) == list(range(1, n_lines + 1))
    return rows, refused


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.record.__name__} {kind.release}")
def test_what_is_read_by_the_block_is_what_is_read_line_by_line(memory, tmp_path, kind):
    lines = kind.among()
    rows, refused = staged(memory, kind.shape, write_lines(tmp_path / "f", lines))
    by_line, refused_by_line = staged(memory, replace(kind.shape, block=None), tmp_path / "f")
    assert rows.join(by_line, on="line", how="semi").equals(by_line)
    assert refused.items() <= refused_by_line.items()
    if kind.shape.block:
        blocks = [rows_of(block_of(line, number=number), kind.shape.block) for number, line in enumerate(lines[:N_BY_BLOCK], 1)]
        by_block = pl.concat([block for block in blocks if block is not None])
        assert by_block.height > N_BY_BLOCK / 10
        assert rows.join(by_block, on="line", how="semi").select(by_block.columns).equals(by_block)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.record.__name__} {kind.release}")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_put_into_a_line_it_is_read_the_same_alone_as_among_others(memory, tmp_path, kind, data):
    lines = data.draw(st.lists(st.sampled_from(kind.sound()[: 2 * len(TEXTS)]), min_size=1, max_size=4))
    at, odd = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.one_of(st.binary(max_size=6), st.sampled_from(PIECES)))
    # Never the first byte: a file that begins like an archive is refused as a whole.
    where, n_gone = data.draw(st.integers(1, len(lines[at]))), data.draw(st.integers(0, 5))
    lines[at] = (lines[at][:where] + odd + lines[at][where + n_gone :]).replace(b"\n", b" ")
    rows, refused = staged(memory, kind.shape, write_lines(tmp_path / "f", lines))
    for number, line in enumerate(lines, 1):
        row, refused_alone = staged(memory, kind.shape, write_lines(tmp_path / "f", [line]))
        assert row.drop("line").equals(rows.filter(pl.col("line") == number).drop("line"))
        assert list(refused_alone.values()) == [why for at, why in refused.items() if at == number]
