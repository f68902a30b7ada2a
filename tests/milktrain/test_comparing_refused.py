"""What is not compared: questions that cannot be meant, labels that mix, records and files that are not whole."""

from pathlib import Path

import polars as pl
import pytest
import small_runs
from small_runs import labelled, write

from milktrain.comparing import comparison
from schemas.errors import BadValue, DataError, UnknownName

METRIC = "recall@20"


def compare(runs, *metrics, **given):
    return comparison.compare(runs, metrics=metrics or [METRIC], **({"resamples": 20} | given))


def test_two_configurations_under_one_label_are_refused_on_one_split_and_said_over_several(tmp_path):
    one = write(tmp_path, {METRIC: [0.25]}, settings={"lam": 1.0})
    other = write(tmp_path, {METRIC: [0.75]}, settings={"lam": 2.0})
    with pytest.raises(
        BadValue, match=r"ours on a\.duckdb ftmt has two runs of split ftmt-0, seed 0 that differ in lam\. Label them apart with --by lam"
    ):
        compare([labelled("ours", one), labelled("ours", other)])
    elsewhere = write(tmp_path, {METRIC: [0.75]}, settings={"lam": 2.0}, split="ftmt-1")
    assert "ours on a.duckdb ftmt averages runs that differ in lam." in compare([labelled("ours", one), labelled("ours", elsewhere)]).remarks


def test_two_profiles_under_one_label_are_refused(tmp_path):
    runs = [write(tmp_path, {METRIC: [0.25]}), write(tmp_path, {METRIC: [0.25]}, profile="test-only", seed=1)]
    with pytest.raises(BadValue, match="several profiles"):
        compare([labelled("ours", run) for run in runs])


def test_questions_that_cannot_be_meant_are_refused(tmp_path):
    runs = [labelled("base", write(tmp_path, {METRIC: [0.5]}))]
    with pytest.raises(UnknownName, match="Did you mean 'recall@20'"):
        compare(runs, "recal@20")
    with pytest.raises(BadValue, match=r"No row is labelled 'bas'.*Did you mean 'base'"):
        compare(runs, against="bas")
    with pytest.raises(BadValue, match="each once"):
        compare(runs, METRIC, METRIC)
    with pytest.raises(BadValue, match="resamples are out of range"):
        compare(runs, resamples=-1)


def _spoilt(file: Path, how: str) -> None:
    frame = pl.read_parquet(file)
    if how == "absent":
        file.unlink()
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[:-40])
    elif how == "no column":
        frame.drop(METRIC).write_parquet(file)
    elif how == "text":
        frame.cast(pl.String).write_parquet(file)
    elif how == "empty":
        frame.clear().write_parquet(file)
    elif how == "users twice":
        pl.concat([frame, frame]).write_parquet(file)
    elif how == "no number":
        frame.with_columns(pl.lit(float("nan")).alias(METRIC)).write_parquet(file)
    elif how == "another run's":
        frame.with_columns(pl.col(METRIC) / 2).write_parquet(file)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("absent", "is not there, and tests need the metrics of each user"),
        ("cut short", "does not hold the metrics of users"),
        ("no column", "does not hold the metrics of users"),
        ("text", "it is empty or has other columns"),
        ("empty", "it is empty or has other columns"),
        ("users twice", "has users twice"),
        ("no number", "that are no numbers"),
        ("another run's", r"is not of its run: the mean of recall@20 is 0\.25"),
    ],
)
def test_files_of_users_that_are_not_whole_are_refused_by_name(tmp_path, how, words):
    run = write(tmp_path, {METRIC: [0.25, 0.75]})
    _spoilt(run / "users_test.parquet", how)
    with pytest.raises(DataError, match=rf"users_test\.parquet .*{words}"):
        compare([labelled("ours", run)])


def test_runs_of_a_split_judged_on_other_users_are_refused(tmp_path):
    runs = [labelled("a", write(tmp_path, {METRIC: [0.5, 0.5]})), labelled("b", write(tmp_path, {METRIC: [0.5, 0.5]}, model="b", users=[0, 2]))]
    with pytest.raises(DataError, match="were judged on other users of split ftmt-0"):
        compare(runs)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("metrics", {"test": {METRIC: "high"}}, r"Expected `float`, got `str`"),
        ("metrics", {"test": {METRIC: float("inf")}}, "is no finite number"),
        ("split", 3, r"Expected `str`, got `int`"),
        ("config", None, "Expected `object`"),
    ],
)
def test_records_that_are_not_of_a_run_are_refused_by_name(tmp_path, field, value, words):
    run = write(tmp_path, {METRIC: [0.25]})
    small_runs.rewrite(run, **{field: value})
    with pytest.raises(DataError, match=rf"run\.json .*{words}"):
        compare([labelled("ours", run)])
