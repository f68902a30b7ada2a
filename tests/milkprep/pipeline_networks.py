"""Tiny networks of torchaudio's factories, as the library makes them and as encoders, for tests."""

import numpy as np
import tiny_sound_models
import torch
from torchaudio.models import wav2vec2_model, wavlm_model

from milkprep.encoder import EncoderOptions
from milkprep.extractors import torchaudio_pipelines

KINDS = [("Wav2Vec2", "group_norm", False), ("Wav2Vec2", "layer_norm", True), ("WavLM", "group_norm", False), ("WavLM", "layer_norm", True)]
FACTORIES = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}


def own(kind: str, mode: str, *, seed: int = 7) -> torch.nn.Module:
    """One of torchaudio's networks, as the library makes it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FACTORIES[kind](**tiny_sound_models.pipeline_settings(mode=mode, kind=kind)).eval()


def build(tmp_path, *, kind="Wav2Vec2", mode="group_norm", normalises=False, **options):
    """An encoder of a network described in a file."""
    file = tiny_sound_models.write_pipeline(tmp_path / "network.json", mode=mode, kind=kind, normalises=normalises)
    return torchaudio_pipelines.build(EncoderOptions(model=str(file), device="cpu", **options))


def noise(*lengths: int) -> list[np.ndarray]:
    """Sounds of some lengths, always the same."""
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, n).astype(np.float32) for n in lengths]
