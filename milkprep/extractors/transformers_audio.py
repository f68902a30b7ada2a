"""Sound by networks of the transformers library: CLAP, AST, and wav2vec 2.0, HuBERT and WavLM.

CLAP and AST see windows of their own length (10 s, 10.24 s), prepared by the model's own feature extractor; a remainder
shorter than one frame of its spectrogram is dropped. A window's vector is CLAP's audio embedding, the one that lies beside
those of texts, or AST's pooled output. The others see samples in windows of 30 s or of `--window`, of equal length together;
their vector is the mean over time of the last layer. Vectors of windows are averaged by the samples of sound in each.

Source: Wu et al. 2023 (CLAP), Gong et al. 2021 (AST).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.audio import MAX_SECONDS
from milkprep.encoder import EncoderOptions, Offer, Preparer, l2_normalised, library_versions
from milkprep.extractors import _device, _sound_networks, _sounds, _weights
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

if TYPE_CHECKING:
    import torch

MODALITY = Modality.AUDIO
ACCEPTS = frozenset({"model", "weights", "normalise", "window", "device", "precision"})
CLAP = "laion/clap-htsat-unfused"
#: Well-known models and their widths.
KNOWN = ((CLAP, 512), ("laion/larger_clap_music", 512), ("MIT/ast-finetuned-audioset-10-10-0.4593", 768), ("facebook/wav2vec2-base-960h", 768))
#: Seconds of a window where the network takes any and none are named.
WINDOW_S = 30.0
#: Added to the variance of samples, as in transformers.
TINY = 1e-7
POOLING = {"ast": "pooled output, mean over windows", "clap": "audio embedding, mean over windows", "waves": "mean over time"}


class TransformersAudio:
    """Encoder of sound; decoded is samples, (T,) float32, or spectrograms, (W, F + 1, bands) float32.

    Row F of a spectrogram holds, in its first place, the samples of sound in the window.
    """

    modality = MODALITY

    def __init__(
        self, loaded: _sound_networks.Loaded, *, identity: EncoderIdentity, window: int, normalise: bool, on: "torch.device", precision: str
    ) -> None:
        """Wrap a loaded network.

        Args:
            loaded: network and how sound is prepared for it.
            identity: names the feature set.
            window: samples of a window.
            normalise: scale vectors to length 1.
            on: the device.
            precision: `fp32`, `bf16`, `fp16`.
        """
        prepared = loaded.preparation
        self.identity = identity
        self.preparation: Mapping[str, object] = asdict(prepared)
        self.batch_size = _sounds.BATCH_SIZE[on.type]
        network: Any = loaded.network  # whose `to` is wrapped beyond what types say
        self._network = network.to(on)
        self._prepared = prepared
        self._prepare = preparer(self.preparation)
        self._window = window
        self._normalise = normalise
        self._device = on
        self._precision = precision
        self.budget = max(1 << 24, MAX_SECONDS * prepared.rate * 2)

    def decode(self, content: Path) -> NDArray[np.float32]:
        """Samples or spectrograms.

        Raises:
            DecodeFailure: if the file has no sound, is no readable sound, too short, or silent.
        """
        return self._prepare(content)

    def size_of(self, decoded: NDArray[np.float32]) -> int:
        """Numbers."""
        return decoded.size

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, width) float32."""
        windows = [window for owner, decoded in enumerate(batch) for window in self._windows(owner, decoded)]
        share = len(windows[0].values) / self._window if self._prepared.window else 1  # numbers along the first axis, a sample
        most = int(_sounds.PASS_SECONDS[self._device.type] * self._prepared.rate * share)
        vectors = _sounds.averaged(windows, self._forward, n_sounds=len(batch), most=most, equal=True)
        return l2_normalised(vectors) if self._normalise else vectors

    def _windows(self, owner: int, decoded: NDArray[np.float32]) -> list[_sounds.Window]:
        if self._prepared.window:
            return [_sounds.Window(owner, int(window[-1, 0]), window[:-1]) for window in decoded]
        places = _sounds.cut(len(decoded), window=self._window, shortest=self._prepared.shortest, join=True)
        return [_sounds.Window(owner, stop - start, self._normalised(decoded[start:stop])) for start, stop in places]

    def _normalised(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean 0 and variance 1, where the model was trained so."""
        if not self._prepared.settings["do_normalize"]:
            return window
        scaled: NDArray[np.float32] = (window - window.mean()) / np.sqrt(window.var() + TINY)
        return scaled

    def _forward(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(W, width) of windows of one shape."""
        import torch

        with _device.computing(self._device, self._precision):
            values = _device.on_device(np.stack(windows), self._device)  # (W, F, bands) or (W, T)
            if self._prepared.way == "ast":
                vectors = self._network(values).pooler_output
            elif self._prepared.way == "clap":
                copies = 4 if self._network.config.enable_fusion else 1
                longer = torch.zeros(len(windows), 1, dtype=torch.bool, device=self._device)
                vectors = self._network(values[:, None].expand(-1, copies, -1, -1), is_longer=longer).audio_embeds
            else:
                vectors = self._network(values).last_hidden_state.float().mean(dim=1)
            found: NDArray[np.float32] = vectors.float().cpu().numpy()
        return found


def build(options: EncoderOptions) -> TransformersAudio:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not whole or not in safetensors.
        BadValue: if the model is of no kind known here, or the device, the precision or the window is not possible.
    """
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    loaded = _sound_networks.load(model=options.model, weights=options.weights or CLAP)
    prepared = loaded.preparation
    if prepared.window and options.window is not None:
        raise BadValue(f"--window cannot be chosen for this model: its windows are {prepared.window / prepared.rate:g} s. Leave it out.")
    window = prepared.window or _sounds.window_samples(options.window, rate=prepared.rate, shortest=prepared.shortest, usual=WINDOW_S)
    config: Any = loaded.network.config
    parameters: dict[str, object] = {
        "kind": config.model_type, "features": dict(prepared.settings), "rate": prepared.rate, "window": window, "max_seconds": MAX_SECONDS,
        "normalise": options.normalise, "precision": precision,
    }  # fmt: skip
    identity = EncoderIdentity(
        encoder="transformers-audio", weights=loaded.weights, weights_sha256=loaded.sha256, width=loaded.width, pooling=POOLING[prepared.way],
        parameters=parameters, versions=library_versions("torch", "torchaudio", "transformers", "av"),
    )  # fmt: skip
    return TransformersAudio(loaded, identity=identity, window=window, normalise=options.normalise, on=on, precision=precision)


def preparer(preparation: Mapping[str, Any]) -> Preparer:
    """Files to samples or spectrograms, for decoding processes."""
    prepared = _sound_networks.Preparation(**preparation)
    if prepared.window is None:
        return partial(_sounds.samples_of, rate=prepared.rate, shortest=prepared.shortest)
    return partial(_spectrograms, prepared, prepared.extractor())


def offers() -> list[Offer]:
    """Well-known models, and whether they are on this machine."""
    return [Offer("", name, width, "hub, folder", is_here=_weights.is_here(name)) for name, width in KNOWN]


def _spectrograms(prepared: _sound_networks.Preparation, extractor: Any, path: Path) -> NDArray[np.float32]:  # noqa: ANN401 - the library leaves it untyped
    """(W, F + 1, bands) float32: a file's windows, and below each how many samples of sound it holds."""
    samples = _sounds.samples_of(path, rate=prepared.rate, shortest=prepared.shortest)
    places = _sounds.cut(len(samples), window=prepared.window or len(samples), shortest=prepared.shortest, join=False)
    made = [_sound_networks.features(samples[start:stop], extractor, way=prepared.way) for start, stop in places]
    windows = np.zeros((len(made), made[0].shape[0] + 1, made[0].shape[1]), dtype=np.float32)
    for window, spectrogram, (start, stop) in zip(windows, made, places, strict=True):
        window[:-1] = spectrogram
        window[-1, 0] = stop - start
    return windows
