"""Lines of Amazon files that cannot be taken: each is a reject with its reason, none is lost, and order does not matter."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_files import count, metadata, pull_amazon, rejects, review, table, write_lines

from milkprep.pull import items, pairs, staging
from milkprep.pull import lines as lines_of_files
from milkprep.pull.staging import RawFile, stage_lines
from milkprep.sources import _amazon_2018
from schemas.contracts import RejectReason
from schemas.errors import SourceError
from schemas.reporting import Silent
from schemas.store import Store

BAD_LINES = [
    (b"", "malformed", "blank line"),
    (b" \t\r", "malformed", "blank line"),
    (b'{"asin": "I1", "reviewerID": "U1"', "malformed", "Input data was truncated"),
    (b'{"asin": "I1"} {"asin": "I2"}', "malformed", "trailing characters"),
    (b'{"x": ' + b"[" * 100_000, "malformed", "nested too deeply"),
    (b'{"asin": "\\ud800", "reviewerID": "U1"}', "malformed", ""),
    (b'{"asin": "I1", "reviewerID": "U1", "reviewText": "caf\xe9"}', "not_utf8", "byte 54 is not UTF-8"),
    (b'["asin", "I1"]', "wrong_type", "Expected `object`, got `array`"),
    (b'{"asin": 17, "reviewerID": "U1"}', "wrong_type", "got `int` - at `$.asin`"),
    (review(overall="5"), "wrong_type", "$.overall"),
    (review(overall=6), "wrong_type", "$.overall"),
    (review(unixReviewTime=1_529_193_600_000), "wrong_type", "$.unixReviewTime"),
    (review(unixReviewTime=1.5), "wrong_type", "$.unixReviewTime"),
    (review(item=""), "missing_key", "no asin"),
    (review(user=None), "missing_key", "no reviewerID"),
    (b'{"asin": "I1"}', "missing_key", "no reviewerID"),
]


@pytest.fixture(scope="module")
def memory():
    """A store that examples of one test share; temporary tables are made anew by each."""
    with Store(":memory:", mode="write") as store:
        yield store


def test_each_bad_line_has_its_reason_its_number_and_the_start_of_its_text(tmp_path):
    lines = [line for line, _, _ in BAD_LINES]
    report = pull_amazon(tmp_path, [metadata()], [review(), *lines, review("U2")])
    found = table(tmp_path, "SELECT line, reason, detail, text_start FROM rejects ORDER BY line")
    assert [(line, reason) for line, reason, _, _ in found] == [(at, reason) for at, (_, reason, _) in enumerate(BAD_LINES, 2)]
    for (line, _, expected), (_, _, detail, start) in zip(BAD_LINES, found, strict=True):
        assert expected in detail
        assert start == line.decode("utf-8", "replace")[:120]
    assert report.n_interactions == 2
    assert count(report, "reviews.json.gz", "read") == len(BAD_LINES) + 2


def test_a_line_is_taken_or_refused_whatever_its_neighbours_are(tmp_path):
    odd = review("U1", vote=float("nan"))  # no JSON, but in a field nobody reads
    for at, neighbours in enumerate(([review("U2")], [review("U2"), b"{"])):
        (tmp_path / str(at)).mkdir()
        pull_amazon(tmp_path / str(at), [metadata()], [odd, *neighbours])
    assert rejects(tmp_path / "0") == []
    assert rejects(tmp_path / "1") == [(3, "malformed")]


@pytest.mark.parametrize("zero", [b"-0", b"-0.0", b"0"])
def test_no_rating_is_minus_zero_whichever_way_its_line_is_read(tmp_path, zero):
    reviews = [review(f"U{n}").replace(b"5.0", zero) for n in range(2)]
    for name, others in (("alone.duckdb", []), ("beside.duckdb", [b"{"])):
        pull_amazon(tmp_path, [metadata()], [*reviews, *others], store=name)
        assert table(tmp_path, "SELECT DISTINCT rating::VARCHAR FROM interactions", store=name) == [("0.0",)]


def test_equal_lines_are_known_as_copies_wherever_they_were_read(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_of_files, "CHUNK_BYTES", 400)
    reviews = [review(f"U{n}") for n in range(20)]
    pull_amazon(tmp_path, [metadata()], [*reviews, b"{", *reviews])
    assert rejects(tmp_path) == [(21, "malformed"), *((22 + n, "duplicate_line") for n in range(20))]


def test_a_file_whose_lines_are_nearly_all_refused_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "HOPELESS_LINES", 1000)
    with pytest.raises(SourceError, match=r"Of the first 1,\d\d\d lines of .*reviews.json.gz 1,\d\d\d are refused.*because: blank line"):
        pull_amazon(tmp_path, [metadata()], [review(), *[b""] * 1500])


def test_a_line_beyond_the_limit_is_refused_and_the_next_one_is_taken(tmp_path):
    report = pull_amazon(tmp_path, [metadata(title="x" * (17 << 20)), metadata("I2")], [review(), review("U1", "I2")])
    found = table(tmp_path, "SELECT line, reason, length(text_start) FROM rejects")
    assert found == [(1, "line_too_long", 120)]
    assert count(report, "meta.json.gz", "not_in_metadata") == 1


def test_metadata_lines_have_their_own_reasons(tmp_path):
    lines = [
        metadata(title=["a"]),
        metadata(description={"a": 1}),
        metadata(asin=None),
        metadata(category=[None, "Toys"], description=None, title=None),
    ]
    pull_amazon(tmp_path, [*lines[:3], metadata("I1", category=[None, "Toys"], description=None, title=None)], [review()])
    assert rejects(tmp_path) == [(1, "wrong_type"), (2, "wrong_type"), (3, "missing_key")]
    assert table(tmp_path, "SELECT title, description, categories FROM items") == [(None, None, ["Toys"])]


@st.composite
def mutated(draw, bases):
    """A line that was good before something happened to it."""
    line = bytearray(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        piece = draw(st.binary(max_size=4))
        line[at : at + draw(st.integers(0, 6))] = piece
    return bytes(line).replace(b"\n", b" ")


REVIEWS = [review(f"U{u}", f"I{i}", seconds=100 * u + i) for u in range(4) for i in range(4)]
ITEMS = [metadata(f"I{i}", title=title) for i in range(6) for title in ("Plain", "<span class=x>", "Caf\u00e9 &amp; Bar")]
NO_REASON_TO_LOSE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(NO_REASON_TO_LOSE, max_examples=120)
@given(lines=st.lists(mutated(REVIEWS), max_size=12))
def test_each_line_is_a_row_or_a_reject_whatever_happened_to_it(memory, tmp_path, lines):
    items.create_tables(memory)
    pairs.create_tables(memory)
    file = write_lines(tmp_path / "reviews.json", [REVIEWS[0], *lines])
    n_lines = stage_lines(memory, RawFile(file, "r"), _amazon_2018.REVIEWS, reporter=Silent())
    numbers = memory.query("SELECT line FROM raw_pairs UNION ALL SELECT line FROM staged_rejects ORDER BY line")["line"].to_list()
    assert numbers == list(range(1, len(lines) + 2))
    assert n_lines == len(lines) + 1


@settings(NO_REASON_TO_LOSE, max_examples=10)
@given(
    bad_items=st.lists(mutated(ITEMS), max_size=30), bad_reviews=st.lists(mutated(REVIEWS), max_size=40), core=st.integers(0, 2), keep=st.booleans()
)
def test_lines_read_are_lines_taken_plus_rejects_of_each_file(tmp_path, bad_items, bad_reviews, core, keep):
    (tmp_path / "s.duckdb").unlink(missing_ok=True)
    good = [review(f"V{u}", f"I{i}") for u in range(3) for i in range(3)]
    report = pull_amazon(tmp_path, [ITEMS[0], *bad_items], [*good, *bad_reviews], core=core, keep_all_items=keep)
    assert len(rejects(tmp_path, "reviews.json.gz")) + report.n_interactions == len(good) + len(bad_reviews)
    n_described = table(tmp_path, "SELECT count(*) FROM items WHERE in_metadata")[0][0]
    assert len(rejects(tmp_path, "meta.json.gz")) + n_described == 1 + len(bad_items)
    for file, taken in (("reviews.json.gz", report.n_interactions), ("meta.json.gz", n_described)):
        assert count(report, file, "taken") == taken
        assert len({line for line, _ in rejects(tmp_path, file)}) == len(rejects(tmp_path, file))
    known = {reason.value for reason in RejectReason}
    assert {reason for _, reason in rejects(tmp_path)} <= known


def test_the_order_of_lines_does_not_matter(tmp_path):
    reviews = [review(f"U{n * n % 13}", f"I{n * 7 % 11}", seconds=1000 + n, rating=float(n % 5)) for n in range(120)] + [b"{", review(item="")]
    lines = [metadata(f"I{i}", title=f"Title {i}", image=[f"a{i}", "b"]) for i in range(14)]
    contents = []
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        generator = random.Random(seed)
        pull_amazon(folder, generator.sample(lines, len(lines)), generator.sample(reviews, len(reviews)), core=3)
        tables = [
            "SELECT * FROM users",
            "SELECT * FROM items",
            "SELECT * FROM interactions",
            "SELECT * FROM assets",
            "SELECT catalogue_fingerprint FROM pulls",
        ]
        contents.append([table(folder, sql) for sql in tables])
    assert contents[0][2]
    assert all(other == contents[0] for other in contents[1:])
