"""Weights that cannot be had: the answer comes at once, and names what works without a network for that very modality."""

import pytest

from milkprep import extractors
from milkprep.encoder import EncoderOptions
from milkprep.extractors import _weights
from schemas import plugins
from schemas.contracts import Modality
from schemas.errors import BadValue, MilkError, UnknownName, WeightsMissing

#: Encoders of each modality that need no weights.
FREE = {Modality.TEXT: {"hashed-ngrams", "bag-of-words"}, Modality.VISUAL: {"colour-layout"}, Modality.AUDIO: {"log-mel"}}
LEARNED = ["open-clip", "open-clip-text", "torchaudio-pipelines", "transformers-audio", "transformers-text", "transformers-vision"]
OF_TRANSFORMERS = [name for name in LEARNED if name.startswith("transformers")]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """No hub, no server, and nothing in any cache; the package with the default weights is there."""

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("socket.create_connection", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(_weights, "_snapshot", lambda name: None)


def refusal(name: str, **options: str) -> MilkError:
    modality = plugins.load("milkprep.extractors", name).MODALITY
    with pytest.raises((WeightsMissing, BadValue, UnknownName)) as caught:
        extractors.resolve(modality, name).build(EncoderOptions(**options))
    return caught.value


def named(error: MilkError) -> set[str]:
    """Encoders without weights that a message names."""
    return {name for names in FREE.values() for name in names if name in str(error)}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("weights", [None, "someone/something", "./nowhere"])
def test_the_way_out_is_an_encoder_of_the_same_modality(name, weights, monkeypatch):
    monkeypatch.setattr(_weights, "_packaged", lambda: None)
    error = refusal(name, **({"weights": weights} if weights else {}))
    assert isinstance(error, WeightsMissing)
    assert named(error)
    assert named(error) <= FREE[plugins.load("milkprep.extractors", name).MODALITY]
    assert "--weights" in str(error)


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_random_weights_of_a_model_of_the_hub_want_its_settings_and_say_what_needs_none(name):
    error = refusal(name, weights="random", model="someone/something")
    assert "The settings of someone/something are not on this machine and the hub cannot be reached" in str(error)
    assert "--model" in str(error)
    assert "a folder with config.json" in str(error)


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_settings_in_the_hubs_cache_are_enough_for_random_weights(name, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr(_weights, "_snapshot", lambda name: tmp_path)
    error = refusal(name, weights="random", model="someone/something")
    assert str(tmp_path) in str(error)  # it was looked at, no weights were asked for
    assert "cannot be reached" not in str(error)


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_a_file_where_a_folder_is_needed_is_called_one(name, tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert "model.safetensors is a file, and a folder is needed" in str(refusal(name, weights=str(tmp_path / "model.safetensors")))


@pytest.mark.parametrize("name", ["open-clip", "open-clip-text"])
def test_of_very_many_names_the_nearest_are_told(name):
    assert "14 more" in str(refusal(name, weights="nonsense"))
    unknown = str(refusal(name, model="ViT-B-33", weights="random"))
    assert "Did you mean 'ViT-B-32'" in unknown
    assert len(unknown) < 400


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_a_mistyped_folder_is_said_not_to_be_there(name):
    assert "There is no folder dinov2-tny here." in str(refusal(name, weights="dinov2-tny"))


@pytest.mark.parametrize(("modality", "plugin"), [(Modality.VISUAL, "transformers-vision"), (Modality.AUDIO, "transformers-audio")])
def test_a_hub_name_in_place_of_an_encoder_is_sent_to_weights(modality, plugin):
    with pytest.raises(UnknownName, match=rf"--encoder {plugin} --weights NAME") as caught:
        extractors.resolve(modality, "facebook/dinov2-base")
    known = str(caught.value).split("Known: ")[1].split(". ")[0].split(", ")
    assert known == extractors.names(modality)
