"""Pictures without weights: where which colour lies, and how much of each there is.

The picture is averaged into 8 x 8 cells of luma and chroma and the low frequencies of their cosine transform are kept, as in
MPEG-7's colour layout descriptor; to these comes a histogram of 4 x 4 x 4 colours, as square roots, so that Euclidean
distance compares distributions (Hellinger). Resolution does not matter. Vectors of a video's frames are averaged.

Source: Kasutani and Yamada 2001 (colour layout); ITU-R BT.601 full range (YCbCr, as in JPEG).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milkprep.encoder import EncoderOptions, Offer, Preparer, l2_normalised, library_versions
from milkprep.extractors import _pictures
from schemas.contracts import EncoderIdentity, Modality

MODALITY = Modality.VISUAL
ACCEPTS = frozenset({"normalise", "frames", "frame_choice"})
CELLS = 8
#: Coefficients kept of Y, Cb and Cr, in zigzag order; MPEG-7's largest common choice.
KEPT = (28, 15, 15)
#: Levels a channel in the histogram.
LEVELS = 4
WIDTH = sum(KEPT) + LEVELS**3
#: RGB in 0 .. 255 to Y in 0 .. 255 and Cb, Cr in -128 .. 127.
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


USUAL_FRAMES = _pictures.Frames(_pictures.FRAMES, _pictures.CHOICES[0])


class ColourLayout:
    """Encoder of pictures and videos; decoded is, for each of F frames, 8 x 8 x 3 mean RGB and 64 colour shares, (F, 256)."""

    modality = MODALITY
    batch_size = 256
    budget = 1 << 16

    def __init__(self, *, normalise: bool, frames: _pictures.Frames = USUAL_FRAMES) -> None:
        self._normalise = normalise
        self.preparation: Mapping[str, object] = frames.parameters()
        self._prepare = preparer(self.preparation)
        parameters: dict[str, object] = {"cells": CELLS, "coefficients": [*KEPT], "levels": LEVELS, "normalise": normalise, **frames.parameters()}
        self.identity = EncoderIdentity(
            encoder="colour-layout", weights="none", weights_sha256="", width=WIDTH, pooling="none", parameters=parameters,
            versions=library_versions("numpy", "pillow"),
        )  # fmt: skip

    def decode(self, content: Path) -> NDArray[np.float32]:
        """(F, 256) float32: mean RGB of the cells, row by row, then the share of each colour; shares sum to 1.

        Raises:
            DecodeFailure: if the file is no readable picture or video.
        """
        return np.asarray(self._prepare(content), dtype=np.float32)

    def size_of(self, decoded: NDArray[np.float32]) -> int:
        """Frames."""
        return len(decoded)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, WIDTH) float32: coefficients in about -8 .. 8, then square roots of shares in 0 .. 1."""
        stacked = np.concatenate(batch).astype(np.float64)
        rgb, shares = np.split(stacked, [CELLS * CELLS * 3], axis=1)
        ycbcr = rgb.reshape(-1, CELLS, CELLS, 3) @ YCBCR.T - np.array([128, 0, 0])
        basis = _cosine_basis(CELLS)
        frequencies = np.einsum("ui,bijc,vj->buvc", basis, ycbcr / 128, basis)  # 2-D DCT-II, orthonormal
        rows, columns = _zigzag(CELLS)
        kept = [frequencies[:, rows[:n], columns[:n], channel] for channel, n in enumerate(KEPT)]
        vectors = np.concatenate([*kept, np.sqrt(shares)], axis=1).astype(np.float32)
        means = _pictures.mean_of_frames(vectors, frames=[len(decoded) for decoded in batch])
        return l2_normalised(means) if self._normalise else means


def build(options: EncoderOptions) -> ColourLayout:
    """The encoder.

    Raises:
        BadValue: if the frames of a video are out of range.
    """
    return ColourLayout(normalise=options.normalise, frames=_pictures.frames_of(options))


def preparer(preparation: Mapping[str, object]) -> Preparer:
    """Pictures and videos to layouts, for decoding processes."""
    return _pictures.preparer(preparation, _layout)


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", "none", WIDTH, "needs none", is_here=True)]


def _layout(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([_cell_means(pixels).ravel(), _colour_shares(pixels)]).astype(np.float32)


def _cell_means(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean RGB of CELLS x CELLS equal cells, (CELLS, CELLS, 3); a pixel on a border counts in both by its share."""
    height, width, _ = pixels.shape
    stripes = np.empty((CELLS, width, 3))
    for stripe, share in enumerate(_shares_of_cells(height)):  # share: (H,)
        filled = np.flatnonzero(share)
        stripes[stripe] = np.tensordot(share[filled], pixels[filled], axes=1)
    return np.asarray(np.einsum("jw,iwc->ijc", _shares_of_cells(width), stripes))


def _shares_of_cells(length: int) -> NDArray[np.float64]:
    """(CELLS, length): how much of each cell each pixel fills; rows sum to 1."""
    edges = np.arange(CELLS + 1) * length / CELLS
    pixels = np.arange(length)
    filled = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(filled, 0, None) / (length / CELLS))


def _colour_shares(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(LEVELS ** 3,) share of the pixels in each cell of the RGB cube."""
    level = pixels.reshape(-1, 3) // np.uint8(256 // LEVELS)
    place = (level[:, 0] * LEVELS + level[:, 1]) * LEVELS + level[:, 2]
    return np.bincount(place, minlength=LEVELS**3) / len(place)


def _cosine_basis(n: int) -> NDArray[np.float64]:
    """(n, n) orthonormal DCT-II: row u is the u-th cosine."""
    u, i = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    basis = np.sqrt(2 / n) * np.cos(np.pi * (2 * i + 1) * u / (2 * n))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def _zigzag(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of an n x n block from low to high frequency, as JPEG walks it."""
    walk = sorted(((r, c) for r in range(n) for c in range(n)), key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))
    rows, columns = zip(*walk, strict=True)
    return np.array(rows), np.array(columns)
