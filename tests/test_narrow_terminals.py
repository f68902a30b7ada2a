"""What commands show fits a terminal of 80 columns, names in one piece."""

import polars as pl
import pytest
from small_catalogue import write_catalogue
from typer.testing import CliRunner

import cli
from milkprep.inspection import split_tables
from schemas import feature_sets
from schemas.contracts import EncoderIdentity, Modality
from schemas.store import Store

SETS = [("transformers-text", "sentence-transformers/all-MiniLM-L6-v2"), ("torchaudio-pipelines", "random"), ("open-clip", "laion2b_s34b_b79k")]


@pytest.fixture
def store(tmp_path):
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)])
    with Store(path, mode="write") as opened:
        for (encoder, weights), modality in zip(SETS, (Modality.TEXT, Modality.AUDIO, Modality.VISUAL), strict=True):
            feature_sets.register(opened, modality, EncoderIdentity(encoder, weights, "x", 512, "mean"))
    return path


def test_status_names_every_encoder_in_one_piece_and_says_where_weights_are_random(store):
    result = CliRunner().invoke(cli.app, ["status", "--store", str(store)], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for words in (["text", "transformers-text", "0", "0", "unfinished"], ["audio", "torchaudio-pipelines", "(random)", "0", "0", "unfinished"]):
        assert words in [line.split() for line in lines]


def test_the_statistics_of_a_split_are_its_parts_and_what_each_part_lacks():
    statistics = pl.DataFrame({
        "part": ["train", "test"], "users": [3, 2], "items": [8, 4], "interactions": [12, 5], "density %": [50.0, 62.5],
        "no visual %": [25.0, 0.0], "visual lost or none %": [25.0, 50.0], "no audio %": [50.0, 75.0], "audio lost or none %": [50.0, 75.0],
    })  # fmt: skip
    (first, counts), (_, lacking) = split_tables.tables(statistics, name="ftmt-0")
    assert (first, counts.columns) == ("split ftmt-0", ["part", "users", "items", "interactions", "density %"])
    assert counts.rows() == [("train", 3, 8, 12, 50.0), ("test", 2, 4, 5, 62.5)]
    assert lacking.columns == ["part", "modality", "never there %", "lost or never there %"]
    assert lacking.rows() == [
        ("train", "visual", 25.0, 25.0),
        ("train", "audio", 50.0, 50.0),
        ("test", "visual", 0.0, 50.0),
        ("test", "audio", 75.0, 75.0),
    ]
    assert [frame.columns for _, frame in split_tables.tables(statistics.select("part", "users"), name="x")] == [["part", "users"]]
