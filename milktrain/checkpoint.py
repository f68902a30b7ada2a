"""Model state on disk: safetensors and JSON, never a pickle."""

from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import nn

from schemas.errors import DataError


def save(model: nn.Module, file: Path) -> None:
    """Write all parameters and buffers of a model."""
    save_file({name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}, file)


def load(model: nn.Module, file: Path) -> None:
    """Read them back into a model of the same shape.

    Raises:
        DataError: if the file is absent, damaged, or of a model of another shape.
    """
    try:
        state = load_file(file)
        model.load_state_dict(state)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        raise DataError(f"{file} does not hold a state of this model: {error}. Train again, or name another run.") from error
