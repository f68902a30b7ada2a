"""What is seen of any file: which are videos, and refusals in words, whatever is wrong with them."""

import io
import multiprocessing
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from av_samples import CLIPS, shades, write_clip, write_video
from hypothesis import given
from hypothesis import strategies as st
from media_samples import gradient, tone, write_picture, write_sound, write_wav

from milkprep import decode
from milkprep.decode import DecodeFailure, containers, image
from milkprep.decode import track as decode_track
from milkprep.decode.containers import is_cut_short, is_video
from milkprep.decode.image import read_image
from milkprep.decode.pictures import read_pictures, refuse_undecodable
from milkprep.decode.video import read_frames
from milkprep.media.inspector import inspect
from schemas.contracts import AssetStatus, Modality

SHADES = list(range(20))
PICTURES = ("jpg", "png", "gif", "webp", "avif", "bmp", "tiff")
SOUNDS = {"mp3": "libmp3lame", "flac": "flac", "ogg": "libopus", "m4a": "aac", "wma": "libmp3lame", "flv": "libmp3lame"}


@pytest.mark.parametrize("ending", CLIPS)
def test_a_video_gives_its_frames_whatever_it_is_called(tmp_path, ending):
    clip = write_clip(tmp_path / f"a.{ending}", SHADES).rename(tmp_path / "a.jpg")
    assert is_video(clip)
    assert shades(read_pictures(clip, frames=4)) == [2, 7, 12, 17]


@pytest.mark.parametrize("ending", PICTURES)
def test_a_picture_is_one_and_no_video(tmp_path, ending):
    picture = write_picture(tmp_path / f"a.{ending}").rename(tmp_path / "a.mp4")
    assert not is_video(picture)
    (found,) = read_pictures(picture, frames=4)
    np.testing.assert_array_equal(found, read_image(picture))


def test_an_animation_is_a_picture(tmp_path):
    from PIL import Image

    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "white")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert [found[0, 0].tolist() for found in read_pictures(tmp_path / "a.gif", frames=3)] == [[255, 0, 0]]


@pytest.mark.parametrize("ending", SOUNDS)
def test_sound_is_no_video(tmp_path, ending):
    sound = write_sound(tmp_path / f"a.{ending}", tone(0.5, rate=48_000)[None], codec=SOUNDS[ending], rate=48_000)
    assert not is_video(sound)
    assert refusal(sound) == (AssetStatus.DECODE_ERROR, "not a picture of a known format")


def test_what_cannot_be_read_is_no_video(tmp_path):
    assert not is_video(tmp_path / "gone")
    assert not is_video(tmp_path)
    assert not is_video(Path("a\0b"))


def refusal(path) -> tuple[AssetStatus, str]:
    with pytest.raises(DecodeFailure) as caught:
        read_pictures(path, frames=4)
    found = inspect(path, Modality.VISUAL)
    assert (found.status, found.reason) == (caught.value.status, caught.value.reason)
    return caught.value.status, caught.value.reason


def with_cover(path: Path, codec: str) -> Path:
    """Sound with a cover picture attached, as music shops sell it."""
    import av
    from av.stream import Disposition

    cover = io.BytesIO()
    from PIL import Image

    Image.fromarray(gradient()).save(cover, "JPEG")
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=48_000, layout="mono")
        picture = container.add_stream("mjpeg")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        picture.disposition = Disposition.attached_pic
        packet = av.Packet(cover.getvalue())
        packet.stream = picture
        resampler = av.AudioResampler(format=audio.format, layout="mono", rate=48_000, frame_size=audio.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(tone(0.5, rate=48_000)[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(packet)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            for encoded in audio.encode(part):
                container.mux(encoded)
    return path


@pytest.mark.parametrize(
    ("ending", "codec", "refused_as"),
    [
        ("mp3", "libmp3lame", (AssetStatus.DECODE_ERROR, "not a picture of a known format")),
        ("mp4", "aac", (AssetStatus.ABSENT, "the file has no video track")),
    ],
)
def test_the_cover_of_a_song_is_no_video_track(tmp_path, ending, codec, refused_as):
    song = with_cover(tmp_path / f"a.{ending}", codec)
    import av

    with av.open(str(song)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(DecodeFailure, match=r"^the file has no video track$"):
        read_frames(song, n=1)
    assert refusal(song) == refused_as


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_video_file_with_sound_alone_has_no_video_rather_than_a_broken_one(tmp_path, ending):
    sound = write_sound(tmp_path / f"a.{ending}", tone(0.5, rate=48_000)[None], codec="aac", rate=48_000)
    assert refusal(sound) == (AssetStatus.ABSENT, "the file has no video track")


CUT = "the video is cut short: its header states more than can be read"
NONE = "the video has no frame that can be decoded"


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "avi", "wmv"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_video_cut_short_is_refused(tmp_path, ending, share):
    whole = write_clip(tmp_path / f"a.{ending}", SHADES).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(share * len(whole))])
    status, reason = refusal(tmp_path / "cut")
    # of an MP4 with its index at the end, little may be missing but that
    assert (status, reason.split(":")[0]) in [
        (AssetStatus.DECODE_ERROR, "the video is cut short"),
        (AssetStatus.DECODE_ERROR, "the video is broken or of an unknown format"),
    ]
    assert reason == CUT or ending in ("mp4", "mov")


@pytest.mark.parametrize("ending", ["ts", "flv", "mpg"])
def test_of_a_broadcast_that_breaks_off_what_came_is_seen(tmp_path, ending):
    whole = write_clip(tmp_path / f"a.{ending}", SHADES).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    found = shades(read_pictures(tmp_path / "cut", frames=50))
    assert found == SHADES[: len(found)]
    assert 6 <= len(found) <= 14


@pytest.mark.parametrize("ending", ["mp4", "webm", "avi"])
def test_a_video_whose_frames_are_all_damaged_has_none(tmp_path, ending, monkeypatch):
    clip = write_clip(tmp_path / f"a.{ending}", SHADES)
    monkeypatch.setattr(decode_track, "_of_packet", lambda stream, packet: [])
    assert refusal(clip) == (AssetStatus.DECODE_ERROR, NONE)


def test_a_video_without_a_frame_has_none(tmp_path):
    whole = write_clip(tmp_path / "a.webm", [3]).read_bytes()
    (tmp_path / "empty.webm").write_bytes(whole.replace(b"\x1f\x43\xb6\x75", b"\xec\x43\xb6\x75"))  # the cluster becomes padding
    status, reason = refusal(tmp_path / "empty.webm")
    assert status is AssetStatus.DECODE_ERROR
    assert reason == NONE or reason.startswith("the video is broken")


@pytest.mark.parametrize(("ending", "mark", "other"), [("mkv", b"V_VP9", b"V_XYZ"), ("mp4", b"avc1", b"zzzz")])
def test_a_coding_that_no_decoder_knows_is_refused(tmp_path, ending, mark, other):
    clip = write_clip(tmp_path / f"a.{ending}", SHADES)
    clip.write_bytes(clip.read_bytes().replace(mark, other))
    status, reason = refusal(clip)
    assert (status, reason) == (AssetStatus.DECODE_ERROR, "the video is in a coding that no decoder knows")


def test_frames_larger_than_the_limit_are_refused_and_the_limit_itself_is_not(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "a.mp4", SHADES)
    monkeypatch.setattr(decode_track, "MAX_PIXELS", 32 * 32)
    assert len(read_pictures(clip, frames=2)) == 2
    monkeypatch.setattr(decode_track, "MAX_PIXELS", 32 * 32 - 1)
    assert refusal(clip) == (AssetStatus.DECODE_ERROR, "the video has more than 0 million pixels a frame")


@pytest.mark.parametrize("side", [9_000, 12_000])
def test_a_bomb_is_not_decoded(tmp_path, side):
    clip = write_clip(tmp_path / "a.avi", SHADES)
    content = bytearray(clip.read_bytes())
    size = b"\xff\xc0\0\x11\x08\0\x20\0\x20"  # of each frame, a JPEG of 32 x 32
    assert content.count(size) == 20
    clip.write_bytes(content.replace(size, size[:5] + side.to_bytes(2, "big") * 2))
    assert refusal(clip)[1] in (NONE, "the video has more than 64 million pixels a frame")


def test_what_takes_too_long_to_decode_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_track, "MAX_DECODED_PIXELS", 10 * 32 * 32)
    assert refusal(write_clip(tmp_path / "a.webm", SHADES, gop=1000))[1] == "the video takes too long to decode"


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5_000, b"<html>404</html>", b"\x1a\x45\xdf\xa3" + bytes(500), b"\0\0\0\x08ftyp" + bytes(500), b"G" * 4_000]
)
def test_what_is_no_video_is_refused_without_a_word_on_stderr(tmp_path, capfd, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DecodeFailure):
        read_frames(tmp_path / "a.mp4", n=2)
    with pytest.raises(DecodeFailure):
        refuse_undecodable(tmp_path / "a.mp4")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile other.ts\n"]
)
def test_a_playlist_is_no_video_for_it_names_other_files(tmp_path, text):
    write_clip(tmp_path / "other.ts", SHADES)
    for name in ("a.m3u8", "a.txt", "a.mp4"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DecodeFailure, match="broken or of an unknown format"):
            read_frames(tmp_path / name, n=2)
        assert refusal(tmp_path / name) == (AssetStatus.DECODE_ERROR, "not a picture of a known format")


def test_a_video_may_be_larger_than_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "MAX_PICTURE_BYTES", 100)
    clip, picture = write_clip(tmp_path / "a.webm", SHADES), write_picture(tmp_path / "a.png")
    assert min(clip.stat().st_size, picture.stat().st_size) > 100
    assert len(read_pictures(clip, frames=2)) == 2
    assert "larger than" in refusal(picture)[1]
    assert decode.MAX_FILE_BYTES[Modality.VISUAL] >= decode.MAX_FILE_BYTES[Modality.AUDIO]


def test_videos_are_whole_for_those_who_fetch_them(tmp_path):
    assert inspect(write_video(tmp_path / "a.mp4", sound=tone(0.5)), Modality.VISUAL) is None
    assert inspect(write_wav(tmp_path / "a.wav", tone(0.5)), Modality.VISUAL).status is AssetStatus.DECODE_ERROR


BOX = {"ftyp": b"\0\0\0\x10ftypisom\0\0\0\0"}


@pytest.mark.parametrize(
    ("content", "is_cut"),
    [
        (BOX["ftyp"] + b"\0\0\0\x64mdat" + bytes(92), False),
        (BOX["ftyp"] + b"\0\0\0\x64mdat" + bytes(82), False),  # 106 of 116 bytes
        (BOX["ftyp"] + b"\0\0\0\x64mdat" + bytes(79), True),  # 103 of 116 bytes
        (BOX["ftyp"] + b"\0\0\0\0mdat" + bytes(9), False),  # up to the end, wherever that is
        (BOX["ftyp"] + b"\0\0\0\x01mdat" + (1 << 40).to_bytes(8, "big"), True),
        (BOX["ftyp"] + b"\0\0\0\x01mdat" + (16).to_bytes(8, "big") + b"\xff\xff\xff\xffglue", False),  # something glued on
        (containers.EBML + b"\x81\0\x18\x53\x80\x67\x85\0\0\0\0\0", False),
        (containers.EBML + b"\x81\0\x18\x53\x80\x67\x40\x64" + bytes(70), True),
        (containers.EBML + b"\x81\0\x18\x53\x80\x67\x01" + b"\xff" * 7, False),  # recorded live
        (b"RIFF" + (92).to_bytes(4, "little") + b"AVI " + bytes(60), True),
        (b"RIFF\xff\xff\xff\xffAVI ", False),
        (b"anything else", False),
    ],
)
def test_a_container_is_cut_short_that_has_less_than_nine_tenths_of_what_it_states(tmp_path, content, is_cut):
    (tmp_path / "a").write_bytes(content)
    assert is_cut_short(tmp_path / "a") is is_cut


STARTS = st.sampled_from([b"", *BOX.values(), containers.EBML, b"RIFF", containers.ASF, b"FLV\1", b"\0\0\1\xba", b"G"])


@given(STARTS, st.binary(max_size=200))
def test_any_bytes_are_a_video_or_not(tmp_path_factory, start, rest):
    file = tmp_path_factory.getbasetemp() / "bytes"
    file.write_bytes(start + rest)
    assert is_video(file) in (True, False)
    assert is_cut_short(file) in (True, False)


def damage_all(folder: Path) -> None:
    """Read each video of a folder in many broken states; whatever is no refusal ends the process with an error."""
    random = np.random.default_rng(4)
    for clip in sorted(folder.glob("a.*")):
        whole = np.frombuffer(clip.read_bytes(), dtype=np.uint8)
        for trial in range(24):
            broken = whole.copy()
            places = random.integers(0, len(whole) if trial % 2 else min(len(whole), 1_500), size=1 + trial % 8)
            broken[places] = random.integers(0, 256, size=len(places))
            kept = len(whole) if trial % 3 else int(random.integers(1, len(whole)))
            (folder / "broken").write_bytes(broken[:kept].tobytes())
            with suppress(DecodeFailure):
                found = read_frames(folder / "broken", n=3, how=("even", "scenes")[trial % 2])
                assert 1 <= len(found) <= 3
                assert all(frame.dtype == np.uint8 and frame.ndim == 3 for frame in found)


def test_damage_anywhere_gives_frames_or_a_refusal_and_nothing_else(tmp_path):
    for ending in CLIPS:
        write_clip(tmp_path / f"a.{ending}", SHADES)
    child = multiprocessing.get_context("spawn").Process(target=damage_all, args=(tmp_path,))
    child.start()
    child.join(120)
    still_running = child.is_alive()
    child.kill()
    child.join()
    assert not still_running
    assert child.exitcode == 0
