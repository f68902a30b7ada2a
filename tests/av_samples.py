"""Videos made on the spot: a few even frames, with or without a sound track."""

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
