"""Networks for pictures of a few kilobytes with drawn weights, saved the way real ones are."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

#: Pixels a side that the networks see.
SIDE = 32
OPEN_CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


def write_open_clip(folder: Path, *, seed: int = 0, **preprocessing: Any) -> Path:
    """A folder of an open_clip model: open_clip_config.json and open_clip_model.safetensors.

    Args:
        folder: made if need be.
        seed: of the weights.
        preprocessing: settings of the library that differ from its defaults.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"mean": MEAN, "std": STD, **preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": OPEN_CLIP, "preprocess_cfg": settings}))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_file(open_clip.CLIP(**OPEN_CLIP).state_dict(), folder / "open_clip_model.safetensors")
    return folder
