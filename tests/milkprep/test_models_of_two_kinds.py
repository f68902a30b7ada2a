"""Models of pictures and texts, and kinds of networks without a checkpoint: what can be embedded is, and the rest is refused in words."""

import shutil

import numpy as np
import pytest
import tiny_sound_models
import tiny_transformer
import tiny_vision
import torch
import transformers
from media_samples import write_picture
from PIL import Image

from milkprep.encoder import EncoderOptions
from milkprep.extractors import transformers_text, transformers_vision
from schemas.errors import BadValue, WeightsMissing

TEXT = {name: tiny_vision.SIZES[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
TEXT |= {"vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 16}


@pytest.fixture
def with_tokenizer(tmp_path):
    """A folder with a tokenizer and no model."""
    folder = tmp_path / "model"
    folder.mkdir()
    tiny_transformer.write(folder)
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_model_of_pictures_and_texts_embeds_pictures_by_its_own_tower_and_sends_texts_elsewhere(with_tokenizer, kind):
    config = transformers.CONFIG_MAPPING[kind](vision_config=tiny_vision.SIZES, text_config=TEXT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config).eval()
    model.save_pretrained(with_tokenizer)
    processor = tiny_vision.PROCESSORS[f"{kind}_vision_model"]
    processor.save_pretrained(with_tokenizer)
    encoder = transformers_vision.build(EncoderOptions(weights=str(with_tokenizer)))
    picture = write_picture(with_tokenizer.parent / "a.png")
    with torch.inference_mode():
        expected = model.vision_model(
            pixel_values=torch.from_numpy(processor(Image.open(picture).convert("RGB"), return_tensors="np")["pixel_values"])
        ).pooler_output
    np.testing.assert_allclose(encoder.encode([encoder.decode(picture)]), expected.numpy(), atol=1e-5)
    with pytest.raises(BadValue, match=rf"model of pictures and texts \({kind}\).*`--encoder open-clip-text`"):
        transformers_text.build(EncoderOptions(weights=str(with_tokenizer)))
    with pytest.raises(BadValue, match="model of pictures and texts"):
        transformers_text.build(EncoderOptions(weights="random", model=str(with_tokenizer)))


def test_a_model_of_sound_embeds_no_texts(with_tokenizer, tmp_path):
    sound = tiny_sound_models.write_transformers(tmp_path / "sound", "wav2vec2")
    shutil.copytree(sound, with_tokenizer, dirs_exist_ok=True)
    with pytest.raises(BadValue, match="Wav2Vec2Model, which embeds no texts"):
        transformers_text.build(EncoderOptions(weights=str(with_tokenizer)))


def test_a_text_tower_alone_is_refused_in_one_line(with_tokenizer):
    transformers.SiglipTextModel(transformers.SiglipTextConfig(**TEXT, projection_size=16)).save_pretrained(with_tokenizer)
    with pytest.raises(WeightsMissing, match="cannot be loaded: Unrecognized configuration class") as caught:
        transformers_text.build(EncoderOptions(weights=str(with_tokenizer)))
    assert "Model type should be" not in str(caught.value)


@pytest.mark.parametrize("kind", ["convnext", "mobilevit", "resnet"])
def test_kinds_of_networks_without_patches_are_drawn_with_their_usual_processor(kind, tmp_path, capfd):
    encoder = transformers_vision.build(EncoderOptions(weights="random", model=kind))
    picture = write_picture(tmp_path / "a.png")
    vector = encoder.encode([encoder.decode(picture)])
    assert vector.shape == (1, encoder.identity.width)
    assert np.isfinite(vector).all()
    assert encoder.identity.weights == "random"
    assert capfd.readouterr() == ("", "")


def test_a_kind_that_cuts_pictures_into_patches_before_the_network_is_refused_by_name():
    with pytest.raises(BadValue, match=r"processor of random siglip2_vision_model cannot be followed.*--model"):
        transformers_vision.build(EncoderOptions(weights="random", model="siglip2"))
