"""Pictures by vision networks of transformers, held to the model's own image processor and forward pass."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_vision
import torch
from av_samples import write_video
from media_samples import write_picture
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModel, SiglipConfig, SiglipImageProcessor, SiglipModel, ViTImageProcessor

from milkprep import extractors
from milkprep.decode.image import read_image
from milkprep.decode.video import read_frames
from milkprep.encoder import EncoderOptions
from schemas.contracts import Modality
from schemas.errors import BadValue, WeightsMissing

KINDS = sorted(tiny_vision.PROCESSORS)
#: Tokens before those of the patches: class token, registers.
BEFORE = {"dinov2": 1, "dinov2_with_registers": 5, "siglip_vision_model": 0, "clip_vision_model": 1, "vit": 1}


def build(**options):
    return extractors.resolve(Modality.VISUAL, "transformers-vision").build(EncoderOptions(**options))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("models")
    return {kind: tiny_vision.write_transformers(at / kind, kind) for kind in KINDS}


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    at = tmp_path_factory.mktemp("pictures")
    files = [write_picture(at / f"{h}x{w}.png", noise(h, w)) for h, w in [(1, 1), (3, 50), (50, 3), (32, 32), (64, 48), (200, 131)]]
    return files + [write_picture(at / f"a.{ending}", noise(70, 90)) for ending in ("jpg", "webp", "gif")]


def own(folder: Path, pictures: list[np.ndarray], pooling: str, *, before: int) -> np.ndarray:
    """The model's own processor and forward pass, one picture at a time."""
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    vectors = []
    for pixels in pictures:
        with torch.inference_mode():
            output = model(**processor(np.array(pixels), input_data_format="channels_last", return_tensors="pt"))
        states = output.last_hidden_state
        vectors.append({"pooled": output.pooler_output, "cls": states[:, 0], "mean": states[:, before:].mean(dim=1)}[pooling][0].numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize("pooling", ["pooled", "cls", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_the_model_itself(folders, pictures, kind, pooling, batch_size):
    if pooling == "cls" and kind == "siglip_vision_model":
        with pytest.raises(BadValue, match=r"has no output 'cls'.*pooled or mean"):
            build(weights=str(folders[kind]), pooling=pooling)
        return
    encoder = build(weights=str(folders[kind]), pooling=pooling)
    decoded = [encoder.decode(path) for path in pictures]
    vectors = np.concatenate([encoder.encode(decoded[start : start + batch_size]) for start in range(0, len(decoded), batch_size)])
    expected = own(folders[kind], [read_image(path) for path in pictures], pooling, before=BEFORE[kind])
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-5)
    assert encoder.identity.pooling == pooling


def test_the_towers_of_a_model_of_pictures_and_text_are_told_apart(tmp_path):
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}
    config = SiglipConfig(text_config=text, vision_config=tiny_vision.SIZES)
    model = SiglipModel(config).eval()
    model.save_pretrained(tmp_path)
    SiglipImageProcessor(size=tiny_vision.SQUARE).save_pretrained(tmp_path)
    path = write_picture(tmp_path / "a.png", noise(50, 40))
    encoder = build(weights=str(tmp_path))
    with torch.inference_mode():
        inputs = AutoImageProcessor.from_pretrained(tmp_path)(np.array(read_image(path)), return_tensors="pt")
        expected = model.vision_model(**inputs).pooler_output.numpy()
    np.testing.assert_allclose(encoder.encode([encoder.decode(path)]), expected, rtol=1e-5, atol=1e-5)
    assert encoder.identity.pooling == "pooled"


def test_the_vector_of_a_video_is_the_mean_of_its_frames(folders, tmp_path):
    path = write_video(tmp_path / "a.mp4")
    encoder = build(weights=str(folders["dinov2"]), frames=3)
    expected = own(folders["dinov2"], read_frames(path, n=3), "pooled", before=1).mean(axis=0)
    np.testing.assert_allclose(encoder.encode([encoder.decode(path)])[0], expected, rtol=1e-5, atol=1e-5)


def test_a_pooler_that_no_checkpoint_trained_is_not_used(folders, tmp_path):
    for file in folders["vit"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(folders["vit"] / "model.safetensors")
    save_file({name: value for name, value in state.items() if not name.startswith("pooler.")}, tmp_path / "model.safetensors", {"format": "pt"})
    assert build(weights=str(folders["vit"])).identity.pooling == "pooled"
    assert build(weights=str(tmp_path)).identity.pooling == "cls"
    with pytest.raises(BadValue, match=r"has no output 'pooled'.*cls or mean"):
        build(weights=str(tmp_path), pooling="pooled")


def test_a_checkpoint_that_lacks_a_tensor_is_refused_naming_it(folders, tmp_path):
    for file in folders["dinov2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(folders["dinov2"] / "model.safetensors")
    save_file({name: value for name, value in state.items() if name != "layernorm.bias"}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsMissing, match=r"lack layernorm\.bias and 0 more"):
        build(weights=str(tmp_path))


def test_random_weights_are_the_same_every_time_and_leave_the_callers_random_numbers(tmp_path):
    (tmp_path / "config.json").write_text(tiny_vision.config_of("siglip_vision_model").to_json_string())
    torch.manual_seed(7)
    first = build(model=str(tmp_path), weights="random")
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    second = build(model=str(tmp_path), weights="random")
    picture = [noise(32, 32)[None]]
    np.testing.assert_array_equal(first.encode(picture), second.encode(picture))
    assert first.identity == second.identity
    assert (first.identity.weights, first.identity.width, first.identity.parameters["size"]) == ("random", 16, [32, 32])


def test_a_processor_that_gives_pictures_of_many_sizes_is_refused(folders, tmp_path):
    for file in folders["vit"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    ViTImageProcessor(do_resize=False).save_pretrained(tmp_path)
    with pytest.raises(BadValue, match="does not bring every picture to one size"):
        build(weights=str(tmp_path))


def test_values_that_a_processor_leaves_as_they_are_reach_the_network_so(folders, tmp_path, pictures):
    for file in folders["vit"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    ViTImageProcessor(size=tiny_vision.SQUARE, do_normalize=False, rescale_factor=1 / 100).save_pretrained(tmp_path)
    encoder = build(weights=str(tmp_path))
    expected = own(tmp_path, [read_image(pictures[4])], "pooled", before=1)
    np.testing.assert_allclose(encoder.encode([encoder.decode(pictures[4])]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": "dinov2"}, BadValue, "--model goes with --weights random"),
        ({"model": "dinov9", "weights": "random"}, BadValue, "no kind of network named 'dinov9'"),
        ({"model": "bert", "weights": "random"}, WeightsMissing, "No image processor is known for bert"),
        ({"weights": "./nowhere"}, WeightsMissing, r"There is no folder \./nowhere"),
        ({"pooling": "last"}, BadValue, "does not pool by 'last'"),
        ({"frames": 1000}, BadValue, "--frames 1000 is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        build(**options)


def test_a_model_of_text_is_refused(tmp_path):
    import tiny_transformer

    folder = tiny_transformer.write(tmp_path)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor"}))
    with pytest.raises(BadValue, match="BertModel is no network of pictures alone"):
        build(weights=str(folder))
