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


def write_transformers(folder: Path, kind: str, *, fused: bool = False) -> Path:
    """A model of the transformers library and its feature extractor: `ast` (windows of 0.64 s), `clap` (of 1 s at 8 kHz), or of samples."""
    import torch
    import transformers as of

    sizes: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    convolutions = dict(zip(("conv_dim", "conv_kernel", "conv_stride"), map(list, zip(*CONVOLUTIONS, strict=True)), strict=True))
    waves = {**sizes, **convolutions, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    audio = {
        "num_mel_bins": 16, "spec_size": 64, "window_size": 2, "patch_embeds_hidden_size": 8, "depths": [1, 1], "num_attention_heads": [1, 2],
        "num_hidden_layers": 2, "hidden_size": 16, "projection_dim": 12, "enable_fusion": fused, "aff_block_r": 2,
    }  # fmt: skip
    text = {**sizes, "vocab_size": 10, "projection_dim": 12}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model, extractor = {
            "ast": lambda: (
                of.ASTModel(of.ASTConfig(**sizes, max_length=64, num_mel_bins=32, patch_size=8)),
                of.ASTFeatureExtractor(max_length=64, num_mel_bins=32),
            ),
            "clap": lambda: (
                of.ClapModel(of.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)),
                of.ClapFeatureExtractor(
                    feature_size=16, sampling_rate=8000, hop_length=80, max_length_s=1, fft_window_size=256, frequency_max=4000,
                    truncation="fusion" if fused else "rand_trunc",
                ),
            ),
            "wav2vec2": lambda: (of.Wav2Vec2Model(of.Wav2Vec2Config(**waves)), of.Wav2Vec2FeatureExtractor()),
            "hubert": lambda: (of.HubertModel(of.HubertConfig(**waves, feat_extract_norm="layer")), of.Wav2Vec2FeatureExtractor()),
            "wavlm": lambda: (of.WavLMModel(of.WavLMConfig(**waves)), of.Wav2Vec2FeatureExtractor(do_normalize=False)),
        }[kind]()  # fmt: skip
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder
