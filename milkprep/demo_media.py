"""Pictures and sounds of the generated catalogue: small JPEG and WAV files that show themes.

A theme has two colours in a layout, and a pitch with overtones. An item's file mixes the themes it shows, with the jitter
that makes two items of one theme differ. Nothing here is read from anywhere: every pixel and sample is computed.
"""

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SIDE = 96
JPEG_QUALITY = 85
RATE = 16_000
SECONDS = (0.5, 0.9)
#: Samples of a sound that no encoder can use: a fortieth of a second.
TOO_SHORT = RATE // 40
LOUDNESS = 0.4
NOISE = 0.04

Layout = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Look:
    """How a theme looks and sounds.

    Args:
        ground: RGB of most of the picture.
        figure: RGB of the rest.
        layout: where the figure is, given x and y in 0 .. 1.
        pitch: of the tone, in Hz.
        overtones: amplitudes of the tone and its multiples.
    """

    ground: tuple[int, int, int]
    figure: tuple[int, int, int]
    layout: Layout
    pitch: float
    overtones: tuple[float, ...]


#: In the order of `demo_tastes.THEMES`.
LOOKS = (
    Look((25, 80, 160), (150, 210, 225), lambda x, y: y > 0.6 + 0 * x, 196.0, (1.0, 0.1)),
    Look((30, 95, 45), (150, 120, 60), lambda x, y: (x * 4 + 0 * y) % 1 < 0.35, 294.0, (1.0, 0.5, 0.3)),
    Look((220, 170, 90), (250, 225, 130), lambda x, y: (x - 0.5) ** 2 + (y - 0.3) ** 2 < 0.05, 440.0, (1.0, 0.0, 0.5, 0.0, 0.3)),
    Look((60, 60, 75), (210, 60, 160), lambda x, y: ((x * 4).astype(int) + (y * 4).astype(int)) % 2 == 0, 659.0, (1.0, 0.8, 0.6, 0.4)),
    Look((235, 240, 248), (140, 180, 210), lambda x, y: x + y < 0.8, 988.0, (1.0,)),
    Look((245, 235, 205), (190, 40, 35), lambda x, y: np.maximum(abs(x - 0.5), abs(y - 0.5)) > 0.36, 1480.0, (1.0, 0.3)),
)


def picture(shown: NDArray[np.float64], rng: Generator) -> bytes:
    """A JPEG of SIDE x SIDE pixels.

    Args:
        shown: (T,) weights of the themes it shows, sum 1.
        rng: of its jitter.
    """
    from PIL import Image

    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE + rng.normal(0, 0.03, (2, 1, 1))
    pixels = np.zeros((SIDE, SIDE, 3))
    for weight, look in _present(shown):
        pixels += weight * np.where(look.layout(x, y)[:, :, None], look.figure, look.ground)
    pixels += rng.normal(0, 18, 3) + rng.normal(0, 15, pixels.shape)  # light, then grain
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def sound(shown: NDArray[np.float64], rng: Generator) -> bytes:
    """A mono WAV of 16-bit samples at RATE.

    Args:
        shown: (T,) weights of the themes it sounds of, sum 1.
        rng: of its length, tuning and noise.
    """
    time = np.arange(int(RATE * rng.uniform(*SECONDS))) / RATE
    tone = np.zeros_like(time)
    for weight, look in _present(shown):
        pitch = look.pitch * rng.normal(1, 0.03)
        for multiple, amplitude in enumerate(look.overtones, start=1):
            tone += weight * amplitude * np.sin(2 * np.pi * (multiple * pitch * time + rng.random()))
    return wav(LOUDNESS * tone / abs(tone).max() + rng.normal(0, NOISE, len(time)))


def wav(samples: NDArray[np.float64]) -> bytes:
    """Samples in -1 .. 1 as a mono WAV file; louder ones are clipped."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def _present(shown: NDArray[np.float64]) -> list[tuple[float, Look]]:
    """Themes that are shown at all, with their weights."""
    return [(float(weight), look) for weight, look in zip(shown, LOOKS, strict=True) if weight]
