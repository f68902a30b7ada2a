"""torchaudio's pipelines: the vectors of the library's own networks, and weights that fit, run nothing, and are named."""

import json
import os
import pickle
import socket

import numpy as np
import pytest
import tiny_sound_models
import torch
from media_samples import tone, write_wav
from safetensors.torch import save_file
from torchaudio import pipelines
from torchaudio.models import wav2vec2_model, wavlm_model
from torchaudio.pipelines import Wav2Vec2Bundle

from milkprep.encoder import EncoderOptions
from milkprep.extractors import _pipelines, torchaudio_pipelines
from schemas.errors import BadValue, UnknownName, WeightsMissing

KINDS = [("Wav2Vec2", "group_norm", False), ("Wav2Vec2", "layer_norm", True), ("WavLM", "group_norm", False), ("WavLM", "layer_norm", True)]
FACTORIES = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}


def own(kind: str, mode: str, *, seed: int = 7) -> torch.nn.Module:
    """One of torchaudio's networks, as the library makes it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FACTORIES[kind](**tiny_sound_models.pipeline_settings(mode=mode, kind=kind)).eval()


def build(tmp_path, *, kind="Wav2Vec2", mode="group_norm", normalises=False, **options):
    file = tiny_sound_models.write_pipeline(tmp_path / "network.json", mode=mode, kind=kind, normalises=normalises)
    return torchaudio_pipelines.build(EncoderOptions(model=str(file), device="cpu", **options))


def noise(*lengths: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, n).astype(np.float32) for n in lengths]


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(own("Wav2Vec2", "group_norm").state_dict(), file)
    return file


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


def test_the_rate_is_brought_to_the_networks(tmp_path):
    encoder = build(tmp_path, weights="random")
    assert encoder.decode(write_wav(tmp_path / "a.wav", tone(0.5, rate=8000), rate=8000)).shape == (8000,)
