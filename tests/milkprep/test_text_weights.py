"""Weights of text networks in folders: whole and safe, or refused by name."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_transformer
import torch
from safetensors.torch import load_file, save_file

from milkprep import extractors
from milkprep.encoder import EncoderOptions
from schemas.contracts import Modality
from schemas.errors import WeightsMissing

TEXTS = ["a", "A red card", "!!!", "word12 blue", *("card " * n_words for n_words in (3, 17, 120))]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return tiny_transformer.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tiny"))


def build(folder: Path):
    return extractors.resolve(Modality.TEXT, str(folder)).build(EncoderOptions(device="cpu"))


def embed(encoder, texts) -> np.ndarray:
    return encoder.encode([encoder.decode(text) for text in texts])


def as_torch_file(folder: Path) -> Path:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_file_of_torch_that_holds_tensors_only_gives_the_same_vectors(tiny):
    safe = build(tiny)
    from_torch = build(as_torch_file(tiny))
    np.testing.assert_array_equal(embed(from_torch, TEXTS), embed(safe, TEXTS))
    assert from_torch.identity.weights_sha256 == hashlib.sha256((tiny / "pytorch_model.bin").read_bytes()).hexdigest()


class Trap:
    """Opens a file for writing when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("save", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap))], ids=["torch", "bare"])
def test_a_pickle_that_could_run_code_is_refused_and_runs_nothing(tiny, save):
    (tiny / "model.safetensors").unlink()
    save({"embeddings.word_embeddings.weight": Trap(tiny / "ran")}, tiny / "pytorch_model.bin")
    with pytest.raises(WeightsMissing, match="can run code and are not read"):
        build(tiny)
    assert not (tiny / "ran").exists()


def test_a_file_of_torch_beside_safetensors_is_not_looked_at(tiny):
    expected = build(tiny)
    (tiny / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tiny / "ran")))
    assert build(tiny).identity == expected.identity
    assert not (tiny / "ran").exists()


def test_code_that_comes_with_a_model_is_not_run(tiny):
    config = json.loads((tiny / "config.json").read_text())
    config.update(model_type="mine", auto_map={"AutoConfig": "mine.Config", "AutoModel": "mine.Model"})
    (tiny / "config.json").write_text(json.dumps(config))
    (tiny / "mine.py").write_text(f"open({str(tiny / 'ran')!r}, 'w')")
    with pytest.raises(WeightsMissing, match="cannot be loaded"):
        build(tiny)
    assert not (tiny / "ran").exists()


def test_weights_that_are_not_whole_are_refused_rather_than_made_up(tiny):
    tensors = load_file(tiny / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"], tensors["pooler.dense.weight"]
    save_file(tensors, tiny / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsMissing, match=r"lack encoder.layer.1.output.dense.weight and 0 more"):
        build(tiny)


def test_a_pooler_that_nothing_uses_may_be_missing(tiny):
    expected = embed(build(tiny), ["a red card"])
    tensors = load_file(tiny / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler")}, tiny / "model.safetensors", metadata={"format": "pt"}
    )
    np.testing.assert_array_equal(embed(build(tiny), ["a red card"]), expected)


@pytest.mark.parametrize("content", [b"", b"junk" * 100, None])
def test_a_damaged_weights_file_is_named(tiny, content):
    whole = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(whole[:1000] if content is None else content)
    with pytest.raises(WeightsMissing, match="cannot be loaded"):
        build(tiny)


def test_weights_in_half_precision_are_computed_in_single(tiny):
    tensors = load_file(tiny / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, tiny / "model.safetensors", metadata={"format": "pt"})
    assert build(tiny)._model.dtype == torch.float32


def test_weights_in_parts_have_a_digest_of_all_parts(tiny):
    tensors = load_file(tiny / "model.safetensors")
    whole = build(tiny)
    (tiny / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for part, members in parts.items():
        save_file({name: tensors[name] for name in members}, tiny / part, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: part for part, members in parts.items() for name in members}}
    (tiny / "model.safetensors.index.json").write_text(json.dumps(index))
    split = build(tiny)
    np.testing.assert_array_equal(embed(split, TEXTS), embed(whole, TEXTS))
    assert split.identity.weights_sha256 != whole.identity.weights_sha256
    (tiny / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsMissing, match=r"lacks model-00002-of-00002\.safetensors"):
        build(tiny)
