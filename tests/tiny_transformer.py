"""A BERT of a few kilobytes with random weights, saved the way models are, for tests that need no real one."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "card", "word", "##s", *(f"##{digit}" for digit in range(10)), "!"]
WIDTH, LONGEST = 16, 64


def write(folder: Path, *, seed: int = 0, width: int = WIDTH) -> Path:
    """Save model and tokenizer into a folder, as safetensors."""
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=LONGEST)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=width, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=LONGEST
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertModel(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
