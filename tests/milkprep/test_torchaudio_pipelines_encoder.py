"""torchaudio's pipelines: the vectors of the library's own networks, whatever the batch."""

import json

import numpy as np
import pytest
import tiny_sound_models
import torch
from media_samples import tone, write_wav
from pipeline_networks import KINDS, build, noise, own
from safetensors.torch import save_file
from torchaudio import pipelines
from torchaudio.pipelines import Wav2Vec2Bundle

from milkprep.encoder import EncoderOptions
from milkprep.extractors import _pipelines, torchaudio_pipelines
from schemas.errors import BadValue, UnknownName


@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize(("kind", "mode", "normalises"), KINDS)
def test_vectors_are_means_of_the_librarys_last_layer(tmp_path, kind, mode, normalises, batch_size):
    network = own(kind, mode)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    encoder = build(tmp_path, kind=kind, mode=mode, normalises=normalises, weights=str(tmp_path / "w.safetensors"))
    sounds = noise(52, 91, 92, 400, 400, 1000, 2345, 400, 16_000, 52, 91, 3000)
    network = pipelines._wav2vec2.utils._extend_model(network, normalize_waveform=normalises)  # as a bundle does
    with torch.inference_mode():
        expected = [network.extract_features(torch.from_numpy(sound)[None])[0][-1][0].mean(dim=0).numpy() for sound in sounds]
    found = np.concatenate([encoder.encode(sounds[start : start + batch_size]) for start in range(0, len(sounds), batch_size)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["group_norm", "layer_norm"])
def test_a_padded_window_has_the_vector_it_has_alone(tmp_path, mode):
    encoder = build(tmp_path, mode=mode, weights="random")
    windows = [window + np.float32(0.05) for window in noise(3000, 2345, 400, 92, 91, 52)]
    with torch.inference_mode():
        expected = [encoder._network.extract_features(torch.from_numpy(window)[None])[0][-1][0].mean(dim=0).numpy() for window in windows]
    np.testing.assert_allclose(encoder._forward(windows), expected, atol=1e-5)
    assert np.abs(expected - encoder._forward([np.pad(window, (0, 3000 - len(window))) for window in windows]))[1:].max(axis=1).min() > 1e-3


@pytest.mark.parametrize(
    ("kind", "mode", "device", "n_passes"),
    [
        ("Wav2Vec2", "group_norm", "cpu", 2), ("Wav2Vec2", "group_norm", "cuda", 1), ("Wav2Vec2", "layer_norm", "cpu", 1),
        ("WavLM", "layer_norm", "cuda", 2),
    ],
)  # fmt: skip
def test_windows_of_several_lengths_share_a_pass_where_that_pays_and_is_exact(tmp_path, monkeypatch, kind, mode, device, n_passes):
    encoder = build(tmp_path, kind=kind, mode=mode, weights="random")
    passes = []
    monkeypatch.setattr(encoder, "_device", torch.device(device))
    monkeypatch.setattr(encoder, "_forward", lambda windows: passes.append(len(windows)) or np.zeros((len(windows), 16), dtype=np.float32))
    encoder.encode(noise(400, 400, 500))
    assert len(passes) == n_passes


@pytest.mark.parametrize(("kind", "mode", "normalises"), KINDS)
def test_long_sound_is_the_mean_of_its_windows_by_length(tmp_path, kind, mode, normalises):
    encoder = build(tmp_path, kind=kind, mode=mode, normalises=normalises, weights="random", window=0.1)
    sound = noise(2 * 1600 + 300)[0]
    first, second, rest = (encoder.encode([sound[start : start + 1600]])[0] for start in (0, 1600, 3200))
    np.testing.assert_allclose(encoder.encode([sound])[0], (1600 * first + 1600 * second + 300 * rest) / 3500, atol=1e-5)


def test_a_remainder_without_one_step_of_time_belongs_to_the_window_before(tmp_path):
    encoder = build(tmp_path, weights="random", window=0.1)
    whole = build(tmp_path, weights="random", window=0.2)
    sound = noise(1600 + 51)[0]
    np.testing.assert_allclose(encoder.encode([sound]), whole.encode([sound]), atol=1e-6)


def test_ten_seconds_in_windows_take_passes_of_bounded_size(tmp_path, monkeypatch):
    encoder = build(tmp_path, weights="random", window=1.0)
    expected = encoder.encode(noise(160_000))
    monkeypatch.setattr("milkprep.extractors._sounds.PASS_SECONDS", {"cpu": 3})
    shapes, forward = [], encoder._network.extract_features
    monkeypatch.setattr(encoder._network, "extract_features", lambda waves, *rest: shapes.append(tuple(waves.shape)) or forward(waves, *rest))
    np.testing.assert_allclose(encoder.encode(noise(160_000)), expected, atol=1e-6)
    assert shapes == [(3, 16_000)] * 3 + [(1, 16_000)]


def test_a_real_class_with_random_weights_gives_its_own_vectors():
    bundle = pipelines.WAV2VEC2_BASE
    encoder = torchaudio_pipelines.build(EncoderOptions(weights="random", device="cpu"))
    sound = noise(4000)[0]
    with torch.inference_mode():
        layers, _ = encoder._network.extract_features(torch.from_numpy(sound)[None])
    assert sum(weight.numel() for weight in encoder._network.parameters()) == 94_371_712 - 768  # wav2vec 2.0 base, without its mask
    np.testing.assert_allclose(encoder.encode([sound])[0], layers[-1][0].mean(dim=0).numpy(), atol=1e-5)
    assert (encoder.identity.width, encoder.identity.parameters["layer"], encoder.identity.parameters["window"]) == (768, 12, 480_000)
    assert (encoder.identity.weights, encoder.preparation) == ("random", {"rate": int(bundle.sample_rate), "shortest": 400})


def test_the_table_of_pipelines_is_torchaudios():
    known = {name: getattr(pipelines, name) for name in dir(pipelines) if isinstance(getattr(pipelines, name), Wav2Vec2Bundle)}
    known.pop("MMS_FA")  # for aligning words
    assert {name: (bundle._params["encoder_embed_dim"], bundle._path) for name, bundle in known.items()} == _pipelines.BUNDLES
    untaught = {name for name, bundle in known.items() if type(bundle) is Wav2Vec2Bundle}  # nobody taught them to transcribe
    assert {offer.model for offer in torchaudio_pipelines.offers()} == untaught


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": "WAV2VEC_BASE"}, UnknownName, "Did you mean 'WAV2VEC2_BASE'"),
        ({"model": "nowhere.json"}, BadValue, "nowhere.json describes no network"),
        ({"weights": "random", "window": 0.02}, BadValue, "--window 0.02 is out of range"),
        ({"weights": "random", "precision": "fp16"}, BadValue, "--precision fp16 is for GPUs"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, error, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        torchaudio_pipelines.build(EncoderOptions(device="cpu", **options))


@pytest.mark.parametrize(
    "change",
    [{"kind": "BERT"}, {"rate": 5}, {"settings": {}}, {"settings": 3}, {"rate": "fast"}, {"settings": {"extractor_conv_layer_config": [[8, 3]]}}],
)
def test_a_description_of_no_network_is_refused(tmp_path, change):
    file = tiny_sound_models.write_pipeline(tmp_path / "a.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BadValue, match=r"a\.json describes no network"):
        torchaudio_pipelines.build(EncoderOptions(model=str(file), weights="random"))


@pytest.mark.parametrize(("kind", "mode", "normalises"), KINDS)
def test_bf16_is_close_and_another_feature_set(tmp_path, kind, mode, normalises):
    exact, rough = (
        build(tmp_path, kind=kind, mode=mode, normalises=normalises, weights="random", precision=precision) for precision in ("fp32", "bf16")
    )
    assert exact.identity != rough.identity
    for encode in ("encode", "_forward") if kind == "Wav2Vec2" else ("encode",):  # the latter pads
        found, expected = (getattr(encoder, encode)(noise(4000, 4000, 3000)) for encoder in (rough, exact))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=0.1)


def test_the_rate_is_brought_to_the_networks(tmp_path):
    encoder = build(tmp_path, weights="random")
    assert encoder.decode(write_wav(tmp_path / "a.wav", tone(0.5, rate=8000), rate=8000)).shape == (8000,)
