"""Sound: any common container to mono float samples, within bounds that no header can move.

At most `MAX_SECONDS` are decoded. Channels are averaged. A file that breaks off is refused where that can be told: the
decoder stumbles, or much less can be read than a container with a reliable length states (mp3 and ogg state none).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milkprep.decode import DecodeFailure, undecodable
from milkprep.decode.containers import COMPLETE_SHARE, container_options
from schemas.contracts import AssetStatus

if TYPE_CHECKING:
    from av import AudioResampler, AudioStream
    from av.container import InputContainer
    from torch import Tensor

#: Longer sound is used up to here.
MAX_SECONDS = 600
#: Damaged headers claim hundreds; no sound of an item has more than these.
MAX_CHANNELS = 8
#: Rates above, and those that are no multiple of 25 Hz, are brought here first: resampling them exactly takes huge filters.
COMMON_RATE = 48_000
#: Peaks below -80 dB of full scale are silence: at 16 bits, three steps.
SILENCE_PEAK = 1e-4
#: Of these, the ones whose header states the true length.
EXACT_LENGTH = ("flac", "mov", "aiff", "caf", "w64", "matroska")
#: A WAV file's data chunk is looked for among this many.
MAX_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded sound.

    Args:
        samples: (T,) float32, mono, full scale is 1.
        rate: samples per second.
    """

    samples: NDArray[np.float32]
    rate: int


def read_sound(path: Path) -> Sound:
    """Decode the first sound track of a file.

    Args:
        path: an ordinary file; its ending does not matter.

    Returns:
        At most `MAX_SECONDS` of mono sound at no more than `COMMON_RATE`.

    Raises:
        DecodeFailure: if it has no sound track (`absent`), is no sound, or breaks off.
    """
    import av

    try:
        with av.open(str(path), mode="r", metadata_errors="ignore", container_options=container_options()) as container:
            if not container.streams.audio:
                raise DecodeFailure(AssetStatus.ABSENT, "the file has no sound track")
            sound = _decoded(container, container.streams.audio[0])
            _refuse_cut_short(container, sound, path)
            return sound
    except av.FFmpegError as error:
        raise undecodable(f"the sound is broken or of an unknown format: {error.strerror}") from error
    except (ValueError, LookupError, ArithmeticError, MemoryError, TypeError) as error:  # stream parameters that change or make no sense
        raise undecodable("the sound track makes no sense") from error


def at_rate(sound: Sound, rate: int) -> NDArray[np.float32]:
    """Sound resampled to another rate (windowed sinc, torchaudio's default filter).

    Args:
        sound: what `read_sound` gives.
        rate: samples per second wanted.

    Returns:
        (T',) float32.
    """
    if sound.rate == rate:
        return sound.samples
    import torch
    from torchaudio.functional import resample

    samples: Tensor = resample(torch.from_numpy(sound.samples), sound.rate, rate)
    return samples.numpy()


def refuse_inaudible(samples: NDArray[np.float32], *, min_samples: int, rate: int) -> None:
    """Refuse sound that an encoder can make nothing of.

    Args:
        samples: (T,) float32.
        min_samples: the encoder's shortest input.
        rate: samples per second, for the message.

    Raises:
        DecodeFailure: `too_short`, `silent`, or `decode_error` where samples are no numbers.
    """
    if len(samples) < min_samples:
        raise DecodeFailure(AssetStatus.TOO_SHORT, f"the sound is shorter than {1000 * min_samples / rate:g} ms")
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise undecodable("the sound holds samples that are no numbers")
    if peak < SILENCE_PEAK:
        raise DecodeFailure(AssetStatus.SILENT, "the sound is silent throughout")


def _decoded(container: "InputContainer", stream: "AudioStream") -> Sound:
    from av import AudioResampler

    if stream.codec_context is None:  # its attributes are the stream's: asking for one would be an AttributeError
        raise undecodable("the sound is in a coding that no decoder knows")
    rate = int(stream.rate or 0)
    if rate < 1:
        raise undecodable("the sound track states no sample rate")
    kept = rate if rate <= COMMON_RATE and rate % 25 == 0 else COMMON_RATE
    planar = AudioResampler(format="fltp", rate=kept)
    blocks: list[NDArray[np.float32]] = []
    wanted = MAX_SECONDS * kept
    for block in _mono_blocks(container, stream, planar):
        blocks.append(block[:wanted])
        wanted -= len(blocks[-1])
        if not wanted:
            break
    if not blocks:
        raise undecodable("the sound track holds no samples")
    return Sound(np.concatenate(blocks), kept)


def _mono_blocks(container: "InputContainer", stream: "AudioStream", planar: "AudioResampler") -> Iterator[NDArray[np.float32]]:
    """Decoded blocks, (T,) float32 each, channels averaged."""
    for frame in container.decode(stream):
        if frame.layout.nb_channels > MAX_CHANNELS:
            raise undecodable(f"the sound claims more than {MAX_CHANNELS} channels")
        for block in planar.resample(frame):
            yield block.to_ndarray().mean(axis=0, dtype=np.float32)
    for block in planar.resample(None):  # what the resampler still holds
        yield block.to_ndarray().mean(axis=0, dtype=np.float32)


def _refuse_cut_short(container: "InputContainer", sound: Sound, path: Path) -> None:
    read = len(sound.samples) / sound.rate
    stated = _stated_seconds(container, path)
    if stated is not None and read < COMPLETE_SHARE * min(stated, MAX_SECONDS):
        raise undecodable("the sound is cut short: its header states more than can be read")


def _stated_seconds(container: "InputContainer", path: Path) -> float | None:
    """Length by a header that can be trusted, else None."""
    name = container.format.name
    stream = container.streams.audio[0]
    if name == "wav":
        return _stated_by_riff(path, seconds_per_byte=_seconds_per_byte(stream))
    if not name.startswith(EXACT_LENGTH):
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and not container.streams.video else None


def _seconds_per_byte(stream: "AudioStream") -> float:
    return 8.0 / stream.bit_rate if stream.bit_rate else 0.0


def _stated_by_riff(path: Path, *, seconds_per_byte: float) -> float | None:
    """Length by a WAV file's data chunk, which FFmpeg trims to what is there.

    0 and the largest number mean a length unknown when the header was written; they state nothing.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        for _ in range(MAX_CHUNKS):
            chunk = file.read(8)
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return size * seconds_per_byte if 0 < size < 0xFFFFFFFF else None
            file.seek(size + size % 2, 1)
    return None
