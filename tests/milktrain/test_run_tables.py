"""Finished runs as tables of SQL: hand-made run folders whose numbers are known, read and nothing else."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import cli
from milktrain import config, run_tables, runs
from schemas.errors import BadValue, DataError, QueryError, StoreError
from schemas.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "runs.md"


def _run(folder, name, *, users, split="ftmt-0", log=((1, 0.5), (2, 0.25)), store="a.duckdb", **changes):
    """Write a run folder by hand: `users` are the ndcg@20 of test users 0, 1, ..."""
    place = folder / name
    place.mkdir(parents=True)
    settings = config.load(changes={key: str(value) for key, value in changes.items()})
    metrics = {"val": {"ndcg@10": 0.5}, "test": {"ndcg@20": sum(users) / len(users), "recall@20": 0.5}}
    record = {
        "run_id": name, "model": "milk", "preset": "default", "split": split, "setting": "ftmt", "seed": settings.seed, "modalities": "text",
        "store": store, "device": "cpu", "profile": "milk", "config": settings.model_dump(mode="json"), "metrics": metrics,
    }  # fmt: skip
    (place / "run.json").write_text(json.dumps(record))
    table = {"user_idx": range(len(users)), "n_relevant": [1] * len(users), "ndcg@20": users, "recall@20": users}
    frame = pl.DataFrame(table, schema_overrides={"ndcg@20": pl.Float32})
    frame.write_parquet(place / "users_test.parquet")
    groups = {"part": ["test"] * 2, "by": ["n_missing"] * 2, "group": ["0", "1"], "n_relevant": [10, 20], "recall@20": [0.5, users[0]]}
    pl.DataFrame(groups).write_parquet(place / "groups.parquet")
    runs.write_log([{"epoch": epoch, "loss": 1 / epoch, "seconds": 1.0, "val_ndcg@10": value} for epoch, value in log], place / "log.jsonl")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "runs"
    _run(place, "a", users=[1.0, 0.5, 0.0], seed=0)
    _run(place, "b", users=[0.5, 0.5, 0.5], seed=1)
    _run(place, "c", users=[0.0, 0.0, 0.75], seed=0, beta=7)
    return place


@pytest.fixture
def ask(tmp_path):
    path = tmp_path / "a.duckdb"
    with Store(path, mode="write") as store:
        store.append("users", pl.DataFrame({"user_idx": range(3), "user_key": ["ann", "bob", "cy"]}))

    def answer(statement, folder):
        with Store(path, mode="read") as store, run_tables.shown(store, folder, statement=statement) as readable:
            store.confine(readable=readable)
            return store.user_query(statement)

    return answer


def test_users_of_all_runs_are_one_table_with_the_run_and_the_part(ask, folder):
    found = ask("SELECT run_id, part, user_idx, n_relevant, ndcg_20 FROM run_users ORDER BY run_id, user_idx", folder)
    assert found.columns == ["run_id", "part", "user_idx", "n_relevant", "ndcg_20"]
    assert found["run_id"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert found["ndcg_20"].to_list() == [1.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.75]
    assert set(found["part"]) == {"test"}


def test_runs_of_another_store_whose_users_are_others_stay_out(ask, folder):
    _run(folder, "z", users=[1.0, 1.0, 1.0], store="b.duckdb")
    for table in ("runs", "run_users", "run_groups", "run_epochs"):
        assert ask(f"SELECT DISTINCT run_id FROM {table} ORDER BY ALL", folder)["run_id"].to_list() == ["a", "b", "c"]
    assert runs.frame(folder)["run_id"].to_list() == ["a", "b", "c", "z"]


def test_the_mean_over_users_is_the_metric_of_the_run(ask, folder):
    found = ask("SELECT abs(avg(u.ndcg_20) - any_value(r.test_ndcg_20)) AS gap FROM run_users u JOIN runs r USING (run_id) GROUP BY run_id", folder)
    assert found["gap"].to_list() == pytest.approx([0, 0, 0])


def test_runs_with_other_cutoffs_lie_beside_each_other(ask, folder):
    pl.DataFrame({"user_idx": [0], "n_relevant": [1], "ndcg@5": [0.25]}).write_parquet(folder / "c" / "users_val.parquet")
    found = ask("SELECT ndcg_5, ndcg_20 FROM run_users WHERE run_id = 'c' ORDER BY part, user_idx", folder)
    assert found.rows() == [(None, 0.0), (None, 0.0), (None, 0.75), (0.25, None)]


def test_repeats_share_a_configuration_and_other_settings_do_not(ask, folder):
    found = dict(ask("SELECT run_id, configuration FROM runs", folder).rows())
    assert found["a"] == found["b"] != found["c"]


def test_settings_are_columns_and_a_list_is_text(ask, folder):
    assert ask("SELECT beta, dim, cutoffs, seed FROM runs WHERE run_id = 'c'", folder).rows() == [(7.0, 64, "10,20", 0)]


def test_epochs_are_read_from_the_logs(ask, folder):
    found = ask("SELECT run_id, epoch, loss, val_ndcg_10 FROM run_epochs WHERE run_id = 'b' ORDER BY epoch", folder)
    assert found.rows() == [("b", 1, 1.0, 0.5), ("b", 2, 0.5, 0.25)]


def test_the_questions_of_the_page_are_answered(ask, folder):
    questions = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(questions) >= 5
    answers = [ask(question, folder) for question in questions]
    assert all(answer.height for answer in answers[:3])
    repeated, alone = answers[0].select("runs", "ndcg_20", "sd_ndcg").rows()  # a and b: 0.5 twice; c alone: 0.25
    assert (repeated[0], alone[0], alone[2]) == (2, 1, None)
    assert repeated[1:] == pytest.approx((0.5, 0.0))
    missing = answers[-1].filter(pl.col("runs") == 2).select("n_missing", "recall_20", "interactions").rows()
    assert missing == [("0", 0.5, 20), ("1", 0.75, 40)]  # of a and b: the mean of 1 and .5 where one is missing
    pairs = {(row["one"], row["other"]): row for row in answers[2].to_dicts()}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert (pairs["a", "c"]["better"], pairs["a", "c"]["worse"], pairs["a", "c"]["users"]) == (2, 1, 3)  # gains 1, .5, -.75
    assert pairs["a", "c"]["mean_gain"] == pytest.approx(0.25)
    assert pairs["a", "c"]["standard_error"] == pytest.approx(0.9013878 / 3**0.5)


def test_users_whom_no_run_finds_anything_for_are_named_by_their_keys(ask, folder):
    for name in ("a", "b", "c"):
        file = folder / name / "users_test.parquet"
        pl.read_parquet(file).with_columns(pl.when(pl.col("user_idx") == 1).then(0.0).otherwise(0.5).alias("recall@20")).write_parquet(file)
    question = next(text for text in re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL) if "user_key" in text)
    assert ask(question, folder)["user_key"].to_list() == ["bob"]


@pytest.mark.parametrize("statement", ["SELECT * FROM runs", "SELECT run_id, ndcg_20 FROM run_users", "SELECT run_id, epoch FROM run_epochs"])
def test_where_there_are_no_runs_the_tables_are_empty(ask, tmp_path, statement):
    if "ndcg" in statement:
        statement = "SELECT run_id, part, user_idx, n_relevant FROM run_users"
    assert ask(statement, tmp_path / "nowhere").height == 0


def test_a_question_about_users_reaches_their_files_and_no_other(ask, folder, tmp_path):
    pl.DataFrame({"secret": [1]}).write_parquet(folder / "a" / "other.parquet")
    for file in (folder / "a" / "other.parquet", folder / "a" / "run.json", folder / "a" / "users_val.parquet"):
        with pytest.raises(QueryError, match="file system operations are disabled"):
            ask(f"SELECT *, (SELECT count(*) FROM run_users) FROM read_blob('{file}')", folder)
    with pytest.raises(QueryError, match="Only one SELECT"):
        ask(f"COPY run_users TO '{tmp_path}/stolen.csv'", folder)
    with pytest.raises(QueryError, match="file system operations are disabled"):
        ask(f"SELECT * FROM read_parquet('{folder}/a/users_test.parquet')", folder)  # not a question about users


def test_a_damaged_file_matters_to_those_alone_who_ask_for_it(ask, folder):
    (folder / "b" / "users_test.parquet").write_bytes(b"PAR1 cut")
    (folder / "b" / "log.jsonl").write_text("{")
    assert ask("SELECT count(*) AS n FROM runs", folder).item() == 3
    with pytest.raises(StoreError, match=r"users_test\.parquet"):
        ask("SELECT count(*) FROM run_users", folder)
    with pytest.raises(DataError, match="is not the log of a run"):
        ask("SELECT count(*) FROM run_epochs", folder)


def test_a_path_that_would_be_a_pattern_is_refused(ask, folder):
    odd = folder.rename(folder.with_name("runs[1]"))
    assert ask("SELECT count(*) AS n FROM runs", odd).item() == 3
    with pytest.raises(BadValue, match="takes for a pattern"):
        ask("SELECT count(*) FROM run_users", odd)


def test_runs_are_listed_by_a_column_the_greatest_first(folder):
    result = CliRunner().invoke(cli.app, ["runs", "--runs", str(folder), "--sort", "test_ndcg_20", "--json"])
    assert [row["run_id"] for row in json.loads(result.stdout)] == ["a", "b", "c"]  # .5, .5 in the order of names, .25
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, ["runs", "--runs", str(folder), "--sort", "beta"])
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [(row[0], row[-1]) for row in rows if row and row[0] in ("a", "b", "c")] == [("a", "50.0000"), ("b", "50.0000"), ("c", "7.0000")]
    result = CliRunner().invoke(cli.app, ["runs", "--runs", str(folder), "--sort", "test_ndgc_20"])
    assert (result.exit_code, "Did you mean 'test_ndcg_20'" in result.stderr) == (2, True)


def test_a_run_has_the_settings_of_its_model_and_none_of_another(tmp_path):
    for model, own in (("milk", {}), ("clcrec", {"temperature": 0.2})):
        (tmp_path / model).mkdir()
        config = {"beta": 50.0, "lam": 0.5, "reg": 1e-4, "of_model": own}
        (tmp_path / model / "run.json").write_text(json.dumps({"model": model, "config": config, "metrics": {"test": {"recall@20": 0.1}}}))
    found = {row["model"]: row for row in runs.frame(tmp_path).iter_rows(named=True)}
    assert [found[model]["beta"] for model in ("milk", "clcrec")] == [50.0, None]
    assert [found[model]["temperature"] for model in ("milk", "clcrec")] == [None, 0.2]
    assert "of_model" not in found["milk"]
