"""Whatever a run folder holds, there is a page: fields of a record, rows of a log, columns of a file that are not what they should be."""

import json

import polars as pl
import pytest
import small_page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_page import parsed

from milktrain import runs as run_folders

FIELDS = (
    "config", "metrics", "feature_sets", "versions", "epochs", "best_epoch", "seconds", "seconds_per_epoch", "seed", "split", "setting", "modalities",
    "finished_at", "device", "profile", "fingerprint", "split_fingerprint", "store", "model",
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=20)
VALUES = st.recursive(LEAVES, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3), max_leaves=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, of which one stays as it is."""
    place = tmp_path_factory.mktemp("robust") / "runs"
    small_page.write(place, split="ftmt-0")
    (small_page.write(place, split="ftmt-1")).rename(place / "odd")
    return place


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_any_value_of_any_field_leaves_a_page(folder, field, value):
    file = folder / "odd" / "run.json"
    before = file.read_text()
    try:
        file.write_text(json.dumps(json.loads(before) | {field: value}))
        tree = parsed(small_page.page(folder))
    finally:
        file.write_text(before)
    assert len(list(tree.all("h2"))) == 8


def test_groups_in_groups_without_end_are_left_out(folder):
    file = folder / "odd" / "run.json"
    before = file.read_text()
    record = json.loads(before)
    record["config"] = {}
    text = json.dumps(record).replace('"config": {}', '"config": ' + '{"a": ' * 900 + "1" + "}" * 900)
    try:
        file.write_text(text)
        parsed(small_page.page(folder)).one("p", "odd is left out")
    finally:
        file.write_text(before)


@pytest.mark.parametrize(
    "rows", ['"text"', '{"epoch": "x", "loss": []}', "[1]", '{"loss": 1.0}', '{"epoch": 1, "loss": NaN, "val_ndcg@10": Infinity}', ""], ids=range(6)
)
def test_any_log_leaves_a_page(tmp_path, rows):
    run = small_page.write(tmp_path / "runs")
    (run / "log.jsonl").write_text(rows)
    assert "Training" in parsed(small_page.page(tmp_path / "runs")).text


@pytest.mark.parametrize(
    "frame",
    [
        {"part": [1], "by": [2], "group": [3], "n_relevant": [4]},
        {"part": ["test"], "by": ["n_missing"], "group": ["many"], "n_relevant": [1], "recall@20": ["high"]},
        {"part": ["test"], "by": ["n_missing"], "group": [None], "n_relevant": [1], "recall@20": [float("nan")]},
        {"x": [1]},
    ],
    ids=["numbers", "words", "nothing", "others"],
)
def test_any_groups_and_users_leave_a_page(tmp_path, frame):
    run = small_page.write(tmp_path / "runs")
    pl.DataFrame(frame).write_parquet(run / run_folders.GROUPS)
    pl.DataFrame(frame).write_parquet(run / "users_test.parquet")
    tree = parsed(small_page.page(tmp_path / "runs"))
    assert next(tree.all("h1")).text == "1 run on a"


def test_a_parquet_file_that_is_cut_short_is_said(tmp_path):
    run = small_page.write(tmp_path / "runs")
    for name in (run_folders.GROUPS, "users_test.parquet"):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: len(whole) // 2])
    tree = parsed(small_page.page(tmp_path / "runs"))
    tree.one("p", f"The groups of {run.name} are left out")
    tree.one("p", f"{run.name} has no metrics of single users")
