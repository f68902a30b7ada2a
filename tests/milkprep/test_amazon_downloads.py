"""`pull amazon --category`: what is not named is downloaded, once, from a local server in place of the release's own."""

import gzip

import pytest
from local_server import Page, serve
from raw_files import metadata, review, table, write_lines

from milkprep.sources import _amazon_addresses, amazon
from schemas.errors import BadValue, SourceError
from schemas.reporting import Silent

PAGES = {
    "/v2/metaFiles2/meta_Gift_Cards.json.gz": Page(gzip.compress(metadata() + b"\n"), etag='"m"'),
    "/v2/categoryFilesSmall/Gift_Cards_5.json.gz": Page(gzip.compress(review() + b"\n"), etag='"r"'),
}


def pull(folder, server, **options):
    options = {"release": 2018, "category": "Gift_Cards", "mirror": server.address("/v2/")} | options
    return amazon.pull(folder / "s.duckdb", **options, core=0, reporter=Silent())


def test_both_files_are_downloaded_once_and_lie_beside_the_store(tmp_path):
    with serve(PAGES) as server:
        assert pull(tmp_path, server).changed
        assert not pull(tmp_path, server).changed
        assert sorted(server.asked) == sorted(PAGES)
    assert table(tmp_path, "SELECT item_key, title FROM items") == [("I1", "Item I1")]
    files = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "s.duckdb.raw").rglob("*") if path.is_file())
    assert files == ["s.duckdb.raw/2018/Gift_Cards_5.json.gz", "s.duckdb.raw/2018/meta_Gift_Cards.json.gz"]


def test_a_file_that_is_named_is_not_downloaded_and_the_folder_is_a_choice(tmp_path):
    own = write_lines(tmp_path / "own.json", [metadata(title="My own")])
    with serve(PAGES) as server:
        pull(tmp_path, server, metadata=own, download_to=tmp_path / "raw")
        assert server.asked == ["/v2/categoryFilesSmall/Gift_Cards_5.json.gz"]
    assert table(tmp_path, "SELECT title FROM items") == [("My own",)]
    assert not (tmp_path / "s.duckdb.raw").exists()


def test_a_category_that_is_not_there_is_an_error_that_names_its_address(tmp_path):
    with serve(PAGES) as server, pytest.raises(SourceError, match=r"meta_Toys\.json\.gz could not be fetched.*404"):
        pull(tmp_path, server, category="Toys")
    assert list(tmp_path.iterdir()) == []  # neither a store nor a folder of downloads


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"release": None}, "--category Gift_Cards is in several releases. Say which with --release: 2014, 2018, 2023"),
        ({"category": "../../etc/passwd"}, "names no category"),
        ({"category": "Gift Cards"}, "names no category"),
        ({"category": "Gift_Cards\n"}, "names no category"),
        ({"category": ""}, "names no category"),
        ({"mirror": "file:///etc"}, "is no http or https address"),
        ({"mirror": "http://e.org/?x="}, "is no http or https address"),
    ],
)
def test_what_cannot_be_meant_asks_nobody(tmp_path, change, message):
    with serve(PAGES) as server, pytest.raises(BadValue, match=message):
        pull(tmp_path, server, **change)
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_downloaded_for_a_store_in_no_folder(tmp_path):
    with serve(PAGES) as server, pytest.raises(BadValue, match=r"There is no folder .*nowhere.*--store"):
        pull(tmp_path / "nowhere", server)
    assert server.asked == []


def test_addresses_are_those_that_the_releases_publish():
    assert _amazon_addresses.addresses(2014, "Baby") == (
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/meta_Baby.json.gz",
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/reviews_Baby_5.json.gz",
    )
    assert _amazon_addresses.addresses(2018, "Gift_Cards") == (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/metaFiles2/meta_Gift_Cards.json.gz",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall/Gift_Cards_5.json.gz",
    )
    assert _amazon_addresses.addresses(2023, "All_Beauty") == (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/meta_categories/meta_All_Beauty.jsonl.gz",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/review_categories/All_Beauty.jsonl.gz",
    )
    assert set(_amazon_addresses.PUBLISHED) == set(amazon.RELEASES)
