"""Where a model is trained: the processor, or a GPU."""

import re

import torch

from milktrain.recommender import Content
from schemas.errors import BadValue
from schemas.plugins import check_known

NAMES = ["auto", "cpu", "cuda"]


def choose(name: str, *, precision: str = "float32") -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    Args:
        name: one of `NAMES`, or one of several GPUs as `cuda:1`, counted from 0.
        precision: of the forward pass; `bfloat16` is for GPUs.

    Raises:
        UnknownName: if there is no such device.
        BadValue: if there is no such GPU here, or the precision is not for the device.
    """
    numbered = re.fullmatch(r"cuda:([0-9]{1,4})", name)
    check_known("cuda" if numbered else name, NAMES, what="device")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name.startswith("cuda"):
        _check_there(name, number=int(numbered[1]) if numbered else 0, n_gpus=n_gpus)
    chosen = torch.device(name if numbered else "cuda" if name == "cuda" or (name == "auto" and n_gpus) else "cpu")
    if precision == "bfloat16" and chosen.type == "cpu":
        raise BadValue("precision bfloat16 needs a GPU and this run is on the processor: take float32, or --device cuda.")
    return chosen


def content_on(device: torch.device, content: Content) -> Content:
    """The same content on a device; nothing is copied that is there already."""
    features = tuple(matrix.to(device) for matrix in content.features)
    return Content(features, content.available.to(device), content.is_train.to(device))


def _check_there(name: str, *, number: int, n_gpus: int) -> None:
    if not n_gpus:
        raise BadValue(f"--device {name}: torch sees no GPU here. Take --device cpu, or auto.")
    if number >= n_gpus:
        there = "cuda:0" if n_gpus == 1 else f"cuda:0 to cuda:{n_gpus - 1}"
        raise BadValue(f"--device {name}: torch sees {n_gpus} GPU{'s' if n_gpus > 1 else ''} here, {there}.")
