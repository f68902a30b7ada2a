"""Where a model is trained: the processor, or a GPU."""

import torch

from milktrain.recommender import Content
from schemas.errors import BadValue
from schemas.plugins import check_known

NAMES = ["auto", "cpu", "cuda"]


def choose(name: str, *, precision: str = "float32") -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    Args:
        name: one of `NAMES`.
        precision: of the forward pass; `bfloat16` is for GPUs.

    Raises:
        UnknownName: if there is no such device.
        BadValue: if there is no GPU here, or the precision is not for the device.
    """
    check_known(name, NAMES, what="device")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise BadValue("--device cuda: torch sees no GPU here. Take --device cpu, or auto.")
    chosen = torch.device("cuda" if name == "cuda" or (name == "auto" and there) else "cpu")
    if precision == "bfloat16" and chosen.type == "cpu":
        raise BadValue("precision bfloat16 needs a GPU and this run is on the processor: take float32, or --device cuda.")
    return chosen


def content_on(device: torch.device, content: Content) -> Content:
    """The same content on a device; nothing is copied that is there already."""
    features = tuple(matrix.to(device) for matrix in content.features)
    return Content(features, content.available.to(device), content.is_train.to(device))
