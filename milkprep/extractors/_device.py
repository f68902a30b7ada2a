"""Where and how precisely a network computes: the device a name means, its numbers, and what happens when its memory is full."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.encoder import OutOfMemory
from schemas.errors import BadValue

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "fp16")
#: Words of the CPU's allocator, which raises no error of its own.
CPU_FULL = ("can't allocate memory", "not enough memory")


def device(name: str) -> "torch.device":
    """The device a name means on this machine.

    Raises:
        BadValue: if there is no such device here.
    """
    import torch

    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if here[kind]))
    try:
        found = torch.device(name)
    except RuntimeError as error:
        raise BadValue(f"There is no kind of device named {name!r}. Give --device auto, cpu, cuda or mps.") from error
    if not here.get(found.type) or (found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count()):
        raise BadValue(f"This machine has no device {name}. Give --device auto, or one of: {', '.join(kind for kind in here if here[kind])}.")
    return found


def precision(asked: str | None, on: "torch.device") -> str:
    """Numbers a network computes in: as asked, or fp16 on a GPU and fp32 elsewhere; part of what names a feature set.

    Raises:
        BadValue: if there is no such precision, or the device is slow or wrong in it.
    """
    if asked is None:
        return "fp16" if on.type == "cuda" else "fp32"
    if asked not in PRECISIONS:
        raise BadValue(f"There is no precision {asked!r}. Give --precision {', '.join(PRECISIONS)}.")
    if asked == "fp16" and on.type == "cpu":
        raise BadValue("--precision fp16 is for GPUs. Give fp32 or bf16 on the CPU.")
    return asked


@contextmanager
def computing(on: "torch.device", numbers: str) -> Iterator[None]:
    """Inference in a precision; a full memory becomes an `OutOfMemory`, the device's cache emptied.

    Args:
        on: the device of the network, whose weights are in float32.
        numbers: what `precision` gave.

    Raises:
        OutOfMemory: if the device has no memory for what happens inside.
    """
    import torch

    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    try:
        with torch.inference_mode(), torch.autocast(on.type, dtype=kinds.get(numbers), enabled=numbers in kinds):
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        _empty(on)
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in CPU_FULL):
            raise
        raise OutOfMemory(str(error)) from error


def on_device(array: NDArray[Any], on: "torch.device") -> "torch.Tensor":
    """An array on a device; to a GPU by way of pinned memory, without waiting for it.

    Args:
        array: numbers on the CPU, of a type that torch knows.
        on: where to.
    """
    import torch

    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return tensor.pin_memory().to(on, non_blocking=True) if on.type == "cuda" else tensor.to(on)


def _empty(on: "torch.device") -> None:
    import torch

    if on.type == "cuda":
        torch.cuda.empty_cache()
