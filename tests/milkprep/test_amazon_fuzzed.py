"""Ten thousand damaged lines a release: no crash, no line lost, and what is sound beside them is read as if they were not there."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_files import count, table, write_lines

from milkprep.pull import lines as lines_of_files
from milkprep.sources import PullReport, amazon
from schemas.contracts import RejectReason
from schemas.reporting import Silent
from schemas.store import Store

RELEASES = (2014, 2018, 2023)
DAMAGED, SOUND = 5_000, 500  # of each of the two files
#: What is put into a line, or in the place of one of its values.
PIECES = [
    b'"', b"'", b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\\ud800", b"\\x", b"\\N{BEL}", b"\0", b"\r", b"\t", b"\x1b", b"\x7f", b"\xff",
    b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"#", b"(", b"%s", b"__import__('os')", b"\xf0\x9f\x8e\x81",
]  # fmt: skip
VALUES = [
    b"null", b"None", b"true", b"True", b"NaN", b"-Infinity", b"1e999", b"-0", b"1" * 400, b"0x10", b"1_000", b"9223372036854775808", b"1.5", b"-1",
    b"[]", b"{}", b"[[]]", b'[""]', b"[null]", b'{"a": []}', b"''", b'""', b"b'x'", b"'a' 'b'", b"1+2j", b"[" * 3000, b"[" * 50 + b"]" * 50, b"17",
    b'[{"hi_res": 5}]', b'[{"large": "x", "hi_res": null}, null]', b'["a", ["b"]]', b'" "', b'"\\u0000"', b"253402300800", b"999999999999999",
]  # fmt: skip


def flip(line: bytes, generator: np.random.Generator) -> bytes:
    data = bytearray(line)
    for at in generator.integers(len(data), size=generator.integers(1, 4)).tolist():
        data[at] ^= 1 << int(generator.integers(8))
    return bytes(data)


def cut(line: bytes, generator: np.random.Generator) -> bytes:
    return line[: generator.integers(len(line))]


def put_in(line: bytes, generator: np.random.Generator) -> bytes:
    at = int(generator.integers(len(line) + 1))
    return line[:at] + PIECES[generator.integers(len(PIECES))] + line[at:]


def take_out(line: bytes, generator: np.random.Generator) -> bytes:
    start = int(generator.integers(len(line)))
    return line[:start] + line[start + int(generator.integers(1, 30)) :]


def repeat(line: bytes, generator: np.random.Generator) -> bytes:
    start, end = sorted(generator.integers(len(line), size=2).tolist())
    return line[:end] + line[start:]


def another_value(line: bytes, generator: np.random.Generator) -> bytes:
    """Another value in the place of one, so that most often the line still parses."""
    colons = [at for at in range(len(line)) if line[at : at + 2] == b": "]
    if not colons:
        return VALUES[generator.integers(len(VALUES))]
    start = colons[generator.integers(len(colons))] + 2
    ends = [at for at in (line.find(b", ", start), line.rfind(b"}")) if at > start]
    return line[:start] + VALUES[generator.integers(len(VALUES))] + line[min(ends, default=len(line)) :]


WAYS: list[Callable[[bytes, np.random.Generator], bytes]] = [flip, cut, put_in, take_out, repeat, another_value, another_value]


def damaged(line: bytes, generator: np.random.Generator) -> bytes:
    """One line, whatever happened to it."""
    for _ in range(generator.integers(1, 3)):
        line = WAYS[generator.integers(len(WAYS))](line, generator) or b"{"
    return line.replace(b"\n", b" ")


def item(release: int, key: str) -> bytes:
    """A line of metadata that has everything."""
    text = f'It\'s \u00e9 {key} &amp; "more"\tthan that'
    if release == 2014:
        fields = {
            "asin": key,
            "title": text,
            "description": text,
            "brand": "B",
            "categories": [["Toys", "A"], ["Toys"]],
            "imUrl": "http://e.org/a.jpg",
        }
        return repr(fields | {"price": 1.5, "salesRank": {"Toys": 3}, "related": {"also_bought": ["X1", "X2"]}}).encode()
    if release == 2018:
        fields = {
            "asin": key,
            "title": text,
            "description": [text, ""],
            "brand": "B",
            "category": ["Toys"],
            "imageURLHighRes": ["http://e.org/a.jpg"],
        }
        return json.dumps(fields | {"imageURL": [], "rank": "1 in Toys", "feature": []}, ensure_ascii=False).encode()
    pictures = [{"thumb": "http://e.org/t.jpg", "large": None, "variant": "MAIN", "hi_res": "http://e.org/a.jpg"}]
    fields = {"parent_asin": key, "title": text, "description": [text], "store": "B", "categories": ["Toys"], "images": pictures, "price": None}
    return json.dumps(fields | {"main_category": "Toys", "features": [], "details": {}}, ensure_ascii=False).encode()


def review(release: int, user: str, key: str) -> bytes:
    """A line of reviews."""
    if release == 2023:
        fields = {"rating": 5.0, "text": "caf\u00e9 \\", "asin": key, "parent_asin": key, "user_id": user, "timestamp": 1_588_687_728_923}
    else:
        fields = {"reviewerID": user, "asin": key, "overall": 5.0, "reviewText": "caf\u00e9 \\", "unixReviewTime": 1_393_545_600}
    return json.dumps(fields | ({"helpful": [0, 1]} if release == 2014 else {"verified": True}), ensure_ascii=False).encode()


def mixed(sound: list[bytes], others: list[bytes], generator: np.random.Generator) -> list[bytes]:
    """Both in one file, the sound ones anywhere but in their order; one of them begins, so that the file is known for what it is."""
    place = np.sort(generator.choice(len(others), size=len(sound) - 1))
    return [sound[0], *np.insert(np.array(others, dtype=object), place, np.array(sound[1:], dtype=object)).tolist()]


def pull(folder: Path, release: int, items: list[bytes], reviews: list[bytes], *, store: str) -> PullReport:
    files = {"metadata": write_lines(folder / "meta.json", items), "reviews": write_lines(folder / "reviews.json", reviews)}
    return amazon.pull(folder / store, release=release, **files, core=0, keep_all_items=True, reporter=Silent())


def sound_rows(folder: Path, store: str) -> list[list[tuple[object, ...]]]:
    """What the store holds of the lines that nobody damaged: their keys are SOUND and a number."""
    known = "regexp_full_match(item_key, 'SOUND[0-9]+')"
    return [
        table(folder, f"SELECT item_key, title, description, brand, categories FROM items WHERE {known} ORDER BY 1", store=store),
        table(
            folder,
            f"SELECT item_key, modality, position, location, status, reason FROM assets JOIN items USING (item_idx) WHERE {known} ORDER BY ALL",
            store=store,
        ),
        table(
            folder,
            "SELECT user_key, item_key, rating, timestamp FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx) "
            "WHERE starts_with(user_key, 'SOUND') ORDER BY ALL",
            store=store,
        ),
    ]


def check_nothing_is_lost(folder: Path, report: PullReport, n_lines: dict[str, int], *, store: str) -> None:
    rejected = table(folder, "SELECT source, line, reason, detail FROM rejects", store=store)
    for file, n in n_lines.items():
        refused = [line for source, line, *_ in rejected if source == file]
        assert len(set(refused)) == len(refused)
        assert set(refused) <= set(range(1, n + 1))
        assert (count(report, file, "read"), count(report, file, "taken")) == (n, n - len(refused))
    assert {reason for _, _, reason, _ in rejected} <= set(RejectReason)
    assert all(detail for *_, detail in rejected)
    with Store(folder / store, mode="read") as opened:
        assert [rule for rule, rows in opened.violations().items() if rows.height] == []


@pytest.mark.parametrize("release", RELEASES)
def test_ten_thousand_damaged_lines_leave_the_sound_ones_as_they_are(tmp_path, monkeypatch, release):
    generator = np.random.default_rng(release)
    items, reviews = [item(release, f"SOUND{n}") for n in range(SOUND)], [review(release, f"SOUND{n}", f"SOUND{n}") for n in range(SOUND)]
    pull(tmp_path, release, items, reviews, store="sound.duckdb")
    broken_items = [damaged(item(release, f"d{n}"), generator) for n in range(DAMAGED)]
    broken_reviews = [damaged(review(release, f"d{n}", f"d{n % 700}"), generator) for n in range(DAMAGED)]
    files = mixed(items, broken_items, generator), mixed(reviews, broken_reviews, generator)
    report = pull(tmp_path, release, *files, store="mixed.duckdb")
    assert sound_rows(tmp_path, "mixed.duckdb") == sound_rows(tmp_path, "sound.duckdb")
    n_lines = {"meta.json": len(files[0]), "reviews.json": len(files[1])}
    assert n_lines == {"meta.json": SOUND + DAMAGED, "reviews.json": SOUND + DAMAGED}
    check_nothing_is_lost(tmp_path, report, n_lines, store="mixed.duckdb")
    for file in n_lines:  # the damage is neither harmless nor total
        assert 0.2 < (count(report, file, "read") - count(report, file, "taken")) / DAMAGED < 0.95
    monkeypatch.setattr(lines_of_files, "CHUNK_BYTES", 2_000)  # other neighbours for every line
    pull(tmp_path, release, *files, store="again.duckdb")
    for sql in ("SELECT catalogue_fingerprint FROM pulls", "SELECT source, line, reason, detail FROM rejects ORDER BY ALL"):
        assert table(tmp_path, sql, store="again.duckdb") == table(tmp_path, sql, store="mixed.duckdb")


@pytest.mark.parametrize("zero", [b"-0", b"-0.0", b"0"])
def test_no_rating_is_minus_zero_whichever_way_it_is_read(tmp_path, zero):
    reviews = [review(2018, f"U{n}", "I").replace(b"5.0", zero) for n in range(2)]
    for store, others in (("alone.duckdb", []), ("beside.duckdb", [b"{"])):
        pull(tmp_path, 2018, [item(2018, "I")], [*reviews, *others], store=store)
    assert table(tmp_path, "SELECT DISTINCT rating::VARCHAR FROM interactions", store="alone.duckdb") == [("0.0",)]
    assert table(tmp_path, "SELECT DISTINCT rating::VARCHAR FROM interactions", store="beside.duckdb") == [("0.0",)]


@pytest.mark.parametrize("release", RELEASES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
def test_a_few_damaged_lines_are_each_taken_or_refused(tmp_path_factory, release, seed, n):
    folder, generator = tmp_path_factory.mktemp("fuzzed"), np.random.default_rng(seed)
    items = [item(release, "SOUND0"), *(damaged(item(release, f"d{at}"), generator) for at in range(n))]
    reviews = [review(release, "SOUND0", "SOUND0"), *(damaged(review(release, f"d{at}", "d0"), generator) for at in range(n))]
    report = pull(folder, release, items, reviews, store="s.duckdb")
    check_nothing_is_lost(folder, report, {"meta.json": n + 1, "reviews.json": n + 1}, store="s.duckdb")
