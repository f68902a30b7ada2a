"""Sound without weights: mean and spread over time of the log-mel spectrogram.

Sound is brought to 16 kHz mono; windows of 25 ms every 10 ms; 64 mel bands from 125 to 7500 Hz; log(energy + 0.01), each
as in VGGish. Only whole windows of a sound's own samples count, so padding in a batch never does.

Source: Hershey et al. 2017 (VGGish) for the settings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.audio import MAX_SECONDS
from milkprep.encoder import EncoderOptions, Offer, Preparer, l2_normalised, library_versions
from milkprep.extractors._sounds import samples_of
from schemas.contracts import EncoderIdentity, Modality

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = Modality.AUDIO
ACCEPTS = frozenset({"normalise"})
RATE = 16_000
WINDOW = 400
HOP = 160
BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
FFT = 512
LOG_OFFSET = 0.01
WIDTH = 2 * BANDS


class LogMel:
    """Encoder of sound; decoded is (T,) float32 samples at 16 kHz."""

    modality = MODALITY
    preparation: Mapping[str, object] = {}
    batch_size = 32
    budget = MAX_SECONDS * RATE

    def __init__(self, *, normalise: bool) -> None:
        from torchaudio.transforms import MelSpectrogram

        self._normalise = normalise
        self._mel = MelSpectrogram(
            RATE, n_fft=FFT, win_length=WINDOW, hop_length=HOP, f_min=LOWEST_HZ, f_max=HIGHEST_HZ, n_mels=BANDS, power=1.0, center=False
        )
        parameters: dict[str, object] = {
            "rate": RATE, "window": WINDOW, "hop": HOP, "fft": FFT, "bands": BANDS, "hz": [LOWEST_HZ, HIGHEST_HZ],
            "log_offset": LOG_OFFSET, "max_seconds": MAX_SECONDS, "normalise": normalise,
        }  # fmt: skip
        self.identity = EncoderIdentity(
            encoder="log-mel", weights="none", weights_sha256="", width=WIDTH, pooling="mean and standard deviation over time",
            parameters=parameters, versions=library_versions("torch", "torchaudio", "av"),
        )  # fmt: skip

    def decode(self, content: Path) -> NDArray[np.float32]:
        """(T,) float32 at 16 kHz, T >= FFT.

        Raises:
            DecodeFailure: if the file is no readable sound, shorter than one window, or silent.
        """
        return _samples(content)

    def size_of(self, decoded: NDArray[np.float32]) -> int:
        """Samples."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, WIDTH) float32: means of the bands, then their standard deviations, in nats."""
        import torch

        with torch.inference_mode():
            padded = torch.zeros(len(batch), max(map(len, batch)))
            for row, samples in enumerate(batch):
                padded[row, : len(samples)] = torch.from_numpy(samples)
            frames = torch.tensor([1 + (len(samples) - FFT) // HOP for samples in batch])
            vectors = _mean_and_spread(torch.log(self._mel(padded) + LOG_OFFSET), frames=frames)
        return l2_normalised(vectors.numpy()) if self._normalise else vectors.numpy()


def build(options: EncoderOptions) -> LogMel:
    """The encoder."""
    return LogMel(normalise=options.normalise)


def preparer(preparation: Mapping[str, object]) -> Preparer:  # noqa: ARG001 - there is nothing to know
    """Files to samples, for decoding processes."""
    return _samples


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", "none", WIDTH, "needs none", is_here=True)]


def _samples(path: Path) -> NDArray[np.float32]:
    return samples_of(path, rate=RATE, shortest=FFT)


def _mean_and_spread(spectra: "Tensor", *, frames: "Tensor") -> "Tensor":
    """Mean and standard deviation over each sound's own frames.

    Args:
        spectra: (B, BANDS, F) float32.
        frames: (B,) int64, frames that hold only a sound's own samples, 1 .. F.

    Returns:
        (B, 2 * BANDS) float32; computed in float64, so that long sounds lose nothing.
    """
    import torch

    own = (torch.arange(spectra.shape[2]) < frames[:, None])[:, None, :]  # (B, 1, F)
    values = spectra.double() * own
    n = frames[:, None].double()
    mean = values.sum(dim=2) / n  # (B, BANDS)
    deviation = (values - mean[:, :, None]) * own
    spread = torch.sqrt((deviation**2).sum(dim=2) / n)
    return torch.cat([mean, spread], dim=1).float()
