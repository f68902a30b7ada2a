"""Files made to exhaust, mislead or hold up whoever decodes them, each with the state it is to end in: (status, reason)."""

import os
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av_samples import CLIPS, write_clip, write_video
from media_samples import tone, write_picture, write_sound, write_wav
from PIL import Image

State = tuple[str, str | None]
OK: State = ("ok", None)
EMPTY, NO_PICTURE = ("decode_error", "the file is empty"), ("decode_error", "not a picture of a known format")
TOO_LARGE, BROKEN = ("decode_error", "the picture has more than 64 million pixels"), ("decode_error", "the picture is broken or cut short")
SHORT_SOUND = ("decode_error", "the sound is cut short: its header states more than can be read")
NO_SOUND = ("decode_error", "the sound is broken or of an unknown format: Invalid data found when processing input")
NO_SOUND_AT_ALL = ("decode_error", "the sound is broken or of an unknown format: Invalid argument")
NO_SAMPLES = ("decode_error", "the sound track holds no samples")
NO_FILE, SPECIAL = ("decode_error", "there is no such file"), ("decode_error", "not an ordinary file")
TEN_HOURS = 36_000


def one_colour_png(side: int) -> bytes:
    """A whole PNG of side x side black and white pixels, all of them black."""
    packer, row = zlib.compressobj(1), bytes(1 + (side + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def picture(kind: str, **options: object) -> bytes:
    """A picture of 48 x 64 pixels, of some kilobytes in any format."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    with BytesIO() as file:
        Image.fromarray(noise).save(file, kind, **options)
        return file.getvalue()


def claimed_sizes() -> dict[str, bytes]:
    """Small files whose headers claim pictures of thousands of millions of pixels."""
    jpeg, gif, webp, tiff = (bytearray(picture(kind)) for kind in ("JPEG", "GIF", "WEBP", "TIFF"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    at = webp.index(b"VP8 ") + 8 + 6
    webp[at : at + 4] = struct.pack("<HH", 16_383, 16_383)
    for tag in (256, 257):
        at = tiff.index(struct.pack("<HHI", tag, 4, 1)) if struct.pack("<HHI", tag, 4, 1) in tiff else tiff.index(struct.pack("<HHI", tag, 3, 1))
        tiff[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 60_000)
    return {"claimed.jpg": bytes(jpeg), "claimed.gif": bytes(gif), "claimed.webp": bytes(webp), "claimed.tiff": bytes(tiff)}


def frames_of_gif(n: int) -> bytes:
    """An animation of n frames of a pixel each."""
    frames = [Image.new("P", (1, 1), level % 2) for level in range(n)]
    with BytesIO() as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return file.getvalue()


def write_bytes(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by name."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def write_special(folder: Path) -> dict[Path, State]:
    """What has a place in a folder and is no file, or cannot be opened."""
    os.mkfifo(folder / "pipe")
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nowhere.png").symlink_to(folder / "nothing.png")
    found = {folder / "pipe": SPECIAL, folder / "folder.png": SPECIAL, folder / "nowhere.png": NO_FILE, folder / "never.png": NO_FILE}
    found |= {Path("/dev/zero"): SPECIAL, Path("/proc/self/mem"): EMPTY, Path("/proc/self/environ"): EMPTY}
    found[folder / "loop.png"] = ("decode_error", "the file cannot be read: Too many levels of symbolic links")
    found[folder / ("n" * 300)] = ("decode_error", "the file cannot be read: File name too long")
    found[folder / "null\0.png"] = ("decode_error", "the file cannot be read: its name holds a null character")
    return found


def write_locked(good: Path) -> dict[Path, State]:
    """A good file that may not be read; the administrator may read it all the same."""
    locked = good.with_stem("locked")
    locked.write_bytes(good.read_bytes())
    locked.chmod(0)
    return {locked: OK if os.access(locked, os.R_OK) else ("decode_error", "the file cannot be read: Permission denied")}


def write_pictures(folder: Path) -> dict[Path, State]:
    """What is to be seen: good files beside hostile ones."""
    states: dict[str, State] = {"good.png": OK, "video.png": OK, "sound only.mp4": ("absent", "the file has no video track")}
    write_picture(folder / "good.png")
    write_video(folder / "v.mp4").rename(folder / "video.png")
    write_sound(folder / "sound only.mp4", tone(1.0)[None], codec="aac", rate=16_000)
    write_sound(folder / "sound.m4a", tone(1.0)[None], codec="aac", rate=16_000)
    write_wav(folder / "wav.jpg", tone(0.2))
    write_clip(folder / "clip.mp4", range(20))
    states |= write_without_frames(folder)
    with (folder / "sparse.png").open("wb") as sparse:
        sparse.truncate((1 << 30) + 1)
    states["sparse.png"] = ("decode_error", "the file is larger than 1024 MiB")
    clip = (folder / "clip.mp4").read_bytes()
    contents = {"bomb.png": one_colour_png(30_000), "page.png": b"<html><body>404</body></html>", "empty.jpg": b"", **claimed_sizes()}
    states |= {"sound.m4a": NO_PICTURE, "wav.jpg": NO_PICTURE, "clip.mp4": OK, "bomb.png": TOO_LARGE, "page.png": NO_PICTURE, "empty.jpg": EMPTY}
    states |= {name: TOO_LARGE for name in contents if name.startswith("claimed")}
    contents |= {"frames.gif": frames_of_gif(5000), "thin.png": thin(1), "long.png": thin(0)}
    states |= dict.fromkeys(("frames.gif", "thin.png", "long.png"), OK)
    for kind in ("png", "jpeg", "webp", "bmp", "tiff"):
        whole = picture(kind.upper())
        for part in range(2, 10):
            contents[f"part {part}.{kind}"] = whole[: len(whole) * part // 10]
            states[f"part {part}.{kind}"] = BROKEN
    for part in range(1, 9):
        contents[f"part {part}.mp4"] = clip[: len(clip) * part // 10]
        states[f"part {part}.mp4"] = ("decode_error", "the video is cut short: its header states more than can be read")
    for name in ("a\nb.png", "'; DROP TABLE items; --.png", '"quoted".png', "\N{CAT FACE} \u202egnp.exe", "x" * 250, "%s%n{0}$1.png", "-rf"):
        contents[name], states[name] = picture("PNG", comment=name), OK
    write_bytes(folder, contents)
    return {folder / name: state for name, state in states.items()}


def write_without_frames(folder: Path) -> dict[str, State]:
    """Videos of a header and nothing else."""
    unfinished = "the video is broken or of an unknown format: End of file"
    reasons = {"avi": "the video has no frame that can be decoded", "mkv": unfinished, "webm": unfinished}
    for ending in reasons:
        with av.open(str(folder / f"no frames.{ending}"), "w") as container:
            stream = container.add_stream(CLIPS[ending][0], rate=25)
            stream.width = stream.height = 32
            stream.pix_fmt = CLIPS[ending][1]
            container.start_encoding()
    return {f"no frames.{ending}": ("decode_error", reason) for ending, reason in reasons.items()}


def thin(axis: int) -> bytes:
    """A picture of one pixel by a million: as large as any, once its shorter side fits an encoder."""
    with BytesIO() as file:
        Image.fromarray(np.zeros((1, 1_000_000) if axis == 0 else (1_000_000, 1), dtype=np.uint8)).save(file, "PNG")
        return file.getvalue()


def write_silence(path: Path, *, seconds: int, rate: int = 1000) -> Path:
    """Really that long, and packed to nearly nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size)
        minute = av.AudioFrame.from_ndarray(np.zeros((1, 60 * rate), dtype=np.int16), format="s16", layout="mono")
        minute.sample_rate = rate
        for _ in range(seconds // 60):
            minute.pts = None
            for part in resampler.resample(minute):
                for packet in stream.encode(part):
                    container.mux(packet)
        for part in [*resampler.resample(None), None]:
            for packet in stream.encode(part):
                container.mux(packet)
    return path


def claimed_lengths(wav: bytes, flac: bytes, *, rate: int) -> dict[str, bytes]:
    """A second of sound whose header claims ten hours."""
    claims = TEN_HOURS * rate
    at = wav.index(b"data") + 4
    wav = wav[:4] + struct.pack("<I", 2 * claims + 36) + wav[8:at] + struct.pack("<I", 2 * claims) + wav[at + 4 :]
    at = flac.index(b"fLaC") + 4 + 4 + 13  # STREAMINFO: 36 bits of total samples end 18 bytes in (RFC 9639, section 8.2)
    first = flac[at] & 0xF0 | claims >> 32
    return {"claimed.wav": wav, "claimed.flac": flac[:at] + bytes([first]) + struct.pack(">I", claims & 0xFFFFFFFF) + flac[at + 5 :]}


def claimed_by_streams(folder: Path) -> dict[str, bytes]:
    """A second of sound whose last page, or first frame, claims ten hours."""
    ogg = bytearray(write_sound(folder / "o.ogg", tone(1.0, rate=48_000)[None], codec="libopus", rate=48_000).read_bytes())
    page = ogg.rindex(b"OggS")  # its last: the samples so far 6 bytes in, a checksum 22 bytes in (RFC 3533, section 6)
    ogg[page + 6 : page + 14] = struct.pack("<q", TEN_HOURS * 48_000)
    ogg[page + 22 : page + 26] = bytes(4)
    ogg[page + 22 : page + 26] = struct.pack("<I", ogg_checksum(ogg[page:]))
    mp3 = bytearray(write_sound(folder / "m.mp3", tone(1.0)[None], codec="libmp3lame", rate=16_000).read_bytes())
    at = mp3.index(b"Info")
    mp3[at + 8 : at + 12] = struct.pack(">I", TEN_HOURS * 16_000 // 576)
    return {"claimed.ogg": bytes(ogg), "claimed.mp3": bytes(mp3)}


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of generator 0x04c11db7, neither reflected nor inverted (RFC 3533, section 6)."""
    found = 0
    for byte in page:
        found ^= byte << 24
        for _ in range(8):
            found = (found << 1) ^ (0x104C11DB7 if found >> 31 else 0)
    return found


def write_sounds(folder: Path) -> dict[Path, State]:
    """What is to be heard: good files beside hostile ones."""
    states: dict[str, State] = {"good.wav": OK, "video.mp3": OK, "ten hours.flac": ("silent", "the sound is silent throughout")}
    wav = write_wav(folder / "good.wav", tone(1.0)).read_bytes()
    write_video(folder / "v.mp4", sound=tone(1.0)).rename(folder / "video.mp3")
    write_video(folder / "mute.mp4")
    write_silence(folder / "ten hours.flac", seconds=TEN_HOURS)
    flac = write_sound(folder / "good.flac", tone(1.0)[None], codec="flac", rate=16_000).read_bytes()
    contents = {**claimed_lengths(wav, flac, rate=16_000), "text.wav": b"No sound at all, but a text.\n" * 50, "page.mp3": b"<html>404</html>"}
    contents |= {"empty.wav": b"", "picture.mp3": picture("PNG"), "zeros.wav": bytes(100_000), "head.wav": wav[:44]}
    states |= {"mute.mp4": ("absent", "the file has no sound track"), "good.flac": OK, "claimed.wav": SHORT_SOUND, "claimed.flac": SHORT_SOUND}
    states |= {
        "empty.wav": EMPTY,
        **dict.fromkeys(("text.wav", "page.mp3", "zeros.wav"), NO_SOUND),
        "picture.mp3": NO_SOUND_AT_ALL,
        "head.wav": NO_SAMPLES,
    }
    contents |= claimed_by_streams(folder)
    states |= dict.fromkeys(("claimed.ogg", "claimed.mp3"), OK)  # neither is known to tell the truth, so both are read up to their end
    for part in range(6, 10):
        contents[f"part {part}.flac"], states[f"part {part}.flac"] = flac[: len(flac) * part // 10], NO_SOUND
    for part in range(1, 9):
        contents[f"part {part}.wav"] = wav[: len(wav) * part // 10]
        states[f"part {part}.wav"] = SHORT_SOUND
    write_bytes(folder, contents)
    return {folder / name: state for name, state in states.items()}
