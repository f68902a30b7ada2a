"""A real catalogue as somebody would bring it: keys instead of numbers, items as they were published."""

import shutil

import polars as pl
from own_folders import pull
from raw_files import table


def test_a_real_catalogue_is_counted_as_its_publisher_counts_it(tmp_path, real_data):
    source, shop = real_data / "baby", tmp_path / "shop"
    shop.mkdir()
    shutil.copy(source / "items.jsonl", shop)
    asin = {row["mmrec_id"]: row["asin"] for row in pl.read_ndjson(shop / "items.jsonl").iter_rows(named=True)}
    pairs = pl.read_csv(source / "baby.inter", separator="\t").select(user="userID", asin=pl.col("itemID").replace_strict(asin))
    pairs.write_csv(shop / "interactions.tsv", separator="\t")
    report = pull(tmp_path, shop)
    assert (report.n_users, report.n_items, report.n_interactions) == (19445, 7050, 160792)
    assert table(tmp_path, "SELECT reason, count(*) FROM assets WHERE modality = 'visual' GROUP BY ALL ORDER BY ALL") == [
        ("address not fetched", 7031),
        ("no picture and no video", 13),
        ("only a 'no image' placeholder", 6),
    ]
    assert table(tmp_path, "SELECT count(title), count(description) FROM items") == [
        (3416, 977)
    ]  # of 978 descriptions one is nothing but `&nbsp;&nbsp;`
