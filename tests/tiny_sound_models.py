"""Networks for sound of a few kilobytes with random weights, described or saved the way real ones are, for tests that need no real one."""

import json
from pathlib import Path
from typing import Any

#: Steps of 40 samples, the first of 52; the real ones go 320 and take 400.
CONVOLUTIONS = [(8, 20, 8), (8, 5, 5), (8, 1, 1)]
WIDTH = 16


def pipeline_settings(*, mode: str = "group_norm", kind: str = "Wav2Vec2") -> dict[str, Any]:
    """Arguments of torchaudio's factories; as in the real ones, a network that normalises each step has its norms first."""
    settings = {
        "extractor_mode": mode, "extractor_conv_layer_config": CONVOLUTIONS, "extractor_conv_bias": mode == "layer_norm",
        "encoder_embed_dim": WIDTH, "encoder_projection_dropout": 0.1, "encoder_pos_conv_kernel": 8, "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 2, "encoder_num_heads": 2, "encoder_attention_dropout": 0.1, "encoder_ff_interm_features": 24,
        "encoder_ff_interm_dropout": 0.0, "encoder_dropout": 0.1, "encoder_layer_norm_first": mode == "layer_norm", "encoder_layer_drop": 0.05,
        "aux_num_out": None,
    }  # fmt: skip
    return settings | ({"encoder_num_buckets": 32, "encoder_max_distance": 80} if kind == "WavLM" else {})


def write_pipeline(file: Path, *, mode: str = "group_norm", kind: str = "Wav2Vec2", normalises: bool = False) -> Path:
    """A description that `--model` takes."""
    told = {"kind": kind, "rate": 16_000, "normalises": normalises, "settings": pipeline_settings(mode=mode, kind=kind)}
    file.write_text(json.dumps(told))
    return file
