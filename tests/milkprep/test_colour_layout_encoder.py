"""Colour layout against independent readings: SciPy's transform, Pillow's colours and averages, JPEG's zigzag."""

import numpy as np
import pytest
from av_samples import write_video
from media_samples import gradient, write_picture
from PIL import Image
from scipy.fft import dctn

from milkprep.decode.video import read_frames
from milkprep.encoder import EncoderOptions
from milkprep.extractors import colour_layout
from milkprep.extractors.colour_layout import ColourLayout

ENCODER = ColourLayout(normalise=False)
#: ITU-T T.81, figure A.6: rows of the zigzag indices, the first ten of them.
ZIGZAG = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0)]


@pytest.fixture
def vector(tmp_path):
    def vector(pixels: np.ndarray) -> np.ndarray:
        return ENCODER.encode([ENCODER.decode(write_picture(tmp_path / "a.png", pixels))])[0]

    return vector


def test_coefficients_are_those_of_scipy_on_the_cells_of_pillow(vector):
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    cells = Image.fromarray(pixels).resize((8, 8), Image.Resampling.BOX).convert("YCbCr")
    expected = dctn((np.asarray(cells).astype(float) - 128) / 128, axes=(0, 1), norm="ortho")
    found = vector(pixels)
    for channel, start in enumerate((0, 28, 43)):
        low = [expected[row, column, channel] for row, column in ZIGZAG]
        np.testing.assert_allclose(found[start : start + 10], low, atol=8 * 1.5 / 128)  # Pillow rounds a cell twice


def test_cells_that_borders_of_pixels_do_not_meet_are_averaged_by_their_share():
    pixels = np.zeros((1, 9, 3), dtype=np.uint8)
    pixels[0, 1] = 80  # covers pixel 1 to 2 of 9; a cell is 9/8 wide: 1/9 of cell 0, 7/9 of cell 1
    means = colour_layout._cell_means(pixels)
    np.testing.assert_allclose(means[0, :3, 0], [80 / 9, 560 / 9, 0], atol=1e-9)
    np.testing.assert_allclose(means, np.broadcast_to(means[:1], means.shape))


def test_one_even_colour_has_no_frequency_but_the_lowest(vector):
    found = vector(np.full((20, 20, 3), 255, dtype=np.uint8))
    assert found[0] == pytest.approx(8 * 127 / 128, rel=1e-5)  # orthonormal: 8 times the mean
    np.testing.assert_allclose(found[1:58], 0, atol=1e-4)
    assert np.flatnonzero(found[58:]).tolist() == [63]


def test_the_histogram_is_the_root_of_each_colours_share(vector):
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[0] = (255, 0, 64)  # levels 3, 0, 1: place (3 * 4 + 0) * 4 + 1 = 49, a quarter of the pixels
    histogram = vector(pixels)[58:]
    assert histogram[49] == pytest.approx(0.5)
    assert histogram[0] == pytest.approx(np.sqrt(0.75))
    assert (histogram**2).sum() == pytest.approx(1)


def test_resolution_does_not_matter_but_place_does(vector):
    small = gradient(24, 32)
    np.testing.assert_allclose(vector(np.kron(small, np.ones((3, 2, 1), dtype=np.uint8))), vector(small), atol=1e-5)
    assert np.abs(vector(small[:, ::-1]) - vector(small)).max() > 0.5


def test_the_zigzag_is_that_of_jpeg():
    rows, columns = colour_layout._zigzag(8)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True))[:10] == ZIGZAG
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(r, c) for r in range(8) for c in range(8)]


def test_the_vector_of_a_video_is_the_mean_of_its_frames(tmp_path, vector):
    path = write_video(tmp_path / "a.mp4")
    encoder = colour_layout.build(EncoderOptions(frames=3))
    decoded = encoder.decode(path)
    frames = read_frames(path, n=3)
    assert encoder.size_of(decoded) == len(frames) == 3
    expected = np.mean([vector(frame) for frame in frames], axis=0)
    np.testing.assert_allclose(encoder.encode([decoded, ENCODER.decode(write_picture(tmp_path / "b.png"))])[0], expected, rtol=1e-5, atol=1e-5)
