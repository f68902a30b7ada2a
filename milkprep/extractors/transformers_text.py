"""Text by any transformers encoder: tokens, one forward pass, the mean of the token vectors.

Agrees with the sentence-transformers library on the same weights (a test holds it to 1e-5). Weights are read in float32 from
safetensors; no code of a model's repository is run.

Source: Reimers and Gurevych 2019 (mean pooling).
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import undecodable
from milkprep.encoder import EncoderOptions, Offer, l2_normalised, library_versions
from milkprep.extractors import _device, _weights
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue, WeightsMissing

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODALITY = Modality.TEXT
ACCEPTS = frozenset({"weights", "pooling", "normalise", "max_length", "device"})
#: Weights that a checkpoint may lack, because nothing here uses them.
UNUSED_PARTS = ("pooler.",)
BATCH_SIZE = {"cpu": 32, "mps": 32, "cuda": 256}


class TransformersText:
    """Encoder of texts; decoded is the token ids, (T,) int32 with 1 <= T <= max_length."""

    modality = MODALITY
    preparation = None
    budget = 1 << 22

    def __init__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", *, identity: EncoderIdentity, max_length: int, normalise: bool
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: a transformers model in evaluation mode, on its device.
            tokenizer: its tokenizer.
            identity: names the feature set.
            max_length: longest input in tokens, the special ones included.
            normalise: scale vectors to length 1.
        """
        self.identity = identity
        self.batch_size = BATCH_SIZE[model.device.type]
        self._model = model
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._normalise = normalise
        self._device = model.device
        self._pad = tokenizer.pad_token_id or 0

    def decode(self, content: str) -> NDArray[np.int32]:
        """Token ids, cut at `max_length`.

        Raises:
            DecodeFailure: if the tokenizer finds no token in the text.
        """
        tokens = self._tokenizer(content, truncation=True, max_length=self._max_length, return_attention_mask=False)["input_ids"]
        if not tokens:
            raise undecodable("the text holds no token that the model knows")
        return np.asarray(tokens, dtype=np.int32)

    def size_of(self, decoded: NDArray[np.int32]) -> int:
        """Tokens."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """(B, width) float32."""
        import torch

        lengths = np.array([len(tokens) for tokens in batch])
        mask = np.arange(lengths.max()) < lengths[:, None]  # (B, T)
        ids = np.full(mask.shape, self._pad, dtype=np.int64)
        ids[mask] = np.concatenate(batch)
        with torch.inference_mode():
            ids_there = torch.from_numpy(ids).to(self._device)
            mask_there = torch.from_numpy(mask.astype(np.int64)).to(self._device)
            states = self._model(input_ids=ids_there, attention_mask=mask_there).last_hidden_state  # (B, T, D)
            vectors = _mean_of_tokens(states, mask_there).float().cpu().numpy()
        return l2_normalised(vectors) if self._normalise else vectors


def build(options: EncoderOptions) -> TransformersText:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, or not whole.
        BadValue: if the device, the pooling or the length is not possible.
    """
    if options.pooling not in (None, "mean"):
        raise BadValue(f"transformers-text pools by mean, not {options.pooling!r}. Give --pooling mean.")
    weights = _weights.locate(options.weights or _weights.MINILM)
    on = _device.device(options.device)
    model, tokenizer = _load(weights)
    max_length = _max_length(options.max_length, weights=weights, limit=_model_limit(model, tokenizer))
    identity = EncoderIdentity(
        encoder="transformers-text", weights=weights.name, weights_sha256=weights.sha256, width=int(model.config.hidden_size), pooling="mean",
        parameters={"max_length": max_length, "normalise": options.normalise, "settings_sha256": weights.settings_sha256()},
        versions=library_versions("torch", "transformers", "tokenizers"),
    )  # fmt: skip
    return TransformersText(model.to(on), tokenizer, identity=identity, max_length=max_length, normalise=options.normalise)


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", _weights.MINILM, 384, "the extra `offline`, or the hub", is_here=_weights.is_here(_weights.MINILM))]


def _load(weights: _weights.Weights) -> tuple[Any, Any]:
    """Model in evaluation mode and its tokenizer."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    with _weights.quiet_hub():
        try:
            tokenizer = AutoTokenizer.from_pretrained(weights.folder, **local)
            model, info = AutoModel.from_pretrained(weights.folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local)
        except (OSError, ValueError, LookupError, RuntimeError, ImportError, SafetensorError) as error:
            raise WeightsMissing(f"The model in {weights.folder} cannot be loaded: {error}. Give another with --encoder.") from error
    random = sorted(name for name in info["missing_keys"] if not name.startswith(UNUSED_PARTS))
    if random:
        raise WeightsMissing(f"The weights in {weights.folder} lack {random[0]} and {len(random) - 1} more tensors. Fetch the model again.")
    if model.config.is_encoder_decoder:
        raise BadValue(f"{weights.name} is an encoder-decoder model. Name an encoder, such as {_weights.MINILM}, with --encoder.")
    return model.eval(), tokenizer


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


def _model_limit(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """Longest input in tokens, None where neither states one."""
    positions = getattr(model.config, "max_position_embeddings", None)
    stated = [n for n in (positions, tokenizer.model_max_length) if n and 0 < n < 1 << 30]  # unknown is written as 10 ** 30
    return min(stated, default=None)


def _mean_of_tokens(states: "Tensor", mask: "Tensor") -> "Tensor":
    """Mean over real tokens.

    Args:
        states: (B, T, D).
        mask: (B, T), 1 where there is a token; at least one a row.

    Returns:
        (B, D).
    """
    weights = mask.unsqueeze(2).to(states.dtype)  # (B, T, 1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)
