"""An open_clip network for texts of a few megabytes (its vocabulary is CLIP's own) with drawn weights, saved the way real ones are."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def write(folder: Path, *, suffix: str = ".safetensors", vocab_size: int = 49408) -> Path:
    """A folder of an open_clip model, weights as safetensors or as a file of torch."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "vocab_size": vocab_size}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = open_clip.CLIP(**settings).state_dict()
    if suffix == ".safetensors":
        save_file(tensors, folder / "open_clip_model.safetensors")
    else:
        torch.save(tensors, folder / f"open_clip_pytorch_model{suffix}")
    return folder
