"""Sound by wav2vec 2.0, HuBERT and WavLM as torchaudio packs them: the mean over time of the last transformer layer.

Sound is brought to the network's rate (16 kHz) and cut into windows of 30 s or of `--window`; a remainder too short for one
step of time belongs to the window before it. A window is normalised where its network was trained so. Vectors of windows are
averaged by their length. Padding changes nothing: WavLM, which takes no mask, gets only windows of equal length together; where
the first layer normalises over time (the base networks), it does so over a window's own samples, or, on a CPU, which gains
nothing from large batches, only windows of equal length are together, too.

Source: Baevski et al. 2020 (wav2vec 2.0), Hsu et al. 2021 (HuBERT), Chen et al. 2022 (WavLM).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.audio import MAX_SECONDS
from milkprep.encoder import EncoderOptions, Offer, Preparer, l2_normalised, library_versions
from milkprep.extractors import _device, _pipelines, _sounds
from schemas import fingerprint
from schemas.contracts import EncoderIdentity, Modality

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import GroupNorm
    from torchaudio.models import Wav2Vec2Model

MODALITY = Modality.AUDIO
ACCEPTS = frozenset({"model", "weights", "normalise", "window", "device", "precision"})
#: Seconds of a window where none are named: longer than the sound these networks were trained on, and still light on memory.
WINDOW_S = 30.0


class TorchaudioPipelines:
    """Encoder of sound; decoded is (T,) float32 samples at the network's rate."""

    modality = MODALITY

    def __init__(
        self, network: "Wav2Vec2Model", architecture: _pipelines.Architecture, *,
        identity: EncoderIdentity, window: int, normalise: bool, on: "torch.device", precision: str,
    ) -> None:  # fmt: skip
        """Wrap a network with weights.

        Args:
            network: in evaluation mode; it is brought to its device.
            architecture: what it is.
            identity: names the feature set.
            window: samples of a window.
            normalise: scale vectors to length 1.
            on: the device.
            precision: `fp32`, `bf16`, `fp16`.
        """
        self.identity = identity
        self.preparation: Mapping[str, object] = {"rate": architecture.rate, "shortest": architecture.shortest}
        self.batch_size = _sounds.BATCH_SIZE[on.type]
        self.budget = MAX_SECONDS * architecture.rate
        self._network = network.to(on)
        self._architecture = architecture
        self._window = window
        self._normalise = normalise
        self._device = on
        self._precision = precision

    def decode(self, content: Path) -> NDArray[np.float32]:
        """(T,) float32 at the network's rate, at least one step of time.

        Raises:
            DecodeFailure: if the file has no sound, is no readable sound, too short, or silent.
        """
        return _sounds.samples_of(content, rate=self._architecture.rate, shortest=self._architecture.shortest)

    def size_of(self, decoded: NDArray[np.float32]) -> int:
        """Samples."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, width) float32."""
        made = self._architecture
        windows = [
            _sounds.Window(owner, stop - start, samples[start:stop])
            for owner, samples in enumerate(batch)
            for start, stop in _sounds.cut(len(samples), window=self._window, shortest=made.shortest, join=True)
        ]
        most = _sounds.PASS_SECONDS[self._device.type] * made.rate
        equal = not made.takes_mask or (made.normalises_over_time and self._device.type == "cpu")
        vectors = _sounds.averaged(windows, self._forward, n_sounds=len(batch), most=most, equal=equal)
        return l2_normalised(vectors) if self._normalise else vectors

    def _forward(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(W, width): means over the steps of time that hold only a window's own samples."""
        import torch

        if self._architecture.normalises:
            windows = [_normalised(window) for window in windows]
        lengths = torch.tensor([len(window) for window in windows], device=self._device)
        with _device.computing(self._device, self._precision):
            waves = _device.on_device(_sounds.padded(windows), self._device)  # (W, T)
            if len(set(map(len, windows))) == 1:
                layers, _ = self._network.extract_features(waves)
                means = layers[-1].float().mean(dim=1)
            else:
                states, steps = self._padded_states(waves, lengths)
                own = torch.arange(states.shape[1], device=self._device) < steps[:, None]  # (W, F)
                means = (states.float() * own[:, :, None]).sum(dim=1) / steps[:, None]
            found: NDArray[np.float32] = means.cpu().numpy()
        return found

    def _padded_states(self, waves: "Tensor", lengths: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Last layer of padded windows, the same at their own steps of time as alone.

        Args:
            waves: (W, T), zeros behind each window.
            lengths: (W,) int64, samples of each.

        Returns:
            (W, F, width), and how many steps of time are a window's own, (W,) int64.
        """
        from torch.nn.functional import gelu

        first, *others = self._network.feature_extractor.conv_layers
        if self._architecture.normalises_over_time:
            found, steps = first.conv(waves[:, None]), (lengths - first.kernel_size) // first.stride + 1  # (W, C, F)
            found = gelu(_normalised_over_time(found, steps, first.layer_norm))
        else:
            found, steps = first(waves[:, None], lengths)
        for layer in others:
            found, steps = layer(found, steps)
        return self._network.encoder.extract_features(found.transpose(1, 2), steps)[-1], steps


def build(options: EncoderOptions) -> TorchaudioPipelines:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not safe to read, or do not fit.
        UnknownName: if torchaudio has no such pipeline.
        BadValue: if the device, the precision or the window is not possible.
    """
    made = _pipelines.architecture(options.model)
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    window = _sounds.window_samples(options.window, rate=made.rate, shortest=made.shortest, usual=WINDOW_S)
    network, weights, sha256 = _pipelines.load(made, weights=options.weights)
    parameters: dict[str, object] = {
        "model": made.name, "settings_sha256": fingerprint.of_value([made.kind, made.settings]), "layer": made.settings["encoder_num_layers"],
        "rate": made.rate, "window": window, "input_normalised": made.normalises, "max_seconds": MAX_SECONDS,
        "normalise": options.normalise, "precision": precision,
    }  # fmt: skip
    identity = EncoderIdentity(
        encoder="torchaudio-pipelines", weights=weights, weights_sha256=sha256, width=int(made.settings["encoder_embed_dim"]),
        pooling="mean over time", parameters=parameters, versions=library_versions("torch", "torchaudio", "av"),
    )  # fmt: skip
    return TorchaudioPipelines(network, made, identity=identity, window=window, normalise=options.normalise, on=on, precision=precision)


def preparer(preparation: Mapping[str, Any]) -> Preparer:
    """Files to samples, for decoding processes."""
    return partial(_sounds.samples_of, rate=preparation["rate"], shortest=preparation["shortest"])


def offers() -> list[Offer]:
    """The pipelines, and whether torch hub's cache has their weights; those trained to transcribe go by name, too, unlisted."""
    return [
        Offer(name, _pipelines.OWN, width, "torchaudio, file", is_here=_pipelines.hub_file(name).is_file())
        for name, (width, _) in _pipelines.BUNDLES.items()
        if "_ASR_" not in name
    ]


def _normalised(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and variance 1, as torchaudio's pipelines normalise one waveform."""
    import torch
    from torch.nn.functional import layer_norm

    found: NDArray[np.float32] = layer_norm(torch.from_numpy(window), window.shape).numpy()
    return found


def _normalised_over_time(values: "Tensor", steps: "Tensor", norm: "GroupNorm") -> "Tensor":
    """What a norm of one channel a group gives for each window alone; in float32, as the norm computes.

    Args:
        values: (W, C, F).
        steps: (W,) int64, steps of time that are a window's own, 1 .. F.
        norm: with C groups.

    Returns:
        (W, C, F) float32; meaningless behind a window's own steps.
    """
    import torch

    own = (torch.arange(values.shape[2], device=values.device) < steps[:, None])[:, None]  # (W, 1, F)
    n = steps[:, None, None]
    values = values.float()
    values = values - (values * own).sum(dim=2, keepdim=True) / n
    variance = (values.square() * own).sum(dim=2, keepdim=True) / n
    return values * torch.rsqrt(variance + norm.eps) * norm.weight[:, None] + norm.bias[:, None]
