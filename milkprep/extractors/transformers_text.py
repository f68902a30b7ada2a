"""Text by any transformers encoder: tokens, one forward pass, and of the token vectors the mean, the first or the last.

Agrees with the sentence-transformers library on the same weights (a test holds it to 1e-5).

Source: Reimers and Gurevych 2019 (mean pooling).
"""

import json
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.encoder import EncoderOptions, Offer, l2_normalised, library_versions
from milkprep.extractors import _device, _text_networks, _weights
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODALITY = Modality.TEXT
ACCEPTS = frozenset({"model", "weights", "pooling", "prefix", "normalise", "max_length", "device", "precision"})
POOLINGS = ("mean", "cls", "last")
#: Well-known models and the length of their vectors; how they were trained to pool, and with which prefix, their own pages say.
KNOWN = (
    (_weights.MINILM, 384), ("sentence-transformers/all-mpnet-base-v2", 768), ("BAAI/bge-small-en-v1.5", 384), ("BAAI/bge-base-en-v1.5", 768),
    ("intfloat/e5-base-v2", 768), ("intfloat/multilingual-e5-base", 768),
)  # fmt: skip
#: Where weights come from that need not come from the hub.
ORIGIN = {_weights.MINILM: "offline extra, hub"}
BATCH_SIZE = {"cpu": 32, "mps": 32, "cuda": 256}


class TransformersText:
    """Encoder of texts; decoded is the token ids, (T,) int32 with 1 <= T <= max_length."""

    modality = MODALITY
    preparation = None
    budget = 1 << 22

    def __init__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", *, identity: EncoderIdentity, max_length: int, normalise: bool,
        prefix: str = "", precision: str = "fp32",
    ) -> None:  # fmt: skip
        """Wrap a loaded model.

        Args:
            model: a transformers model in evaluation mode, on its device.
            tokenizer: its tokenizer.
            identity: names the feature set, and the pooling.
            max_length: longest input in tokens, the special ones included.
            normalise: scale vectors to length 1.
            prefix: put before every text.
            precision: numbers it computes in.
        """
        self.identity = identity
        self.batch_size = BATCH_SIZE[model.device.type]
        self._model = model
        self._normalise, self._prefix, self._precision = normalise, prefix, precision
        self._device: torch.device = model.device
        self._pad = tokenizer.pad_token_id or 0  # padding is masked, so that any token does where there is none for it
        self._tokens = _tokens_of(tokenizer, max_length)

    def decode(self, content: str) -> NDArray[np.int32]:
        """Token ids, cut at `max_length`.

        Raises:
            DecodeFailure: if the tokenizer finds no token in the text.
        """
        tokens = self._tokens(self._prefix + content)
        if not tokens:
            raise undecodable("the text holds no token that the model knows")
        return np.asarray(tokens, dtype=np.int32)

    def size_of(self, decoded: NDArray[np.int32]) -> int:
        """Tokens."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """(B, width) float32.

        Raises:
            OutOfMemory: if the device does not hold the batch.
        """
        lengths = np.array([len(tokens) for tokens in batch])
        mask = np.arange(lengths.max()) < lengths[:, None]  # (B, T)
        ids = np.full(mask.shape, self._pad, dtype=np.int64)
        ids[mask] = np.concatenate(batch)
        with _device.computing(self._device, self._precision):
            ids_there = _device.on_device(ids, self._device)
            mask_there = _device.on_device(mask.astype(np.int64), self._device)
            states = self._model(input_ids=ids_there, attention_mask=mask_there).last_hidden_state  # (B, T, D)
            vectors = _pooled(states.float(), mask_there, self.identity.pooling).cpu().numpy()
        return l2_normalised(vectors) if self._normalise else vectors


def build(options: EncoderOptions) -> TransformersText:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, or not whole.
        BadValue: if the device, the pooling or the length is not possible.
    """
    pooling, prefix = options.pooling or "mean", options.prefix or ""
    if pooling not in POOLINGS:
        raise BadValue(f"There is no pooling {options.pooling!r} of tokens. Give --pooling {', '.join(POOLINGS)}.")
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    loaded = _text_networks.load(model=options.model, weights=options.weights)
    files, config = loaded.files, loaded.network.config
    if options.precision is None and precision == "fp16" and config.model_type in _text_networks.ENCODERS:
        precision = "bf16"  # the activations of T5 leave the range of fp16
    limit = _text_networks.longest_input(loaded.network, loaded.tokenizer)
    max_length = _max_length(options.max_length, weights=files, limit=limit)
    told = {"model": loaded.model, "prefix": prefix, "precision": precision if precision != "fp32" else None}
    identity = EncoderIdentity(
        encoder="transformers-text", weights=files.name, weights_sha256=files.sha256, width=int(config.hidden_size), pooling=pooling,
        parameters={
            "max_length": max_length, "normalise": options.normalise, "settings_sha256": files.settings_sha256(),
            **{name: value for name, value in told.items() if value},  # only where they say something: sets of before keep their names
        },
        versions=library_versions("torch", "transformers", "tokenizers"),
    )  # fmt: skip
    config.use_cache = False  # decoders would keep what only the next token needs
    network: Any = loaded.network
    return TransformersText(
        network.to(on), loaded.tokenizer, identity=identity, max_length=max_length, normalise=options.normalise, prefix=prefix, precision=precision
    )


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", name, width, ORIGIN.get(name, "hub, folder"), is_here=_weights.is_here(name)) for name, width in KNOWN]


def _tokens_of(tokenizer: "PreTrainedTokenizerBase", max_length: int) -> Callable[[str], list[int]]:
    """A text's token ids, cut at a length; many threads may ask at once."""

    def called(text: str) -> list[int]:
        with lock:
            ids: list[int] = tokenizer(text, truncation=True, max_length=max_length, return_attention_mask=False)["input_ids"]
        return ids

    lock = threading.Lock()
    called("a")  # sets the length; to set it again while another thread reads would fail
    if not tokenizer.is_fast:
        return called
    backend: Any = getattr(tokenizer, "backend_tokenizer")  # noqa: B009 - only fast ones have it
    return lambda text: list(backend.encode(text).ids)  # the same ids in half the time


def _max_length(asked: int | None, *, weights: _weights.Weights, limit: int | None) -> int:
    """Tokens a text is cut at: as asked, as the model was trained for with sentence-transformers, or the model's limit."""
    if asked is not None and not 3 <= asked <= (limit or asked):
        raise BadValue(f"--max-length {asked} is out of range: {weights.name} takes 3 to {limit or 'any number of'} tokens.")
    settings = weights.folder / "sentence_bert_config.json"
    trained = json.loads(settings.read_text(encoding="utf-8")).get("max_seq_length") if settings.is_file() else None
    found = asked or trained or limit
    if not found:
        raise BadValue(f"{weights.name} states no longest input. Give one in tokens with --max-length.")
    return int(min(found, limit or found))


def _pooled(states: "Tensor", mask: "Tensor", pooling: str) -> "Tensor":
    """One vector a text of its tokens' vectors, wherever the padding is.

    Args:
        states: (B, T, D).
        mask: (B, T), 1 where there is a token; at least one a row.
        pooling: `mean` over real tokens, `cls` (the first real token), `last` (the last one).

    Returns:
        (B, D).
    """
    import torch

    if pooling == "mean":
        weights = mask.unsqueeze(2).to(states.dtype)  # (B, T, 1)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)
    places = mask.argmax(dim=1) if pooling == "cls" else mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), places]
