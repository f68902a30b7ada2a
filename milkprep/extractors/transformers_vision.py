"""Pictures and videos by any vision network of the transformers library: DINOv2, the towers of SigLIP and CLIP, ViT.

Agrees with the model's own image processor and forward pass on the same weights (a test holds it to 1e-5). One vector comes
from `pooled`, the network's own pooled output (SigLIP, CLIP, DINOv2, where that is the normalised class token), `cls`, the
class token, or `mean`, that of the patches. Unasked it is the first of these that the network has and its checkpoint trained.

Source: Oquab et al. 2023 (DINOv2, the default).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from milkprep.encoder import EncoderOptions, Offer, Preparer, library_versions
from milkprep.extractors import _device, _pictures, _vision_networks, _weights
from schemas.contracts import EncoderIdentity, Modality
from schemas.errors import BadValue

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = Modality.VISUAL
ACCEPTS = frozenset({"model", "weights", "pooling", "normalise", "device", "precision", "frames", "frame_choice"})
POOLINGS = ("pooled", "cls", "mean")
#: Well-known models and the length of their vectors.
KNOWN = (
    (_vision_networks.DEFAULT, 768), ("facebook/dinov2-small", 384), ("facebook/dinov2-large", 1024), ("google/siglip-base-patch16-224", 768),
    ("google/siglip-so400m-patch14-384", 1152), ("openai/clip-vit-base-patch32", 768), ("google/vit-base-patch16-224-in21k", 768),
)  # fmt: skip
#: How the names of class tokens end in the networks that have one.
CLASS_TOKENS = ("cls_token", "class_embedding")
#: Largest difference to the processor's own values, of about -3 .. 3, at which it is taken for understood.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a network makes of one picture: the size it is given, how values are scaled, which outputs there are.

    Args:
        size: height and width.
        mean: subtracted from each channel after a division by 255.
        std: what each is divided by then.
        poolings: what can be asked for, best first.
        n_before: tokens before those of the patches.
    """

    size: tuple[int, int]
    mean: list[float]
    std: list[float]
    poolings: list[str]
    n_before: int


def build(options: EncoderOptions) -> _pictures.PictureEncoder:
    """The encoder, its weights loaded.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, or not whole.
        BadValue: if the network is none of pictures, or the pooling, the device, the precision or the frames are not possible.
    """
    import torch

    if options.pooling not in (None, *POOLINGS):
        raise BadValue(f"transformers-vision does not pool by {options.pooling!r}. Give --pooling {', '.join(POOLINGS)}.")
    frames = _pictures.frames_of(options)
    on = _device.device(options.device)
    precision = _device.precision(options.precision, on)
    loaded = _vision_networks.load(model=options.model, weights=options.weights)
    seen = _probed(loaded)
    pooling = options.pooling or seen.poolings[0]
    if pooling not in seen.poolings:
        raise BadValue(f"{loaded.weights} ({loaded.model}) has no output {pooling!r}. Give --pooling {' or '.join(seen.poolings)}.")
    processor = _vision_networks.described(loaded.processor)
    forward = partial(_vector, loaded.network.to(device=on, memory_format=torch.channels_last), pooling=pooling, n_before=seen.n_before)
    identity = EncoderIdentity(
        encoder="transformers-vision", weights=loaded.weights, weights_sha256=loaded.sha256, width=_width(forward, seen, on), pooling=pooling,
        parameters={
            "model": loaded.model, "normalise": options.normalise, "precision": precision, "size": [*seen.size], "processor": processor,
            **frames.parameters(),
        },
        versions=library_versions("torch", "transformers", "torchvision", "pillow"),
    )  # fmt: skip
    preparation = {"processor": processor, **frames.parameters()}
    return _pictures.PictureEncoder(
        forward, identity=identity, preparation=preparation, prepare=preparer(preparation), size=seen.size, mean=seen.mean, std=seen.std, on=on,
        normalise=options.normalise,
    )  # fmt: skip


def preparer(preparation: Mapping[str, Any]) -> Preparer:
    """Pictures and videos to (F, H, W, 3) uint8, for decoding processes.

    Args:
        preparation: `processor`, `frames` and `frame_choice`.
    """
    processor = _vision_networks.described_again(preparation["processor"])
    is_cut = bool(getattr(processor, "do_center_crop", False))
    return _pictures.preparer(
        preparation, lambda pixels: _vision_networks.fitted(processor, _pictures.shortened(pixels) if is_cut else pixels)
    )  # fmt: skip


def offers() -> list[Offer]:
    """What it can be asked for."""
    return [Offer("", name, width, "hub, folder", is_here=_weights.is_here(name)) for name, width in KNOWN]


def _probed(loaded: _vision_networks.Loaded) -> _Seen:
    """Find out how a model sees, and that nothing its processor does is left out.

    Raises:
        BadValue: if its processor gives pictures of several sizes, or does more than scale, cut and normalise.
    """
    import torch

    processor = loaded.processor
    wide = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    mean, std = _scaling(processor)
    try:
        fitted, tall = (_vision_networks.fitted(processor, pixels) for pixels in (wide, wide.transpose(1, 0, 2)))
        expected = processor(wide, input_data_format="channels_last", return_tensors="np")["pixel_values"][0]
        own = (fitted.transpose(2, 0, 1).astype(np.float64) / 255 - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
        is_understood = fitted.dtype == np.uint8 and fitted.shape == tall.shape and np.abs(own - expected).max() <= TOLERANCE
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        told = str(error).rstrip(".")
        raise BadValue(f"The image processor of {loaded.name} cannot be followed: {told}. {_vision_networks.HINT}") from error
    if not is_understood:
        raise BadValue(
            f"The image processor of {loaded.name} does not bring every picture to one size in RGB, or does more than scale, cut and normalise. "
            f"{_vision_networks.HINT}"
        )
    try:
        with torch.inference_mode():
            output = loaded.network(pixel_values=torch.from_numpy(expected)[None])
    except (ValueError, TypeError, RuntimeError) as error:
        raise BadValue(f"{loaded.name} does not take what its image processor gives: {error}. {_vision_networks.HINT}") from error
    height, width = fitted.shape[:2]
    poolings, n_before = _outputs(loaded, output, size=(height, width))
    return _Seen((height, width), mean, std, poolings, n_before)


def _scaling(processor: Any) -> tuple[list[float], list[float]]:  # noqa: ANN401 - the library's processors have no common type
    """Mean and standard deviation of each channel, for values that were divided by 255 whatever the processor multiplies with."""
    factor = 255 * float(processor.rescale_factor if getattr(processor, "do_rescale", False) else 1)
    mean, std = (processor.image_mean, processor.image_std) if getattr(processor, "do_normalize", False) else ([0.0] * 3, [1.0] * 3)
    return [float(value) / factor for value in mean], [float(value) / factor for value in std]


def _outputs(loaded: _vision_networks.Loaded, output: Any, *, size: tuple[int, int]) -> tuple[list[str], int]:  # noqa: ANN401 - half of the library is untyped
    """What can be asked for, best first, and how many tokens (class, registers) come before those of the patches."""
    states = output.last_hidden_state
    patch = getattr(loaded.network.config, "patch_size", None)
    has_class = any(name.endswith(CLASS_TOKENS) for name, _ in loaded.network.named_parameters())
    n_before = int(has_class)
    if states.ndim == 3 and has_class and isinstance(patch, int):
        n_before = int(states.shape[1]) - (size[0] // patch) * (size[1] // patch)
    has_pooled = loaded.has_pooler and getattr(output, "pooler_output", None) is not None
    there = {"pooled": has_pooled, "cls": has_class and states.ndim == 3, "mean": n_before >= 0}
    return [name for name in POOLINGS if there[name]], n_before


def _vector(network: Any, pixels: "Tensor", *, pooling: str, n_before: int) -> "Tensor":  # noqa: ANN401 - half of the library is untyped
    """(N, 3, H, W) to (N, D)."""
    output = network(pixel_values=pixels)
    if pooling == "pooled":
        pooled: Tensor = output.pooler_output.flatten(1)
        return pooled
    states: Tensor = output.last_hidden_state  # (N, T, D), or (N, D, H', W') of a convolutional network
    if pooling == "cls":
        return states[:, 0]
    return states.flatten(2).mean(dim=2) if states.ndim == 4 else states[:, n_before:].mean(dim=1)


def _width(forward: "Callable[[Tensor], Tensor]", seen: _Seen, on: Any) -> int:  # noqa: ANN401 - a device of torch
    import torch

    with torch.inference_mode():
        return int(forward(torch.zeros(1, 3, *seen.size, device=on)).shape[1])
