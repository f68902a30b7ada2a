"""The whole way on real public data, through the command line."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

import cli

AVAILABILITY = "SELECT text, visual, visual_reason, count(*) AS n FROM modality_availability GROUP BY ALL ORDER BY n"


def _run(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def _sql(statement, store):
    return json.loads(_run("sql", statement, "--store", store, "--format", "json"))


@pytest.mark.parametrize("schema", ["v1", "v2"])
def test_gift_cards_go_from_raw_files_to_a_ranked_list(real_data, tmp_path, schema):
    raw, store = real_data / "amazon2018_gift_cards", tmp_path / "gifts.duckdb"
    _run(
        "pull", "amazon", "--release", "2018", "--metadata", raw / f"meta_Gift_Cards.{schema}.json.gz", "--reviews", raw / "Gift_Cards_5.json.gz",
        "--keep-all-items", "--store", store,
    )  # fmt: skip
    _run("extract", "--modality", "text", "--store", store, "--max-length", 32)  # whole texts are embedded in another test
    assert _sql(AVAILABILITY, store) == [
        {"text": True, "visual": False, "visual_reason": "address not fetched", "n": 660},
        {"text": True, "visual": False, "visual_reason": "no picture address in the metadata", "n": 887},
    ]
    assert _sql("SELECT count(*) AS n FROM items WHERE description IS NULL", store) == [{"n": 742}]
    _run("build-splits", "--setting", "ftmt", "--store", store)
    found = json.loads(_run("train", "--split", "ftmt-0", "--store", store, "--json"))
    assert found["test"]["recall@20"] > 0.5  # 28 new items: a random list of 20 finds more than half of what is relevant
    _run("check", "--store", store)


def test_short_videos_are_ranked_above_chance(real_data, tmp_path):
    raw, store = real_data / "tiktok", tmp_path / "tiktok.duckdb"
    features = [f"--features={modality}={raw / file}" for modality, file in (("visual", "image_feat.npy"), ("audio", "audio_feat.npy"))]
    _run("pull", "prepared", "--interactions", raw / "tiktok.inter", *features, "--store", store)
    statistics = json.loads(_run("build-splits", "--setting", "ftmt", "--store", store, "--json"))["statistics"]
    assert [row["items"] for row in statistics] == [5368, 671, 671]
    assert sum(row["interactions"] for row in statistics) == 68_722
    found = json.loads(_run("train", "--split", "ftmt-0", "--preset", "published", "--store", store, "--json", "--set", "max_epochs=30"))
    assert found["n_candidates"] == 1342
    assert found["test"]["recall@20"] > 0.025  # chance is 20 / 1342 = 0.015; the full training reaches more, see docs/results.md
    users = pl.read_parquet(f"{found['folder']}/users_test.parquet")
    assert users.height == found["n_users"]["test"] == statistics[2]["users"]
