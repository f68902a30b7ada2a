"""Pictures and sounds made on the spot, for tests that decode files."""

import wave
from pathlib import Path

import av
import numpy as np
from PIL import Image


def gradient(height: int = 48, width: int = 64) -> np.ndarray:
    """(H, W, 3) uint8: red grows to the right, green downwards, blue is even."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.full_like(red, 90)], axis=2).round().astype(np.uint8)


def write_picture(path: Path, pixels: np.ndarray | None = None, **options: object) -> Path:
    """A picture file; the ending names the format."""
    Image.fromarray(gradient() if pixels is None else pixels).save(path, **options)
    return path


def tone(seconds: float, *, rate: int = 16_000, hz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    """(T,) float32 sine."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_wav(path: Path, channels: np.ndarray, *, rate: int = 16_000) -> Path:
    """16-bit WAV of (T,) or (C, T) samples."""
    channels = np.atleast_2d(channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((channels.T * 32767).round().astype("<i2").tobytes())
    return path


def write_sound(path: Path, channels: np.ndarray, *, codec: str, rate: int) -> Path:
    """Sound of (C, T) samples in any container and codec that FFmpeg writes; the ending names the container."""
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, dtype=np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(part):
                container.mux(packet)
    return path
