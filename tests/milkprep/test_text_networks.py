"""Kinds of text networks: each against its own forward pass, poolings worked by hand, longest inputs, and random weights."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny_transformer
import torch
import transformers

from milkprep import extractors
from milkprep.encoder import EncoderOptions, OutOfMemory
from milkprep.extractors import transformers_text
from schemas.contracts import Modality
from schemas.errors import BadValue, WeightsMissing

TEXTS = ["a", "a red card", "word12 !", *("card " * n for n in (3, 17, 40)), "blue"] * 5
N_WORDS = len(tiny_transformer.WORDS)
SMALL = {"vocab_size": N_WORDS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def write(folder, network):
    """A network of any kind in a folder, with the tiny tokenizer."""
    tiny_transformer.write(folder)
    (folder / "model.safetensors").unlink()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network().save_pretrained(folder)
    return folder


NETWORKS = {
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**SMALL, max_position_embeddings=64)),
    "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**SMALL, max_position_embeddings=40, pad_token_id=1, type_vocab_size=1)),
    "mpnet": lambda: transformers.MPNetModel(transformers.MPNetConfig(**SMALL, max_position_embeddings=40)),
    "gpt2": lambda: transformers.GPT2Model(transformers.GPT2Config(vocab_size=N_WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=64)),
    "llama": lambda: transformers.LlamaModel(transformers.LlamaConfig(**SMALL, max_position_embeddings=64, num_key_value_heads=1)),
    "t5": lambda: transformers.T5Model(transformers.T5Config(vocab_size=N_WORDS, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for kind, network in NETWORKS.items():
        made[kind] = write(tmp_path_factory.mktemp(kind), network)
    return made


def build(**options):
    return extractors.resolve(Modality.TEXT, "transformers-text").build(EncoderOptions(device="cpu", **options))


def embed(encoder, texts, *, batch_size=4) -> np.ndarray:
    decoded = [encoder.decode(text) for text in texts]
    return np.concatenate([encoder.encode(decoded[start : start + batch_size]) for start in range(0, len(texts), batch_size)])


def one_by_one(folder, kind, pooling, max_length) -> np.ndarray:
    """The network's own forward pass of each text alone, without any padding."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = (transformers.T5EncoderModel if kind == "t5" else transformers.AutoModel).from_pretrained(folder).eval()
    pooled = {"mean": lambda states: states.mean(0), "cls": lambda states: states[0], "last": lambda states: states[-1]}[pooling]
    with torch.inference_mode():
        ids = [tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")["input_ids"] for text in TEXTS]
        return np.stack([pooled(network(input_ids=one).last_hidden_state[0]).numpy() for one in ids])


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_vectors_are_those_of_the_networks_own_forward_in_any_batch(folders, kind, pooling):
    encoder = build(weights=str(folders[kind]), pooling=pooling)
    expected = one_by_one(folders[kind], kind, pooling, encoder.identity.parameters["max_length"])
    for batch_size in (1, 7, 32):
        np.testing.assert_allclose(embed(encoder, TEXTS, batch_size=batch_size), expected, atol=1e-5)
    assert encoder.identity.pooling == pooling


STATES = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [50.0, 60.0]], [[70.0, 80.0], [1.0, 1.0], [5.0, 9.0]], [[0.0, 3.0], [3.0, 0.0], [6.0, 6.0]]])
MASK = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1]])  # padded right, padded left, whole


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", [[2, 4], [3, 5], [3, 3]]), ("cls", [[1, 2], [1, 1], [0, 3]]), ("last", [[3, 6], [5, 9], [6, 6]])],
)
def test_poolings_see_real_tokens_only_wherever_the_padding_is(pooling, expected):
    assert transformers_text._pooled(STATES, MASK, pooling).tolist() == expected


@pytest.mark.parametrize(("kind", "limit"), [("bert", 64), ("roberta", 38), ("mpnet", 38), ("gpt2", 64)])
def test_the_longest_input_is_what_the_positions_allow(folders, kind, limit):
    """RoBERTa and MPNet count from behind the padding's number 1: 40 positions hold 38 tokens."""
    encoder = build(weights=str(folders[kind]))
    assert encoder.identity.parameters["max_length"] == limit
    assert np.isfinite(embed(encoder, ["card " * 100])).all()
    with pytest.raises(BadValue, match=f"takes 3 to {limit} tokens"):
        build(weights=str(folders[kind]), max_length=limit + 1)


def test_without_a_token_for_padding_another_one_is_masked(folders, tmp_path):
    folder = shutil.copytree(folders["gpt2"], tmp_path / "gpt2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert transformers.AutoTokenizer.from_pretrained(folder).pad_token_id is None
    np.testing.assert_allclose(embed(build(weights=str(folder)), TEXTS), embed(build(weights=str(folders["gpt2"])), TEXTS), atol=1e-5)


def test_a_prefix_is_put_before_every_text_and_is_part_of_the_name(folders):
    plain, prefixed = build(weights=str(folders["bert"])), build(weights=str(folders["bert"]), prefix="blue ")
    np.testing.assert_array_equal(embed(prefixed, ["card"]), embed(plain, ["blue card"]))
    assert prefixed.identity.parameters == {**plain.identity.parameters, "prefix": "blue "}


def test_what_was_not_asked_for_is_no_part_of_the_name(folders):
    assert set(build(weights=str(folders["bert"]), precision="fp32").identity.parameters) == {"max_length", "normalise", "settings_sha256"}


def test_half_precision_is_part_of_the_name_and_near(folders):
    exact, half = build(weights=str(folders["bert"])), build(weights=str(folders["bert"]), precision="bf16")
    assert half.identity.parameters["precision"] == "bf16"
    difference = np.abs(embed(exact, TEXTS) - embed(half, TEXTS)).max()
    assert 0 < difference < 0.1


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama", "t5"])
def test_random_weights_are_drawn_from_a_fixed_seed_and_named_so(folders, kind, tmp_path):
    described = shutil.copytree(folders[kind], tmp_path / kind)
    (described / "model.safetensors").unlink()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(weights="random", model=str(described))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    second = build(weights="random", model=str(described))
    assert first.identity == second.identity
    assert first.identity.weights == "random"
    assert len(first.identity.weights_sha256) == 64
    assert first.identity.parameters["model"] == described.as_posix()
    np.testing.assert_array_equal(embed(first, TEXTS), embed(second, TEXTS))
    assert not np.allclose(embed(first, TEXTS), embed(build(weights=str(folders[kind])), TEXTS))


def test_random_weights_want_a_network_that_is_described(tmp_path):
    with pytest.raises(WeightsMissing, match=r"holds no config\.json.*--model"):
        build(weights="random", model=str(tmp_path))


def test_many_threads_may_decode_at_once(folders):
    encoder = build(weights=str(folders["bert"]), max_length=12)
    alone = [encoder.decode(text).tolist() for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        assert [ids.tolist() for ids in pool.map(encoder.decode, TEXTS * 20)] == alone * 20


def test_tokens_are_those_of_the_tokenizers_own_call(folders):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["bert"])
    encoder = build(weights=str(folders["bert"]), max_length=12)
    for text in [*TEXTS, "[SEP] card", "Ünï cödé \u200b", "x" * 500]:
        assert encoder.decode(text).tolist() == tokenizer(text, truncation=True, max_length=12)["input_ids"]


def test_a_full_memory_is_told_to_the_engine(folders, monkeypatch):
    encoder = build(weights=str(folders["bert"]))

    def full(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(encoder, "_model", full)
    with pytest.raises(OutOfMemory, match="out of memory"):
        encoder.encode([encoder.decode("a")])
