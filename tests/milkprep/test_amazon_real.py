"""`pull amazon` on real files: gift cards of 2018 in both schemas, a sample of 2014; counts from an independent reading of the files."""

import ast
import gzip
import html
import json

import pytest
from raw_files import count, rejects, table

from milkprep.sources import amazon
from milkprep.sources._python_literals import to_json
from schemas.errors import SourceError
from schemas.reporting import Silent
from schemas.store import Store

SCHEMAS = ("v1", "v2")


def pull(folder, real_data, schema, **options):
    """The gift cards in a store of this folder."""
    files = real_data / "amazon2018_gift_cards"
    return amazon.pull(
        folder / "s.duckdb",
        metadata=files / f"meta_Gift_Cards.{schema}.json.gz",
        reviews=files / "Gift_Cards_5.json.gz",
        reporter=Silent(),
        **options,
    )


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("core", "expected"), [(0, (458, 148, 2965)), (5, (453, 147, 2941))])
def test_users_items_and_pairs_are_those_counted_by_hand(tmp_path, real_data, schema, core, expected):
    report = pull(tmp_path, real_data, schema, core=core)
    assert (report.n_users, report.n_items, report.n_interactions) == expected
    assert len(rejects(tmp_path, "Gift_Cards_5.json.gz")) + expected[2] == count(report, "Gift_Cards_5.json.gz", "read") == 2972
    assert len(rejects(tmp_path, f"meta_Gift_Cards.{schema}.json.gz")) + expected[1] == 1547
    assert count(report, "Gift_Cards_5.json.gz", "duplicate_pair") == 7
    assert not pull(tmp_path, real_data, schema, core=core).changed


@pytest.mark.parametrize("schema", SCHEMAS)
def test_all_items_have_a_title_and_say_why_they_have_no_picture(tmp_path, real_data, schema):
    assert pull(tmp_path, real_data, schema, keep_all_items=True).n_items == 1547
    found = table(tmp_path, "SELECT visual, text_reason, visual_reason, count(*) FROM modality_availability GROUP BY ALL ORDER BY ALL")
    assert found == [
        (False, "not extracted yet", "address not fetched", 660),
        (False, "not extracted yet", "no picture address in the metadata", 887),
    ]
    assert table(tmp_path, "SELECT count(title), count(*) - count(description) FROM items") == [(1547, 742)]
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []


def test_the_kept_pair_is_the_earliest_of_the_raw_file(tmp_path, real_data):
    with gzip.open(real_data / "amazon2018_gift_cards" / "Gift_Cards_5.json.gz") as stream:
        reviews = [json.loads(line) for line in stream]
    earliest: dict[tuple[str, str], int] = {}
    for line in reviews:
        pair = line["reviewerID"], line["asin"]
        earliest[pair] = min(earliest.get(pair, line["unixReviewTime"]), line["unixReviewTime"])
    pull(tmp_path, real_data, "v2", core=0)
    sql = 'SELECT user_key, item_key, epoch("timestamp")::BIGINT FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx)'
    assert {(user, item): seconds for user, item, seconds in table(tmp_path, sql)} == earliest


def test_both_schemas_give_the_same_catalogue_but_for_the_size_of_pictures(tmp_path, real_data):
    contents = []
    for schema in SCHEMAS:
        (tmp_path / schema).mkdir()
        pull(tmp_path / schema, real_data, schema, keep_all_items=True)
        tables = ["SELECT * FROM users", "SELECT * FROM interactions", "SELECT * FROM items"]
        contents.append([table(tmp_path / schema, sql) for sql in [*tables, "SELECT item_idx, modality, position, status, reason FROM assets"]])
    assert contents[0] == contents[1]


@pytest.fixture
def musical(real_data):
    """Files of the 2014 sample, and their lines as the standard library reads them."""
    files = {"metadata": real_data / "amazon2014_musical" / "meta_top100.json", "reviews": real_data / "amazon2014_musical" / "reviews_top100.json"}
    items = [ast.literal_eval(line) for line in files["metadata"].read_text("utf-8").splitlines()]
    reviews = [json.loads(line) for line in files["reviews"].read_text("utf-8").splitlines()]
    return files, items, reviews


def test_the_2014_sample_is_recognised_and_counts_are_those_of_its_lines(tmp_path, musical):
    files, items, reviews = musical
    report = amazon.pull(tmp_path / "s.duckdb", **files, core=0, keep_all_items=True, reporter=Silent())
    assert report.source == "amazon-2014"
    keys = {item["asin"] for item in items}
    reviewed = {review["asin"] for review in reviews}
    pairs = {(review["reviewerID"], review["asin"]) for review in reviews}
    assert (len(items), len(reviews)) == (100, 100)
    assert (report.n_users, report.n_items, report.n_interactions) == (len({user for user, _ in pairs}), len(keys | reviewed), len(pairs))
    assert rejects(tmp_path, "meta_top100.json") == []
    assert count(report, "meta_top100.json", "not_in_metadata") == len(reviewed - keys)
    assert not amazon.pull(tmp_path / "s.duckdb", **files, core=0, keep_all_items=True, release=2014, reporter=Silent()).changed


def test_items_of_the_2014_sample_have_what_their_lines_say(tmp_path, musical):
    files, items, _ = musical
    amazon.pull(tmp_path / "s.duckdb", **files, core=0, keep_all_items=True, reporter=Silent())
    found = table(tmp_path, "SELECT item_key, title, description, brand, categories FROM items WHERE in_metadata ORDER BY item_key")
    flat = {item["asin"]: list(dict.fromkeys(html.unescape(name) for path in item["categories"] for name in path)) for item in items}
    assert {key: categories for key, _, _, _, categories in found} == flat
    texts = {key: (title, description, brand) for key, title, description, brand, _ in found}
    n_plain = 0
    for item in items:
        title, description, brand = texts[item["asin"]]
        assert (title is None, brand is None) == (not item.get("title"), not item.get("brand"))
        raw = html.unescape(item.get("description", ""))
        if "<" not in raw:
            n_plain += 1
            assert (description or "").split() == raw.split()
    assert n_plain > 50
    pictured = {item["asin"]: item["imUrl"] for item in items if "no-img-sm" not in item.get("imUrl", "no-img-sm")}
    sql = "SELECT item_key, location FROM assets JOIN items USING (item_idx) WHERE in_metadata AND modality = 'visual' AND status = 'not_fetched'"
    assert dict(table(tmp_path, sql)) == pictured
    placeholders = sum("no-img-sm" in item.get("imUrl", "") for item in items)
    counted = table(tmp_path, "SELECT count(*) FROM assets WHERE reason = 'only a ''no image'' placeholder in the metadata'")
    assert counted == [(placeholders,)]
    assert placeholders > 0


def test_literals_of_the_2014_sample_are_what_the_standard_library_makes_of_them(musical):
    files, items, _ = musical
    assert [json.loads(to_json(line)) for line in files["metadata"].read_bytes().splitlines()] == items


def test_the_2014_sample_as_2018_is_named_as_such(tmp_path, musical):
    with pytest.raises(SourceError, match=r"meta_top100\.json looks like Amazon 2014 metadata, not Amazon 2018 metadata\. Say --release 2014"):
        amazon.pull(tmp_path / "s.duckdb", **musical[0], release=2018, reporter=Silent())
