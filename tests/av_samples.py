"""Videos made on the spot: a few even frames, with or without a sound track, or frames that tell their number."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {".webm": ("libvpx", "libopus", 48_000)}
USUAL = ("mpeg4", "aac", 16_000)


def write_video(path: Path, *, sound: np.ndarray | None = None) -> Path:
    """Five frames of 32 x 32 pixels, and the sound of (T,) samples at 16 kHz; the ending names the container."""
    video_codec, audio_codec, rate = CODECS.get(path.suffix, USUAL)
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=5)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(audio_codec, rate=rate, layout="mono") if sound is not None else None
        for level in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 50 * level, dtype=np.uint8), format="rgb24")
            for packet in video.encode(frame):
                container.mux(packet)
        for packet in video.encode(None):
            container.mux(packet)
        if audio is not None:
            resampler = av.AudioResampler(format=audio.format, layout="mono", rate=rate, frame_size=audio.frame_size or 1024)
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, dtype=np.float32)[None], format="fltp", layout="mono")
            samples.sample_rate = 16_000
            for part in [*resampler.resample(samples), *resampler.resample(None), None]:
                for packet in audio.encode(part):
                    container.mux(packet)
    return path


#: How each container of moving pictures is written: codec, pixel format.
CLIPS = {
    "mp4": ("libx264", "yuv420p"),
    "mov": ("mpeg4", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "mkv": ("libvpx-vp9", "yuv420p"),
    "avi": ("mjpeg", "yuvj420p"),
    "ts": ("libx264", "yuv420p"),
    "flv": ("flv", "yuv420p"),
    "wmv": ("wmv2", "yuv420p"),
    "mpg": ("mpeg2video", "yuv420p"),
}
#: Levels of grey between a shade and the next, more than any codec here mistakes.
SHADE = 12
RATE = 25


def write_clip(
    path: Path | io.RawIOBase, pictures: Sequence[int | np.ndarray], *, ending: str | None = None, codec: str | None = None,
    ticks: Sequence[int] | None = None, gop: int = 5, matrix: Sequence[int] | None = None, **options: str,
) -> Path | io.RawIOBase:  # fmt: skip
    """A video of even frames, or of (H, W, 3) pictures, 25 a second.

    Args:
        path: where to; the ending names the container unless `ending` does.
        pictures: a number stands for an even frame of that shade, 0 to 20; `shades` reads it back.
        ending: which container, where `path` is no path.
        codec: another one than is usual in that container.
        ticks: when each frame is shown, in 25ths of a second; None: one after the other.
        gop: frames from one key frame to the next.
        matrix: the nine numbers of the display matrix.
        options: of the codec.
    """
    usual, pix_fmt = CLIPS[ending or path.suffix[1:]]
    frames = [np.full((32, 32, 3), SHADE * picture, dtype=np.uint8) if isinstance(picture, int) else picture for picture in pictures]
    with av.open(path if isinstance(path, io.RawIOBase) else str(path), "w", format=None if isinstance(path, Path) else ending) as container:
        video = container.add_stream(codec or usual, rate=RATE, options=options)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pix_fmt
        video.codec_context.gop_size = gop
        if matrix:
            video.set_display_matrix(matrix)
        for tick, pixels in zip(ticks or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, RATE)
            for packet in video.encode(frame):
                container.mux(packet)
        for packet in video.encode(None):
            container.mux(packet)
    return path


def shades(frames: Sequence[np.ndarray]) -> list[int]:
    """The numbers that even frames stand for."""
    return [round(float(frame.mean()) / SHADE) for frame in frames]
