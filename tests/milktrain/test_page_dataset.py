"""What a page about runs says of their dataset: told from the store beside them, or said that it cannot be."""

import planted
import small_page
from small_page import parsed, table

from milkprep import splits
from schemas.contracts import Setting
from schemas.store import Store


def test_the_dataset_is_told_from_the_store_beside_the_runs(tmp_path):
    path = planted.fill(tmp_path / "a.duckdb", n_users=20, n_items=40, per_user=8)
    splits.build(path, setting=Setting.FTMT, seed=0)
    with Store(path, mode="read") as store:
        mark = store.query("SELECT fingerprint FROM splits").item()
        lost = store.query(
            "SELECT count(*) AS n FROM split_items JOIN split_availability USING (split_id, item_idx) WHERE part = 'test' AND lost"
        ).item()
    small_page.write(tmp_path / "runs", split_fingerprint=mark)
    small_page.write(tmp_path / "runs", split="ftmt-1")
    tree = parsed(small_page.page(tmp_path / "runs"))
    tree.one("p", "20 users, 40 items, 160 interactions: 20.000 % of all pairs.")
    assert table(tree, "Items by the modalities")[0] == {"modalities": "visual + text + audio", "items": "40", "share": "100.0 %"}
    rows = [row for row in table(tree, "Splits: items that have a modality") if row["part"] == "test"]
    assert sum(int(row["lost"]) for row in rows) == lost > 0
    assert all(int(row["present"]) - int(row["lost"]) == int(row["left"]) for row in rows)
    tree.one("p", "The store has no split ftmt-1")
    assert not [each for each in tree.all("p") if "another state" in each.text]


def test_a_split_that_is_not_that_of_training_and_a_store_that_cannot_be_read_are_said(tmp_path):
    path = planted.fill(tmp_path / "a.duckdb", n_users=20, n_items=40, per_user=8)
    splits.build(path, setting=Setting.FTMT, seed=0)
    small_page.write(tmp_path / "runs", split_fingerprint="another")
    parsed(small_page.page(tmp_path / "runs")).one("p", "Runs were trained on another state of ftmt-0")
    path.write_bytes(b"no store")
    parsed(small_page.page(tmp_path / "runs")).one("p", "The store cannot be read")


def test_a_store_that_is_named_by_a_path_is_not_followed(tmp_path):
    (tmp_path / "a.duckdb").touch()
    small_page.write(tmp_path / "deep" / "runs", store="../a.duckdb")
    parsed(small_page.page(tmp_path / "deep" / "runs")).one("p", "named by no plain file name")
