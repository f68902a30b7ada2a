"""Results by group: worked by hand, against a plain count, and in the folder of a run."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import planted
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep import splits
from milktrain import bundle, config, groups, ranking, recipe, run_tables, runs
from schemas.contracts import Part, Setting
from schemas.errors import DataError
from schemas.reporting import Silent
from schemas.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
QUESTION = 'SELECT run_id, "group", n_users, recall_20 FROM run_groups WHERE part = \'test\' AND "by" = \'n_missing\' ORDER BY "group"'


def _split(available, *, test, train, n_users, modalities=("visual", "text", "audio")):
    """What groups ask of a split."""
    pairs = {Part.TEST: torch.tensor(test), Part.TRAIN: torch.tensor(train)}
    return SimpleNamespace(available=torch.tensor(available), pairs=pairs, n_users=n_users, modalities=modalities)


def _lists(lists, test):
    relevant = {tuple(pair) for pair in test}
    users = sorted({user for user, _ in test})
    hits = [[(user, item) in relevant for item in row] for user, row in zip(users, lists, strict=True)]
    n_relevant = [sum(user == other for other, _ in test) for user in users]
    return ranking.Ranking(torch.tensor(users), torch.tensor(hits), torch.tensor(n_relevant), torch.tensor(lists))


@pytest.fixture(scope="module")
def worked():
    """Three users, five test items: 0 and 4 are complete, 1 misses text, 3 audio, and 2 both."""
    available = [[True, True, True], [True, False, True], [True, False, False], [True, True, False], [True, True, True]]
    test = [[0, 0], [0, 1], [0, 2], [1, 4], [2, 3]]
    train = [[0, 7], [1, 7], [2, 5], [2, 6], [2, 7], [2, 8], [2, 9]]
    data = _split(available, test=test, train=train, n_users=4)
    found = groups.frame(data, Part.TEST, _lists([[1, 0, 4], [3, 4, 0], [2, 1, 3]], test), cutoffs=(1, 3))
    return {(row["by"], row["group"]): row for row in found.to_dicts()}


def test_there_is_a_row_for_every_group_that_somebody_has_a_relevant_item_of(worked):
    assert list(worked) == [
        ("all", "all"),
        ("n_missing", "0"), ("n_missing", "1"), ("n_missing", "2"),
        ("missing", "none"), ("missing", "audio"), ("missing", "text"), ("missing", "text,audio"),
        ("user_interactions", "1"), ("user_interactions", "5"),
    ]  # fmt: skip


def test_a_user_counts_in_a_group_of_items_with_its_relevant_items_alone(worked):
    # Complete items: user 0 wants item 0 and user 1 item 4, both find it second; user 2 wants none and does not count.
    complete = worked["n_missing", "0"]
    assert (complete["n_users"], complete["n_items"], complete["n_relevant"]) == (2, 2, 2)
    assert complete["recall@1"] == 0
    assert complete["recall@3"] == 1
    assert complete["mrr@3"] == pytest.approx(1 / 2)
    assert complete["ndcg@3"] == pytest.approx(1 / math.log2(3))
    # One missing: user 0 finds item 1 first, user 2 finds item 3 third.
    one = worked["n_missing", "1"]
    assert (one["n_users"], one["n_items"], one["n_relevant"]) == (2, 2, 2)
    assert one["recall@1"] == pytest.approx(1 / 2)
    assert one["recall@3"] == 1
    assert one["mrr@3"] == pytest.approx((1 + 1 / 3) / 2)
    assert one["ndcg@3"] == pytest.approx((1 + 1 / 2) / 2)
    # Two missing: user 0 wants item 2 and has it not in the list.
    assert (worked["n_missing", "2"]["n_users"], worked["n_missing", "2"]["recall@3"]) == (1, 0)


def test_which_modalities_are_missing_parts_the_items(worked):
    assert worked["missing", "text"]["recall@1"] == 1  # user 0, item 1
    assert (worked["missing", "audio"]["recall@1"], worked["missing", "audio"]["recall@3"]) == (0, 1)  # user 2, item 3
    assert worked["missing", "text,audio"]["recall@3"] == 0
    assert worked["missing", "none"]["recall@3"] == worked["n_missing", "0"]["recall@3"]


def test_users_with_as_many_interactions_stay_together_and_bounds_are_said(worked):
    few, many = worked["user_interactions", "1"], worked["user_interactions", "5"]
    assert (few["least"], few["most"], few["n_users"]) == (1, 1, 2)
    assert (many["least"], many["most"], many["n_users"]) == (5, 5, 1)
    assert few["recall@3"] == pytest.approx((2 / 3 + 1) / 2)
    assert many["recall@3"] == 1
    assert worked["all", "all"]["recall@3"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert worked["all", "all"]["least"] is None


def test_thirds_of_users_are_even_where_nobody_is_as_active():
    test = [[u, 0] for u in range(9)]
    train = [[u, 1 + i] for u in range(9) for i in range(u)]  # user u has u
    data = _split([[True]] * 20, test=test, train=train, n_users=9, modalities=("text",))
    found = groups.frame(data, Part.TEST, _lists([[0]] * 9, test), cutoffs=(1,)).filter(by="user_interactions")
    assert found.select("group", "least", "most", "n_users").rows() == [("0-2", 0, 2, 3), ("3-5", 3, 5, 3), ("6-8", 6, 8, 3)]


def test_a_place_that_nothing_was_left_for_is_no_hit():
    test = [[0, 0], [1, 1]]
    lists = _lists([[0, -1], [0, -1]], test)
    found = groups.frame(_split([[True], [True]], test=test, train=[[0, 1]], n_users=2, modalities=("text",)), Part.TEST, lists, cutoffs=(2,))
    assert found.filter(by="all")["recall@2"].item() == pytest.approx(1 / 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000))
def test_recall_in_a_group_is_what_a_plain_count_gives(seed):
    rng = np.random.default_rng(seed)
    available = rng.random((12, 2)) < 0.6
    test = sorted({(int(u), int(i)) for u, i in rng.integers(0, [5, 12], size=(14, 2))})
    users = sorted({user for user, _ in test})
    lists = [rng.permutation(12)[:4].tolist() for _ in users]
    data = _split(available.tolist(), test=[list(p) for p in test], train=[[0, 0]], n_users=5, modalities=("visual", "text"))
    found = groups.frame(data, Part.TEST, _lists(lists, test), cutoffs=(4,))
    for n in range(3):
        wanted = {user: [item for who, item in test if who == user and (~available[item]).sum() == n] for user in users}
        shares = [len(set(row) & set(wanted[user])) / len(wanted[user]) for user, row in zip(users, lists, strict=True) if wanted[user]]
        rows = found.filter(by="n_missing", group=str(n))
        assert rows.height == bool(shares)
        if shares:
            assert rows["recall@4"].item() == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    for by in ("n_missing", "missing", "user_interactions"):
        assert found.filter(by=by)["n_relevant"].sum() == len(test)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("groups") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


@pytest.fixture(scope="module")
def run(path):
    return recipe.train(path, split="ftmt-0", config=config.load(), runs_folder=path.parent / "runs", reporter=Silent(), model="random-order")


def _ask(path, statement):
    with Store(path, mode="read") as store, run_tables.shown(store, path.parent / "runs", statement=statement) as readable:
        store.confine(readable=readable)
        return store.user_query(statement)


def test_a_run_keeps_its_groups_and_the_whole_is_what_it_recorded(path, run):
    found = pl.read_parquet(run.folder / "groups.parquet")
    data = bundle.read(path, split="ftmt-0")
    for part in (Part.VAL, Part.TEST):
        mine = found.filter(part=part.value)
        whole = mine.filter(by="all").row(0, named=True)
        for name in ("recall@10", "ndcg@20", "map@10"):
            assert whole[name] == pytest.approx(run.manifest["metrics"][part.value][name], abs=1e-12)
        lost = (~data.available[data.pairs[part][:, 1]]).sum(dim=1)
        counts = {str(n): int((lost == n).sum()) for n in lost.unique().tolist()}
        assert dict(mine.filter(by="n_missing").select("group", "n_relevant").rows()) == counts
        assert len(counts) > 1
    answer = _ask(path, QUESTION)
    mine = found.filter(part="test", by="n_missing")
    assert answer.rows() == mine.select(pl.lit(run.run_id), "group", "n_users", "recall@20").rows()


def test_the_questions_of_the_page_are_answered(path, run):
    by_missing, by_activity = (_ask(path, text) for text in re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    found = runs.read_groups(run.folder).filter(part="test", by="n_missing")
    assert by_missing.select("n_missing", "users", "recall_20").rows() == found.select("group", "n_users", "recall@20").rows()
    assert by_activity["users"].sum() == run.manifest["n_users"]["test"]


def test_sql_over_groups_leaves_out_runs_that_have_none_and_names_what_is_damaged(path, tmp_path):
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"run_id": "old", "store": path.name, "metrics": {}}))
    with Store(path, mode="read") as store:
        with run_tables.shown(store, tmp_path / "runs", statement="FROM run_groups"):
            assert store.user_query("SELECT count(*) AS n FROM run_groups").item() == 0
        (folder / "groups.parquet").write_bytes(b"PAR1 cut")
        with (
            pytest.raises(DataError, match="does not hold the groups of a run"),
            run_tables.shown(store, tmp_path / "runs", statement="FROM run_groups"),
        ):
            pass
