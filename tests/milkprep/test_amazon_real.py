"""`pull amazon` on the real gift cards of the 2018 release, both schemas; counts from an independent reading of the files."""

import gzip
import json

import pytest
from raw_files import count, rejects, table

from milkprep.sources import amazon
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


def test_the_2014_release_is_recognised(tmp_path, real_data):
    folder = real_data / "amazon2014_musical"
    with pytest.raises(SourceError, match=r"meta_top100\.json looks like Amazon 2014 metadata, not Amazon 2018 metadata"):
        amazon.pull(tmp_path / "s.duckdb", metadata=folder / "meta_top100.json", reviews=folder / "reviews_top100.json", reporter=Silent())
