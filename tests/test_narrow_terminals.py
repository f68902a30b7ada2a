"""What commands show fits a terminal of 80 columns, names in one piece."""

import pytest
from small_catalogue import write_catalogue
from typer.testing import CliRunner

import cli
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
