"""Pictures: what a viewer would show, whatever the format; refusals in words, whatever the damage."""

import os
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import gradient, write_picture
from PIL import Image

from milkprep.decode import DecodeFailure, digest
from milkprep.decode import image as decode_image
from milkprep.decode.image import read_image
from schemas.contracts import AssetStatus


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "gif", "ppm"])
def test_lossless_formats_come_back_to_the_pixel(tmp_path, ending):
    pixels = gradient() // 64 * 64  # few enough colours for a GIF palette
    options = {"lossless": True} if ending == "webp" else {}
    assert (read_image(write_picture(tmp_path / f"a.{ending}", pixels, **options)) == pixels).all()


@pytest.mark.parametrize("ending", ["jpg", "avif"])
def test_lossy_formats_come_back_nearly(tmp_path, ending):
    found = read_image(write_picture(tmp_path / f"a.{ending}", quality=95))
    assert np.abs(found.astype(int) - gradient()).mean() < 3


def test_the_content_counts_not_the_ending(tmp_path):
    write_picture(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert (read_image(tmp_path / "a.jpg") == gradient()).all()


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = gradient()[:, :, 0]
    assert (read_image(write_picture(tmp_path / "a.png", grey)) == grey[:, :, None]).all()


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    assert read_image(write_picture(tmp_path / "a.png", grey))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_becomes_the_same_colours(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff")[0, 0].tolist() == [255, 0, 0]


def test_transparency_is_laid_on_white(tmp_path):
    half_red = np.full((2, 2, 4), (255, 0, 0, 128), dtype=np.uint8)  # 255 * (1 - 128/255) = 127 of white is left
    half_red[0, 0, 3] = 0
    found = read_image(write_picture(tmp_path / "a.png", half_red))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [255, 127, 127]


def test_a_transparent_palette_entry_is_laid_on_white(tmp_path):
    Image.new("P", (2, 2)).save(tmp_path / "a.png", transparency=0)
    assert read_image(tmp_path / "a.png").min() == 255


def test_the_first_frame_stands_for_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_itself_does(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    write_picture(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert (read_image(tmp_path / "a.png") == expected).all()


def test_a_broken_exif_block_does_not_lose_the_picture(tmp_path):
    write_picture(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)


def refusal(path) -> str:
    with pytest.raises(DecodeFailure) as caught:
        read_image(path)
    assert caught.value.status is AssetStatus.DECODE_ERROR
    return caught.value.reason


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "avif", "bmp", "tiff"])
def test_a_picture_cut_short_is_refused(tmp_path, ending):
    whole = write_picture(tmp_path / f"a.{ending}", np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "half") in ("the picture is broken or cut short", "not a picture of a known format")


@pytest.mark.parametrize("content", [b"<html>404 Not Found</html>", b"\0" * 500, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    assert refusal(tmp_path / "a.jpg") == "not a picture of a known format"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 9_600, 50_000])
def test_a_bomb_is_refused_from_its_header(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    assert refusal(tmp_path / "a.png") == "the picture has more than 64 million pixels"


def test_the_limit_of_pixels_itself_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_image, "MAX_PIXELS", 64 * 48)
    write_picture(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (48, 64, 3)
    monkeypatch.setattr(decode_image, "MAX_PIXELS", 64 * 48 - 1)
    assert "pixels" in refusal(tmp_path / "a.png")


DAMAGE = st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(["jpg", "png", "gif", "webp", "tiff", "bmp", "avif"]), DAMAGE)
def test_damage_anywhere_gives_a_picture_or_a_refusal_and_nothing_else(tmp_path, ending, damage):
    broken = bytearray(write_picture(tmp_path / f"a.{ending}", gradient(12, 12)).read_bytes())
    for place, byte in damage:
        broken[int(place * len(broken))] = byte
    (tmp_path / "broken").write_bytes(broken)
    with suppress(DecodeFailure):
        assert read_image(tmp_path / "broken").dtype == np.uint8


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "not an ordinary file"),
        (lambda path: os.mkfifo(path), "not an ordinary file"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: path.write_bytes(b"x" * 2_000_000), "the file is larger than 1 MiB"),
    ],
)
def test_what_is_not_worth_reading_is_refused_before_it_is_read(tmp_path, make, reason):
    make(tmp_path / "a")
    with pytest.raises(DecodeFailure, match=reason):
        digest(tmp_path / "a", max_bytes=1 << 20)


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a", max_bytes=3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
