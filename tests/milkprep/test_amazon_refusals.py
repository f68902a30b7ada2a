"""Wrong, broken and interrupted pulls: one clear error with the next step, and the store as it was before."""

import gzip
import json
import random

import pytest
from raw_files import metadata, pull_amazon, review, table, write_lines

from milkprep.pull import catalogue, lines
from milkprep.sources import amazon
from schemas.errors import BadValue, DataError, SourceError
from schemas.reporting import Silent
from schemas.store import Store

LITERAL_2014 = b"{'asin': '0001', 'title': 'A title', 'imUrl': 'http://e.org/a.jpg', 'categories': [['Toys']]}"
REVIEW_2014 = json.dumps({"reviewerID": "U1", "asin": "0001", "helpful": [0, 0], "overall": 5.0, "unixReviewTime": 1}).encode()
METADATA_2023 = json.dumps({"parent_asin": "I1", "title": "A", "images": [], "categories": []}).encode()
REVIEW_2023 = json.dumps({"parent_asin": "I1", "asin": "I1", "user_id": "U1", "rating": 5.0, "timestamp": 1_588_687_728_923}).encode()
GOOD_ITEMS, GOOD_REVIEWS = [metadata()], [review()]
MIXED_2014_2018 = (
    r"meta\.json\.gz looks like Amazon 2014 metadata, and .*reviews\.json\.gz like Amazon 2018 reviews: the two must be of one release\. "
    r"Name the metadata of 2018, or the reviews of 2014\."
)


@pytest.mark.parametrize(
    ("items", "reviews", "message"),
    [
        (GOOD_REVIEWS, GOOD_ITEMS, r"reviews\.json\.gz looks like Amazon 2018 metadata, not reviews.*may be swapped"),
        ([REVIEW_2014], [LITERAL_2014], r"reviews\.json\.gz looks like Amazon 2014 metadata, not reviews.*may be swapped"),
        ([REVIEW_2023], [METADATA_2023], r"reviews\.json\.gz looks like Amazon 2023 metadata, not reviews.*may be swapped"),
        (GOOD_REVIEWS, GOOD_REVIEWS, r"meta\.json\.gz looks like Amazon 2018 reviews, not Amazon 2018 metadata.*may be swapped"),
        ([LITERAL_2014] * 3, GOOD_REVIEWS, MIXED_2014_2018),
        ([json.dumps(eval(LITERAL_2014)).encode()], GOOD_REVIEWS, "looks like Amazon 2014 metadata"),
        (GOOD_ITEMS, [REVIEW_2014], "looks like Amazon 2018 metadata, and .* like Amazon 2014 reviews: the two must be of one release"),
        ([METADATA_2023], GOOD_REVIEWS, "looks like Amazon 2023 metadata"),
        (GOOD_ITEMS, [REVIEW_2023], "looks like Amazon 2018 metadata, and .* like Amazon 2023 reviews"),
        ([b"a,b,c", b"", b"1,2,3"], GOOD_REVIEWS, r"None of the first 2 lines of .*meta\.json\.gz is Amazon 2018 metadata; the first begins 'a,b,c'"),
        ([b""], GOOD_REVIEWS, "None of the first 0 lines"),
        (GOOD_ITEMS, [b"[" * 100_000], r"is Amazon reviews of a release that is known.*Name the right file with --reviews"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_looks_like_and_no_store_is_made(tmp_path, items, reviews, message):
    with pytest.raises(SourceError, match=message):
        pull_amazon(tmp_path, items, reviews)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["meta.json.gz", "reviews.json.gz"]


FILES = {2014: ([LITERAL_2014], [REVIEW_2014]), 2018: (GOOD_ITEMS, GOOD_REVIEWS), 2023: ([METADATA_2023], [REVIEW_2023])}


@pytest.mark.parametrize("said", FILES)
@pytest.mark.parametrize("release", FILES)
def test_a_wrong_release_is_named_as_such_and_the_right_one_is_recognised(tmp_path, release, said):
    if said == release:
        assert pull_amazon(tmp_path, *FILES[release]).source == f"amazon-{release}"
        assert not pull_amazon(tmp_path, *FILES[release], release=said).changed
        return
    with pytest.raises(SourceError, match=rf"looks like Amazon {release} metadata, not Amazon {said} metadata\. Say --release {release}"):
        pull_amazon(tmp_path, *FILES[release], release=said)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["meta.json.gz", "reviews.json.gz"]


@pytest.mark.parametrize("said", [None, *FILES])
def test_files_of_two_releases_are_both_named_whichever_release_is_asked_for(tmp_path, said):
    with pytest.raises(SourceError, match=MIXED_2014_2018):
        pull_amazon(tmp_path, FILES[2014][0], FILES[2018][1], release=said)


def test_what_a_file_is_shows_beyond_its_first_gzip_member(tmp_path):
    files = {name: tmp_path / f"{name}.gz" for name in ("metadata", "reviews")}
    for file, line in zip(files.values(), (metadata(), review()), strict=True):
        file.write_bytes(gzip.compress(b"\n") + gzip.compress(line + b"\n"))
    assert amazon.pull(tmp_path / "s.duckdb", **files, core=0, reporter=Silent()).n_interactions == 1


def test_a_few_odd_lines_do_not_hide_what_a_file_is(tmp_path):
    assert pull_amazon(tmp_path, [b"{", METADATA_2023, *GOOD_ITEMS], [b"", REVIEW_2014, *GOOD_REVIEWS]).n_items == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": "nowhere.json"}, r"There is no file .*nowhere\.json\. Check what --metadata names"),
        ({"reviews": "."}, r"is a folder\. --reviews needs one file"),
        ({"release": 2015}, r"--release 2015 is not read\. Known: 2014, 2018, 2023"),
        ({"reviews": None}, "no interactions without reviews.*--reviews"),
        ({"metadata": None, "keep_all_items": True}, "--keep-all-items keeps what the metadata lists"),
        ({"visual_features": "nowhere.b"}, r"There is no file .*nowhere\.b\. Check what --visual-features names"),
        ({"core": -1}, "--core -1 is below 0"),
        ({"media": "nowhere"}, r"There is no folder .*nowhere\. Check what --media names"),
        ({"media": "."}, "holds neither images/, audio/ nor video/"),
    ],
)
def test_flags_that_cannot_be_meant_are_usage_errors(tmp_path, change, message):
    options = {"metadata": write_lines(tmp_path / "m.json", GOOD_ITEMS), "reviews": write_lines(tmp_path / "r.json", GOOD_REVIEWS)}
    options |= {name: tmp_path / value if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(BadValue, match=message):
        amazon.pull(tmp_path / "s.duckdb", **options, reporter=Silent())
    assert not (tmp_path / "s.duckdb").exists()


@pytest.fixture
def many_reviews():
    """Enough that the file cannot be cut within its first chunk; no two lines compress alike."""
    generator = random.Random(0)
    return [review(f"U{n}", f"I{generator.randrange(50)}", reviewText=generator.randbytes(40).hex()) for n in range(3000)]


@pytest.mark.parametrize("existed", [False, True])
def test_gzip_cut_in_the_middle_leaves_the_store_as_it_was(tmp_path, monkeypatch, many_reviews, existed):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr(lines, "COMPRESSED_BYTES", 1 << 13)
    items, data = write_lines(tmp_path / "m.json.gz", GOOD_ITEMS), gzip.compress(b"\n".join(many_reviews))
    (tmp_path / "r.json.gz").write_bytes(data[: len(data) * 2 // 3])
    if existed:
        Store(tmp_path / "s.duckdb", mode="write").close()
    with pytest.raises(SourceError, match=r"r\.json\.gz is cut short: its gzip data ends somewhere after line \d{3,4}\."):
        amazon.pull(tmp_path / "s.duckdb", metadata=items, reviews=tmp_path / "r.json.gz", reporter=Silent())
    assert {file.name for file in tmp_path.iterdir()} == {"m.json.gz", "r.json.gz"} | ({"s.duckdb"} if existed else set())
    if existed:
        assert table(tmp_path, "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM rejects), (SELECT count(*) FROM pulls)") == [(0, 0, 0)]


class Killed(BaseException):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("existed", [False, True])
def test_a_pull_that_is_interrupted_while_writing_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch, existed):
    def killed(store):
        assert store.query("SELECT count(*) FROM interactions").item() == 1  # everything but the record of the pull is written
        raise Killed

    if existed:
        Store(tmp_path / "s.duckdb", mode="write").close()
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "catalogue_fingerprint", killed)
        with pytest.raises(Killed):
            pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS)
    assert (tmp_path / "s.duckdb").exists() == existed
    assert not (tmp_path / "s.duckdb.wal").exists()
    if existed:
        for name in ("users", "items", "interactions", "assets", "rejects", "pulls"):
            assert table(tmp_path, f"SELECT count(*) FROM {name}") == [(0,)]
    (tmp_path / "other").mkdir()
    pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS)
    pull_amazon(tmp_path / "other", GOOD_ITEMS, GOOD_REVIEWS)
    fingerprints = "SELECT catalogue_fingerprint, fingerprint FROM pulls"
    assert table(tmp_path, fingerprints) == table(tmp_path / "other", fingerprints)


def test_a_core_that_leaves_nothing_is_an_error_that_says_what_dropped_it(tmp_path):
    with pytest.raises(
        DataError, match=r"No interaction is left.*1 lines of reviews\.json\.gz dropped: the user or the item has too few.*Lower --core"
    ):
        pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS, core=2)
    assert not (tmp_path / "s.duckdb").exists()


def test_a_second_pull_of_the_same_content_changes_nothing(tmp_path):
    first = pull_amazon(tmp_path, GOOD_ITEMS, [*GOOD_REVIEWS, b"{"])
    before = (tmp_path / "s.duckdb").read_bytes()
    (tmp_path / "meta.json.gz").rename(tmp_path / "other name.json.gz")
    reviews = tmp_path / "reviews.json.gz"
    again = amazon.pull(tmp_path / "s.duckdb", metadata=tmp_path / "other name.json.gz", reviews=reviews, core=0, reporter=Silent())
    assert (first.changed, again.changed) == (True, False)
    assert (again.source, again.n_users, again.n_items, again.n_interactions) == ("amazon-2018", 1, 1, 1)
    assert again.steps.equals(first.steps)
    assert (tmp_path / "s.duckdb").read_bytes() == before


CHANGES = [
    ({"core": 1}, "core was 0 and is 1"),
    ({"keep_all_items": True}, "keep all items was off and is on"),
    ({"reviews": [*GOOD_REVIEWS, review("U2")]}, r"reviews\.json\.gz has other content"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_a_store_that_holds_another_pull_is_refused_and_kept(tmp_path, change, told):
    pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS)
    with pytest.raises(DataError, match=rf"already holds amazon-2018, of another pull: {told}.*--replace.*name another file with --store"):
        pull_amazon(tmp_path, GOOD_ITEMS, **{"reviews": GOOD_REVIEWS, **change})
    assert table(tmp_path, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM pulls)") == [(1, 1)]


def test_a_catalogue_that_no_pull_made_is_not_mixed_with_another(tmp_path):
    with Store(tmp_path / "s.duckdb", mode="write") as store:
        store.run("INSERT INTO users VALUES (0, 'anna')")
    with pytest.raises(DataError, match="already holds a catalogue that no pull made"):
        pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS)


@pytest.mark.parametrize("name", ["", "Gifts.json"])
def test_the_time_and_name_in_a_gzip_header_make_no_other_pull(tmp_path, name):
    pull_amazon(tmp_path, GOOD_ITEMS, GOOD_REVIEWS)
    files = {"metadata": tmp_path / "meta.json.gz", "reviews": tmp_path / "reviews.json.gz"}
    for file in files.values():
        content = gzip.decompress(file.read_bytes())
        with file.open("wb") as raw, gzip.GzipFile(name, "wb", mtime=1_700_000_000, fileobj=raw) as stream:
            stream.write(content)
    assert not amazon.pull(tmp_path / "s.duckdb", **files, core=0, reporter=Silent()).changed
