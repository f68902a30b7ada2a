"""The text towers of open_clip: the same tokens and vectors as the library's own, and weights that are safe or refused."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import tiny_clip_text
import torch

from milkprep import extractors
from milkprep.encoder import EncoderOptions, OutOfMemory
from milkprep.extractors import open_clip_text
from schemas.contracts import Modality
from schemas.errors import BadValue, UnknownName, WeightsMissing

TEXTS = ["a", "A red card", "Grüße &amp; 日本語 🎁", "!!!", *(" ".join(["card"] * n) for n in (3, 17, 18, 19, 200)), "e\u0301", "x" * 900] * 3


def build(**options):
    return extractors.resolve(Modality.TEXT, "open-clip-text").build(EncoderOptions(device="cpu", **options))


def embed(encoder, texts, *, batch_size=4) -> np.ndarray:
    decoded = [encoder.decode(text) for text in texts]
    return np.concatenate([encoder.encode(decoded[start : start + batch_size]) for start in range(0, len(texts), batch_size)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clip_text.write(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def expected(folder):
    """The library's own way, all texts at once."""
    network = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.inference_mode():
        return network.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)).numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_vectors_are_those_of_the_library(folder, expected, batch_size):
    np.testing.assert_allclose(embed(build(weights=str(folder)), TEXTS, batch_size=batch_size), expected, atol=1e-5)


def test_a_file_of_torch_that_holds_tensors_only_gives_the_same_vectors(tmp_path, expected):
    encoder = build(weights=str(tiny_clip_text.write(tmp_path / "torch", suffix=".bin")))
    np.testing.assert_allclose(embed(encoder, TEXTS), expected, atol=1e-5)


class Trap:
    """Opens a file for writing when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_could_run_code_is_refused_and_runs_nothing(folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "ran"), protocol=2))
    with pytest.raises(WeightsMissing, match="can run code and are not read"):
        build(weights=str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_a_prefix_is_put_before_every_text_and_is_part_of_the_name(folder):
    plain, prefixed = build(weights=str(folder)), build(weights=str(folder), prefix="a photo of ")
    np.testing.assert_array_equal(embed(prefixed, ["a card"]), embed(plain, ["a photo of a card"]))
    assert prefixed.identity != plain.identity


def test_settings_of_a_folder_are_part_of_the_name(folder, tmp_path):
    other = tiny_clip_text.write(tmp_path / "other")
    settings = json.loads((other / "open_clip_config.json").read_text())
    settings["model_cfg"]["quick_gelu"] = True
    (other / "open_clip_config.json").write_text(json.dumps(settings))
    first, second = build(weights=str(folder)).identity, build(weights=str(other)).identity
    assert first.weights_sha256 == second.weights_sha256
    assert first.parameters["settings_sha256"] != second.parameters["settings_sha256"]


def test_a_network_with_too_few_tokens_for_its_tokenizer_is_refused(tmp_path):
    with pytest.raises(WeightsMissing, match="knows 64 tokens and its tokenizer makes 49408"):
        build(weights=str(tiny_clip_text.write(tmp_path / "small", vocab_size=64)))


def test_many_threads_may_decode_at_once(folder):
    encoder = build(weights=str(folder))
    alone = [encoder.decode(text).tolist() for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        assert [ids.tolist() for ids in pool.map(encoder.decode, TEXTS)] == alone


def test_of_a_text_without_end_only_what_could_matter_is_read(folder):
    encoder = build(weights=str(folder))
    np.testing.assert_array_equal(encoder.decode("ab" * 1_000 + "c" * 10_000_000), encoder.decode("ab" * 1_000))


def test_a_full_memory_is_told_to_the_engine(folder, monkeypatch):
    encoder = build(weights=str(folder))

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(encoder, "_encode_text", full)
    with pytest.raises(OutOfMemory, match="out of memory"):
        encoder.encode([encoder.decode("a")])


def test_half_precision_is_part_of_the_name_and_near(folder, expected):
    encoder = build(weights=str(folder), precision="bf16")
    assert encoder.identity.parameters["precision"] == "bf16"
    found = embed(encoder, TEXTS)
    assert np.abs(found - expected).max() < 0.1
    assert np.abs(found - expected).max() > 0


def test_a_tokenizer_that_is_nowhere_is_named_within_seconds(monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(WeightsMissing, match=r"The tokenizer owner/none is not on this machine.*--weights"):
        open_clip_text._require("owner/none")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": "ViT-B-33", "weights": "random"}, UnknownName, "Did you mean 'ViT-B-32'"),
        ({"max_length": 5}, BadValue, "--max-length means nothing"),
        ({"weights": "none-such"}, WeightsMissing, "neither a tag of ViT-B-32"),
    ],
)
def test_what_cannot_be_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        build(**options)
