"""Networks for pictures of a few kilobytes with drawn weights, saved the way real ones are."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from transformers import AutoModel, BitImageProcessor, CLIPImageProcessor, PreTrainedConfig, SiglipImageProcessor, ViTImageProcessor
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

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


SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": SIDE, "patch_size": 8}
SQUARE = {"height": SIDE, "width": SIDE}
PROCESSORS = {
    "dinov2": BitImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE),
    "dinov2_with_registers": BitImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE),
    "siglip_vision_model": SiglipImageProcessor(size=SQUARE),
    "clip_vision_model": CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE),
    "vit": ViTImageProcessor(size=SQUARE, resample=3),
}


def config_of(kind: str) -> PreTrainedConfig:
    """Settings of a tiny network of a kind, as transformers names it."""
    return CONFIG_MAPPING[kind](**SIZES)


def write_transformers(folder: Path, kind: str, *, seed: int = 0) -> Path:
    """A folder of a transformers model: config.json, model.safetensors, preprocessor_config.json."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModel.from_config(config_of(kind)).save_pretrained(folder)
    PROCESSORS[kind].save_pretrained(folder)
    return folder
