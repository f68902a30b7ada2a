"""Text by the text tower of any network of the open_clip library: its own tokenizer, one forward pass.

Vectors lie beside those of pictures that the encoder open-clip makes with the same weights. Agrees with the library's tokenizer and
`encode_text(normalize=False)` (a test holds it to 1e-5). Of a text as many characters are read as could matter, 100 a token of
the network's context: a page without a space costs no more than a title.

Source: Radford et al. 2021 (CLIP); Cherti et al. 2023 (the default weights).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.encoder import EncoderOptions, Offer, l2_normalised, library_versions
from milkprep.extractors import _device, _open_clip, _open_clip_hub, _weights
from schemas import fingerprint
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import WeightsMissing

if TYPE_CHECKING:
    import torch

MODALITY = Modality.TEXT
ACCEPTS = frozenset({"model", "weights", "prefix", "normalise", "device", "precision"})
BATCH_SIZE = {"cpu": 32, "mps": 32, "cuda": 256}
CHARACTERS_PER_TOKEN = 100
FOLDER = "local-dir:"


class OpenClipText:
    """Encoder of texts; decoded is the token ids, (context,) int32, as long for every text."""

    modality = MODALITY
    preparation = None
    budget = 1 << 22

    def __init__(
        self, network: "torch.nn.Module", tokenizer: Callable[[str], "torch.Tensor"], *, identity: EncoderIdentity, on: "torch.device",
        precision: str, prefix: str, normalise: bool, longest: int,
    ) -> None:  # fmt: skip
        """Wrap a loaded network.

        Args:
            network: of the library, in evaluation mode, float32, on its device.
            tokenizer: the library's, a text to (1, context).
            identity: names the feature set.
            on: the network's device.
            precision: numbers it computes in.
            prefix: put before every text.
            normalise: scale vectors to length 1.
            longest: characters of a text that are read.
        """
        self.identity = identity
        self.batch_size = BATCH_SIZE[on.type]
        self._encode_text: Any = network.encode_text
        self._tokenizer = tokenizer
        self._on, self._precision, self._prefix, self._normalise, self._longest = on, precision, prefix, normalise, longest

    def decode(self, content: str) -> NDArray[np.int32]:
        """Token ids, (context,), cut and filled up as the library does."""
        return self._tokenizer((self._prefix + content)[: self._longest])[0].numpy().astype(np.int32)

    def size_of(self, decoded: NDArray[np.int32]) -> int:  # noqa: ARG002 - all are equal
        """1: all are equally long."""
        return 1

    def encode(self, batch: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """(B, width) float32.

        Raises:
            OutOfMemory: if the device does not hold the batch.
        """
        with _device.computing(self._on, self._precision):
            ids = _device.on_device(np.stack(batch).astype(np.int64), self._on)
            vectors: NDArray[np.float32] = self._encode_text(ids, normalize=False).float().cpu().numpy()
        return l2_normalised(vectors) if self._normalise else vectors


def build(options: EncoderOptions) -> OpenClipText:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if weights or tokenizer are not on this machine, not reachable, or do not fit.
        BadValue: if the device or the precision is not possible.
        UnknownName: if the library has no such model.
    """
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    loaded = _open_clip.load(model=options.model, weights=options.weights, free="hashed-ngrams")
    tokenizer = _tokenizer(loaded)
    longest = CHARACTERS_PER_TOKEN * int(tokenizer.context_length)
    parameters = {
        "model": loaded.model, "normalise": options.normalise, "precision": precision, "prefix": options.prefix or "",
        "max_length": int(tokenizer.context_length), "longest": longest, **_settings(loaded.source),
    }  # fmt: skip
    identity = EncoderIdentity(
        encoder="open-clip-text", weights=loaded.weights, weights_sha256=loaded.sha256, width=_width(loaded, tokenizer), pooling="none",
        parameters=parameters, versions=library_versions("torch", "open_clip_torch", "transformers", "ftfy"),
    )  # fmt: skip
    return OpenClipText(
        loaded.network.to(on), tokenizer, identity=identity, on=on, precision=precision, prefix=options.prefix or "",
        normalise=options.normalise, longest=longest,
    )  # fmt: skip


def offers() -> list[Offer]:
    """What it can be asked for."""
    return _open_clip_hub.offers()


def _tokenizer(loaded: _open_clip.Loaded) -> Any:  # noqa: ANN401 - the library leaves it untyped
    """The library's tokenizer of a network: one that comes with the library, one in the model's folder, or one of the hub."""
    import open_clip

    is_folder = loaded.source.startswith(FOLDER)
    named = _text_settings(loaded.source).get("hf_tokenizer_name")
    if named and not is_folder:
        _require(named)
    safe: dict[str, Any] = {"trust_remote_code": False, **({"local_files_only": True} if is_folder else {})} if named else {}
    with _weights.quiet_hub():
        try:
            tokenizer = open_clip.get_tokenizer(loaded.source, **safe)
            tokenizer("a")  # its settings are made at the first call; after that threads may share it
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError) as error:
            told = " ".join(str(error).split())[:200]
            raise WeightsMissing(f"The tokenizer of {loaded.model} cannot be loaded: {told}. {_open_clip_hub.WAYS_OUT}") from error
    return tokenizer


def _require(repository: str) -> None:
    """Learn within seconds whether a tokenizer can be had at all."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in ("tokenizer.json", "tokenizer_config.json")):
        return
    # The second base is an error of the HTTP library, which differs between the hub's releases.
    unreachable: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    with _weights.quiet_hub():
        try:
            HfApi().model_info(repository, timeout=_weights.HUB_TIMEOUT_S)
        except unreachable as error:
            raise WeightsMissing(
                f"The tokenizer {repository} is not on this machine and the hub cannot be reached. Connect to the network, give a folder that "
                "holds model and tokenizer with --weights, or a network with the tokenizer of CLIP (such as ViT-B-32) with --model. "
                "`--encoder hashed-ngrams` needs neither."
            ) from error


def _text_settings(source: str) -> dict[str, Any]:
    import open_clip

    if source.startswith(FOLDER):
        settings = json.loads((Path(source.removeprefix(FOLDER)) / _open_clip.CONFIG).read_text(encoding="utf-8"))["model_cfg"]
    else:
        settings = open_clip.get_model_config(source) or {}
    return dict(settings.get("text_cfg") or {})


def _settings(source: str) -> dict[str, object]:
    """What changes vectors besides the weights, where a folder says it: the digest of its settings and its tokenizer."""
    if not source.startswith(FOLDER):
        return {}
    folder = Path(source.removeprefix(FOLDER))
    present = [name for name in sorted((_open_clip.CONFIG, *_weights.SETTINGS)) if (folder / name).is_file()]
    return {"settings_sha256": fingerprint.of_value([[name, fingerprint.of_file(folder / name)] for name in present])}


def _width(loaded: _open_clip.Loaded, tokenizer: Callable[[str], "torch.Tensor"]) -> int:
    """Length of a vector, from one text; a tokenizer with more tokens than the network is refused."""
    import torch

    ids = tokenizer("a")
    known = getattr(tokenizer, "vocab_size", None) or len(getattr(tokenizer, "tokenizer", ())) or int(ids.max()) + 1
    places: int | None = getattr(loaded.network, "vocab_size", None)
    if places is not None and known > places:
        raise WeightsMissing(
            f"{loaded.model} in {loaded.weights} knows {places} tokens and its tokenizer makes {known}. Give another with --weights."
        )
    with torch.inference_mode():
        vectors: torch.Tensor = loaded.network.encode_text(ids, normalize=False)
    return int(vectors.shape[1])
