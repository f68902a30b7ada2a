"""Pictures and videos by any network of the open_clip library: its own preprocessing, one forward pass, the frames' mean.

Agrees with the library's `image_transform` and `encode_image(normalize=False)` on the same weights (a test holds it to 1e-5).
A picture is scaled and cut by Pillow, to the same bits.

Source: Radford et al. 2021 (CLIP); Cherti et al. 2023 (the default weights).
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milkprep.encoder import EncoderOptions, Offer, Preparer, library_versions
from milkprep.extractors import _device, _open_clip, _open_clip_hub, _pictures
from schemas.contracts import EncoderIdentity, Modality

if TYPE_CHECKING:
    from PIL.Image import Image

MODALITY = Modality.VISUAL
ACCEPTS = frozenset({"model", "weights", "normalise", "device", "precision", "frames", "frame_choice"})


def build(options: EncoderOptions) -> _pictures.PictureEncoder:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, or do not fit.
        BadValue: if the device, the precision or the frames are not possible.
        UnknownName: if the library has no such model.
    """
    import torch

    frames = _pictures.frames_of(options)
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    loaded = _open_clip.load(model=options.model, weights=options.weights, free="colour-layout")
    how = asdict(loaded.preprocessing)
    identity = EncoderIdentity(
        encoder="open-clip", weights=loaded.weights, weights_sha256=loaded.sha256, width=_width(loaded), pooling="none",
        parameters={
            "model": loaded.model, "normalise": options.normalise, "precision": precision, **frames.parameters(),
            **{name: list(value) if isinstance(value, tuple) else value for name, value in how.items()},
        },
        versions=library_versions("torch", "open_clip_torch", "timm", "pillow"),
    )  # fmt: skip
    preparation = {**{name: how[name] for name in ("size", "interpolation", "resize_mode", "fill_color")}, **frames.parameters()}
    network = loaded.network.to(device=on, memory_format=torch.channels_last)
    return _pictures.PictureEncoder(
        partial(network.encode_image, normalize=False), identity=identity, preparation=preparation, prepare=preparer(preparation),
        size=loaded.preprocessing.size, mean=loaded.preprocessing.mean, std=loaded.preprocessing.std, on=on, normalise=options.normalise,
    )  # fmt: skip


def preparer(preparation: Mapping[str, object]) -> Preparer:
    """Pictures and videos to (F, H, W, 3) uint8, for decoding processes; imports no torch.

    Args:
        preparation: `size`, `interpolation`, `resize_mode` and `fill_color` of the model, `frames` and `frame_choice`.
    """
    height, width = (int(n) for n in preparation["size"])  # type: ignore[attr-defined]  # two numbers, as `build` wrote them
    one = partial(
        fitted, size=(height, width), interpolation=str(preparation["interpolation"]),
        mode=str(preparation["resize_mode"]), fill=int(str(preparation["fill_color"])),
    )  # fmt: skip
    return _pictures.preparer(preparation, one)


def offers() -> list[Offer]:
    """What it can be asked for."""
    return _open_clip_hub.offers()


def fitted(pixels: NDArray[np.uint8], *, size: tuple[int, int], interpolation: str, mode: str, fill: int) -> NDArray[np.uint8]:
    """A picture in the size of a network, the way the library brings it there.

    Args:
        pixels: (H, W, 3) RGB of any size.
        size: height and width that the network sees.
        interpolation: `bicubic` or `bilinear`.
        mode: `shortest`, `longest` or `squash`, see `_open_clip.Preprocessing`.
        fill: grey level beside a picture that fits by its longer side.

    Returns:
        (*size, 3) uint8.
    """
    from PIL import Image

    pixels = _pictures.shortened(pixels) if mode == "shortest" else pixels
    picture = Image.fromarray(pixels)
    # The library scales bicubically whatever is asked where the short side decides and the network is not square.
    is_bilinear = interpolation == "bilinear" and not (mode == "shortest" and size[0] != size[1])
    kind = Image.Resampling.BILINEAR if is_bilinear else Image.Resampling.BICUBIC
    height, width = _scaled(pixels.shape[0], pixels.shape[1], size=size, mode=mode)
    return np.asarray(_middle(picture.resize((width, height), kind), size=size, fill=fill))


def _scaled(height: int, width: int, *, size: tuple[int, int], mode: str) -> tuple[int, int]:
    """Height and width before the middle is cut out; rounded as the library does."""
    if mode == "squash":
        return size
    if mode == "shortest" and size[0] == size[1]:
        side = size[0]
        return (int(side * height / width), side) if width <= height else (side, int(side * width / height))
    ratios = height / size[0], width / size[1]
    ratio = max(ratios) if mode == "longest" else min(ratios)
    return max(1, round(height / ratio)), max(1, round(width / ratio))


def _middle(picture: "Image", *, size: tuple[int, int], fill: int) -> "Image":
    """The middle of a picture in a size, on a ground of grey where it is smaller."""
    from PIL import Image

    lacking = [max(0, wanted - there) for wanted, there in zip(size, (picture.height, picture.width), strict=True)]
    if any(lacking):
        ground = Image.new("RGB", (picture.width + lacking[1], picture.height + lacking[0]), (fill, fill, fill))
        ground.paste(picture, (lacking[1] // 2, lacking[0] // 2))
        picture = ground
    top, left = round((picture.height - size[0]) / 2), round((picture.width - size[1]) / 2)
    return picture.crop((left, top, left + size[1], top + size[0]))


def _width(loaded: _open_clip.Loaded) -> int:
    """Length of a vector, from one picture of nothing: networks of this library state it in many ways."""
    import torch

    with torch.inference_mode():
        return int(loaded.network.encode_image(torch.zeros(1, 3, *loaded.preprocessing.size)).shape[1])
