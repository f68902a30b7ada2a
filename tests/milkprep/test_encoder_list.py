"""`encoders`: what is listed can be read and typed."""

import json

import pytest
from typer.testing import CliRunner

import cli
from milkprep import extractors
from milkprep.encoder import Offer
from milkprep.inspection import encoder_list
from schemas import plugins
from schemas.contracts import Modality


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["encoders", *arguments], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_every_name_stands_in_one_piece_on_eighty_columns():
    lines = listed().splitlines()
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    for name, _, offer in extractors.offered():
        assert {name, *filter(None, [offer.model])} <= words
        assert offer.weights in words or offer.weights == "none"
        assert str(offer.width) in words


@pytest.mark.parametrize("modality", list(Modality))
def test_only_encoders_of_the_modality_that_is_asked_for_are_listed(modality):
    found = {row["encoder"] for row in json.loads(listed("--modality", modality, "--json"))["encoders"]}
    assert found == {name for name in plugins.names("milkprep.extractors") if plugins.load("milkprep.extractors", name).MODALITY is modality}
    titles = [line for line in listed("--modality", modality).splitlines() if line.startswith(tuple(Modality))]
    assert titles
    assert all(line.startswith(modality) for line in titles)


def test_a_name_under_weights_can_be_typed_and_none_is_offered_where_there_is_no_choice():
    made = encoder_list.tables([
        ("open-clip", Modality.VISUAL, Offer("ViT-B-32", "openai", 512, "hub", is_here=False)),
        ("colour-layout", Modality.VISUAL, Offer("", "none", 122, "needs none", is_here=True)),
        ("log-mel", Modality.AUDIO, Offer("", "none", 128, "needs none", is_here=True)),
        ("transformers-audio", Modality.AUDIO, Offer("", "a/b", 512, "hub", is_here=True)),
    ])  # fmt: skip
    assert [(title, frame.rows()) for title, frame in made] == [
        ("visual: --encoder open-clip (when --encoder is not given)", [("ViT-B-32", "openai", 512, "no", "hub")]),
        ("visual, no weights", [("colour-layout", 122)]),
        ("audio: --encoder transformers-audio", [("a/b", 512, "yes", "hub")]),
        ("audio, no weights", [("log-mel", 128)]),
    ]
    assert made[2][1].columns == ["--weights", "width", "here", "from"]


def test_an_encoder_whose_weights_lie_in_the_cache_is_listed_as_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = "hub/checkpoints/wav2vec2_fairseq_base_ls960.pth"
    assert not {offer.model for _, _, offer in encoder_list.offered(Modality.AUDIO) if offer.model and offer.is_here}
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert {offer.model for _, _, offer in encoder_list.offered(Modality.AUDIO) if offer.model and offer.is_here} == {"WAV2VEC2_BASE"}
