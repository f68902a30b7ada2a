"""Weights of torchaudio's networks: they fit, run nothing, and are named; those that cannot be had are an error that says what to do."""

import os
import pickle
import socket

import numpy as np
import pytest
import tiny_sound_models
import torch
from pipeline_networks import build, noise, own
from safetensors.torch import save_file
from torchaudio import pipelines
from torchaudio.models import wav2vec2_model

from milkprep.encoder import EncoderOptions
from milkprep.extractors import _pipelines, torchaudio_pipelines
from schemas.errors import BadValue, WeightsMissing


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(own("Wav2Vec2", "group_norm").state_dict(), file)
    return file


def test_a_network_with_a_head_embeds_like_one_without(tmp_path):
    settings = tiny_sound_models.pipeline_settings()
    torch.manual_seed(0)
    with_head = wav2vec2_model(**{**settings, "aux_num_out": 29}).eval()
    torch.save(pipelines._wav2vec2.utils._extend_model(with_head, normalize_waveform=True).state_dict(), tmp_path / "a.pt")  # names under `model.`
    old = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}  # as published ones name them
    bare = {name: value for name, value in with_head.state_dict().items() if not name.startswith("aux")}
    for new, published in old.items():
        bare = {name.replace(new, published): value for name, value in bare.items()}
    torch.save(bare, tmp_path / "b.pth")
    first, second = (build(tmp_path, weights=str(tmp_path / name)).encode(noise(500)) for name in ("a.pt", "b.pth"))
    np.testing.assert_array_equal(first, second)


def test_weights_are_named_by_full_path_and_digest_and_random_ones_say_so(tmp_path, weights, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = build(tmp_path, weights="weights.safetensors").identity
    assert named.weights == weights.resolve().as_posix()
    assert named == build(tmp_path, weights=str(weights)).identity
    drawn = build(tmp_path, weights="random").identity
    assert drawn.weights == "random"
    assert drawn.weights_sha256 not in ("", named.weights_sha256)
    assert drawn != build(tmp_path, weights="random", window=2.0).identity


def test_random_weights_leave_other_random_numbers_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build(tmp_path, weights="random")
    assert torch.equal(torch.rand(1), expected)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path, save):
    save({"a": Hostile(str(tmp_path / "ran"))}, tmp_path / "w.pt")
    with pytest.raises(WeightsMissing, match="holds no weights that can be read without running code"):
        build(tmp_path, weights=str(tmp_path / "w.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "can be read without running code"),
        (b"junk" * 100, "can be read without running code"),
        (b"\x10\0\0\0\0\0\0\0{junk", "can be read without running code"),
        ([1, 2], "holds no table of tensors"),
        ({"a": torch.zeros(1)}, "does not fit .*network.json"),
        (None, "There is no file"),
    ],
)
def test_a_file_that_holds_no_fitting_weights_is_named(tmp_path, content, match):
    file = tmp_path / "w.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(WeightsMissing, match=match):
        build(tmp_path, weights=str(file))


def test_weights_cut_short_are_refused(tmp_path, weights):
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsMissing, match=r"weights\.safetensors"):
        build(tmp_path, weights=str(weights))


def test_a_network_of_ones_own_needs_weights(tmp_path):
    with pytest.raises(BadValue, match=r"comes without weights\. Give them with --weights"):
        build(tmp_path)


def test_weights_in_torch_hubs_cache_are_used_unasked_and_those_not_there_are_named_fast(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert _pipelines.hub_file("HUBERT_BASE").parent == tmp_path.joinpath("hub/checkpoints")
    assert torch.hub.get_dir() == str(tmp_path / "hub")

    def refused(address, timeout):
        raise ConnectionRefusedError(f"{address} in {timeout} s")

    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(WeightsMissing, match=r"HUBERT_BASE are not on this machine .*hubert_fairseq_base_ls960.pth.*--weights.*log-mel"):
        torchaudio_pipelines.build(EncoderOptions(model="HUBERT_BASE", device="cpu"))
    file = _pipelines.hub_file("HUBERT_BASE")
    file.parent.mkdir(parents=True)
    torch.save({"a": torch.zeros(1)}, file)
    assert [offer.model for offer in torchaudio_pipelines.offers() if offer.is_here] == ["HUBERT_BASE"]
    monkeypatch.setattr(_pipelines.Architecture, "network", lambda self: own("Wav2Vec2", "group_norm"))
    for weights in (None, "own"):
        with pytest.raises(WeightsMissing, match="does not fit HUBERT_BASE"):  # they were found and read
            torchaudio_pipelines.build(EncoderOptions(model="HUBERT_BASE", weights=weights, device="cpu"))


def test_weights_that_are_fetched_are_read_from_where_torch_hub_keeps_them(tmp_path, monkeypatch):
    fetched = []

    def fetch(address, target, reporter):
        fetched.append((address, target))
        target.parent.mkdir(parents=True)
        torch.save(own("Wav2Vec2", "group_norm").state_dict(), target)
        return target

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: socket.socket())
    monkeypatch.setattr("milkprep.download.fetch", fetch)
    monkeypatch.setattr(_pipelines.Architecture, "network", lambda self: own("Wav2Vec2", "group_norm", seed=1))
    for _ in range(2):
        encoder = torchaudio_pipelines.build(EncoderOptions(model="HUBERT_BASE", device="cpu"))
        assert encoder.identity.weights == "HUBERT_BASE"
        assert torch.equal(
            encoder._network.feature_extractor.conv_layers[0].conv.weight, own("Wav2Vec2", "group_norm").feature_extractor.conv_layers[0].conv.weight
        )
    assert fetched == [("https://download.pytorch.org/torchaudio/models/hubert_fairseq_base_ls960.pth", _pipelines.hub_file("HUBERT_BASE"))]
