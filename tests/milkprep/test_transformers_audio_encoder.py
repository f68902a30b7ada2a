"""Sound networks of transformers: the vectors of the model's own feature extractor and forward, and no chance in them."""

import json
import shutil

import numpy as np
import pytest
import tiny_sound_models
import torch
import transformers
from media_samples import write_wav
from safetensors.torch import load_file, save_file

from milkprep.encoder import EncoderOptions
from milkprep.extractors import _sound_networks, _weights, transformers_audio
from schemas.errors import BadValue, WeightsMissing

#: Name -> kind, whether CLAP's is fused, samples of a window (of a second for the ones that take any length).
MODELS = {
    "ast": ("ast", False, 10_240), "clap": ("clap", False, 8_000), "fused clap": ("clap", True, 8_000), "wav2vec2": ("wav2vec2", False, 16_000),
    "hubert": ("hubert", False, 16_000), "wavlm": ("wavlm", False, 16_000),
}  # fmt: skip
RATES = {"clap": 8_000}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: tiny_sound_models.write_transformers(folder / name, kind, fused=fused) for name, (kind, fused, _) in MODELS.items()}


@pytest.fixture
def clap(pristine, tmp_path):
    return shutil.copytree(pristine["clap"], tmp_path / "clap")


def build(folder, **options):
    return transformers_audio.build(EncoderOptions(weights=str(folder), device="cpu", **options))


def own_vector(folder, samples: np.ndarray) -> np.ndarray:
    """What the library's own classes make of sound no longer than a window."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    network = transformers.ClapAudioModelWithProjection if kind == "clap" else transformers.AutoModel
    inputs = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if kind == "clap":
        inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)  # its extractor says so of a random one of every batch
    with torch.inference_mode():
        output = network.from_pretrained(folder).eval()(**inputs)
    if kind == "clap":
        return output.audio_embeds[0].numpy()
    return (output.pooler_output if "spectrogram" in kind else output.last_hidden_state.mean(dim=1))[0].numpy()


def noise(n: int, seed: int = 0) -> np.ndarray:
    """(T,) float32 of numbers that a 16-bit file holds exactly."""
    return (np.random.default_rng(seed).integers(-8000, 8000, n) / 32768).astype(np.float32)


def decoded(encoder, tmp_path, sounds, rate):
    files = [tmp_path / f"{place}.wav" for place in range(len(sounds))]
    return [encoder.decode(write_wav(file, sound * (32768 / 32767), rate=rate)) for file, sound in zip(files, sounds, strict=True)]


@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_the_models_own_extractor_and_forward(pristine, tmp_path, name, batch_size):
    kind, _, window = MODELS[name]
    sounds = [noise(n, seed=n) for n in (400, 700, 1500, 1500, 4000, 7999, 8000, window, 1500, 401)]
    expected = [own_vector(pristine[name], sound) for sound in sounds]
    encoder = build(pristine[name])
    contents = decoded(encoder, tmp_path, sounds, RATES.get(kind, 16_000))
    found = np.concatenate([encoder.encode(contents[start : start + batch_size]) for start in range(0, len(contents), batch_size)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_long_sound_is_the_mean_of_its_windows_by_length_and_always_the_same(pristine, tmp_path, name):
    kind, _, window = MODELS[name]
    sound = noise(2 * window + 3_000)
    expected = sum(
        share * own_vector(pristine[name], sound[start:stop])
        for share, start, stop in ((window, 0, window), (window, window, 2 * window), (3_000, 2 * window, None))
    ) / len(sound)
    encoder = build(pristine[name], **({} if kind in ("ast", "clap") else {"window": 1.0}))
    (content,) = decoded(encoder, tmp_path, [sound], RATES.get(kind, 16_000))
    np.testing.assert_allclose(encoder.encode([content])[0], expected, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode([content]), encoder.encode(decoded(encoder, tmp_path, [sound], RATES.get(kind, 16_000))))


@pytest.mark.parametrize(("name", "dropped"), [("ast", 399), ("clap", 255)])
def test_a_remainder_without_one_frame_is_dropped(pristine, tmp_path, name, dropped):
    kind, _, window = MODELS[name]
    encoder = build(pristine[name])
    contents = decoded(encoder, tmp_path, [noise(window), noise(window + dropped), noise(window + dropped + 1)], RATES.get(kind, 16_000))
    assert [len(content) for content in contents] == [1, 1, 2]
    assert contents[2][1, -1, 0] == dropped + 1


def test_a_clap_checkpoint_gives_its_audio_tower_and_the_width_of_its_projection(pristine):
    encoder = build(pristine["clap"])
    assert type(encoder._network).__name__ == "ClapAudioModelWithProjection"
    assert (encoder.identity.width, encoder.identity.parameters["kind"]) == (12, "clap_audio_model")


@pytest.mark.parametrize(("model", "width", "window"), [("ast", 768, 163_840), ("clap", 512, 480_000)])
def test_random_weights_of_the_real_kinds_are_told_and_drawn_once(model, width, window, monkeypatch):
    small = {"num_hidden_layers": 1} if model == "ast" else {"depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]}
    config = _sound_networks.KINDS[_sound_networks.SHORT[model]][2]
    made = getattr(transformers, config)(**small)
    monkeypatch.setattr(transformers, config, lambda: made)
    first, second = (transformers_audio.build(EncoderOptions(model=model, weights="random", device="cpu")) for _ in range(2))
    assert (first.identity.weights, first.identity.width, first.identity.parameters["window"]) == ("random", width, window)
    assert first.identity == second.identity
    assert all(torch.equal(a, b) for a, b in zip(first._network.parameters(), second._network.parameters(), strict=True))


def test_random_weights_of_a_folder_are_not_its_own(pristine, tmp_path):
    drawn = transformers_audio.build(EncoderOptions(model=str(pristine["ast"]), weights="random", device="cpu"))
    contents = decoded(drawn, tmp_path, [noise(5000)], 16_000)
    assert drawn.identity.weights == "random"
    assert np.abs(drawn.encode(contents) - build(pristine["ast"]).encode(contents)).max() > 0.01


@pytest.mark.parametrize("name", MODELS)
def test_bf16_is_close_and_another_feature_set(pristine, tmp_path, name):
    exact, rough = (build(pristine[name], precision=precision) for precision in ("fp32", "bf16"))
    assert exact.identity != rough.identity
    contents = decoded(exact, tmp_path, [noise(5000), noise(4000)], RATES.get(MODELS[name][0], 16_000))
    np.testing.assert_allclose(rough.encode(contents), exact.encode(contents), atol=0.1)


def test_pickled_weights_are_never_read(clap):
    torch.save(load_file(clap / "model.safetensors"), clap / "pytorch_model.bin")
    (clap / "model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match=r"lacks model\.safetensors"):
        build(clap)


def test_weights_that_are_not_whole_are_refused_rather_than_made_up(clap):
    tensors = load_file(clap / "model.safetensors")
    name = next(name for name in sorted(tensors) if name.startswith("audio_projection"))
    del tensors[name]
    save_file(tensors, clap / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsMissing, match=f"lack {name}"):
        build(clap)


def change(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"truncation": "fusion"}, BadValue, "does not go with its network"),
        ({"feature_size": 32}, BadValue, "does not go with its network"),
        ({"max_length_s": 700}, BadValue, "does not go with its network"),
        ({"sampling_rate": 10**9}, BadValue, "does not go with its network"),
        ({"hop_length": "long", "sampling_rate": "fast"}, WeightsMissing, "does not say how sound is prepared"),
    ],
)
def test_a_feature_extractor_that_does_not_go_with_its_network_is_refused(clap, changes, error, match):
    change(clap / "preprocessor_config.json", **changes)
    with pytest.raises(error, match=match):
        build(clap)


def test_a_folder_without_a_feature_extractor_is_refused(clap):
    (clap / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsMissing, match="does not say how sound is prepared"):
        build(clap)


def test_a_model_of_another_kind_is_refused_by_name(clap):
    change(clap / "config.json", model_type="bert")
    with pytest.raises(BadValue, match="of the kind bert, not one for sound"):
        build(clap)


def test_code_that_comes_with_a_model_is_not_run(clap):
    change(clap / "config.json", model_type="mine", auto_map={"AutoConfig": "mine.Config"})
    (clap / "mine.py").write_text(f"open({str(clap / 'ran')!r}, 'w')")
    with pytest.raises(BadValue, match="of the kind mine"):
        build(clap)
    assert not (clap / "ran").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"window": 5.0}, "--window cannot be chosen for this model: its windows are 1 s"),
        ({"model": "ast"}, "--model is for --weights random"),
        ({"precision": "fp16"}, "--precision fp16 is for GPUs"),
    ],
)
def test_options_that_make_no_sense_here_are_refused(clap, options, match):
    with pytest.raises(BadValue, match=match):
        build(clap, **options)


def test_a_network_that_nobody_knows_is_refused():
    with pytest.raises(BadValue, match=r"There is no network 'abacus'\. Give --model ast, clap"):
        transformers_audio.build(EncoderOptions(model="abacus", weights="random"))


def test_weights_that_are_nowhere_are_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(_weights, "_cached", lambda name: None)
    monkeypatch.setattr(_weights, "_fetched", lambda name, ways_out: (_ for _ in ()).throw(WeightsMissing(f"no {name}. {ways_out}")))
    with pytest.raises(WeightsMissing, match=r"no laion/clap-htsat-unfused\. .* with --weights.*log-mel"):
        transformers_audio.build(EncoderOptions())
    assert not any(offer.is_here for offer in transformers_audio.offers())


@pytest.mark.parametrize(("name", "trained"), [("ast", "ASTForAudioClassification"), ("wav2vec2", "Wav2Vec2ForCTC"), ("hubert", "HubertForCTC")])
def test_a_checkpoint_with_a_head_embeds_like_its_trunk(pristine, tmp_path, name, trained):
    folder = shutil.copytree(pristine[name], tmp_path / "headed")
    bare = build(folder)
    model = getattr(transformers, trained)(bare._network.config)
    trunk = getattr(model, model.base_model_prefix)
    trunk.load_state_dict(bare._network.state_dict())
    model.save_pretrained(folder)
    old = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}  # as published ones name them
    tensors = load_file(folder / "model.safetensors")
    for new, published in old.items():
        tensors = {key.replace(new, published): tensor for key, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    contents = decoded(bare, tmp_path, [noise(5000)], 16_000)
    np.testing.assert_array_equal(build(folder).encode(contents), bare.encode(contents))
