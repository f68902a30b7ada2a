"""Pictures by open_clip, held to the library's own preprocessing and forward pass on the same pictures."""

import json
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import tiny_vision
import torch
from av_samples import write_video
from media_samples import gradient, write_picture
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file, save_file

from milkprep import extractors
from milkprep.decode.video import read_frames
from milkprep.encoder import EncoderOptions
from milkprep.extractors import _open_clip, _open_clip_hub
from milkprep.extractors.open_clip import fitted
from schemas.contracts import Modality
from schemas.errors import BadValue, UnknownName, WeightsMissing

ENCODER = "open-clip"


def build(**options):
    return extractors.resolve(Modality.VISUAL, ENCODER).build(EncoderOptions(**options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_vision.write_open_clip(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def named(folder) -> str:
    """The tiny network under a name, as the library's own are."""
    path = folder.parent / "tiny-pictures.json"
    path.write_text(json.dumps(tiny_vision.OPEN_CLIP))
    open_clip.add_model_config(path)
    return path.stem


@pytest.fixture(scope="module")
def encoder(folder):
    return build(weights=str(folder))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    """Files of many sizes and formats."""
    at = tmp_path_factory.mktemp("pictures")
    sizes = [(1, 1), (3, 50), (50, 3), (32, 32), (31, 33), (48, 64), (64, 48), (200, 131), (333, 500)]
    files = [write_picture(at / f"{h}x{w}.png", noise(h, w)) for h, w in sizes]
    files += [write_picture(at / f"a.{ending}", noise(70, 90)) for ending in ("jpg", "webp", "gif", "bmp", "tiff")]
    for mode in ("L", "CMYK"):
        Image.fromarray(noise(40, 60)).convert(mode).save(at / f"{mode}.{'png' if mode == 'L' else 'jpg'}")
        files.append(at / f"{mode}.{'png' if mode == 'L' else 'jpg'}")
    return files


def viewed(path: Path) -> Image.Image:
    """A picture without transparency the way Pillow itself gives it."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def library_vectors(folder: Path, pictures: list[Image.Image], **overlay) -> np.ndarray:
    """What open_clip gives, one picture at a time."""
    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", **overlay)
    with torch.inference_mode():
        return np.concatenate([network.eval().encode_image(transform(picture)[None]).numpy() for picture in pictures])


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_vectors_are_those_of_the_library_on_the_same_files(encoder, folder, pictures, batch_size):
    decoded = [encoder.decode(path) for path in pictures]
    batches = [decoded[start : start + batch_size] for start in range(0, len(decoded), batch_size)]
    expected = library_vectors(folder, [viewed(path) for path in pictures])
    np.testing.assert_allclose(np.concatenate([encoder.encode(batch) for batch in batches]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (41, 23)], ids=["square", "wide", "tall"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 3), (32, 32), (33, 31), (47, 64), (501, 333)], ids=str)
def test_a_picture_is_fitted_to_the_same_bits_as_by_the_library(mode, interpolation, size, shape):
    pixels = noise(*shape)
    settings = PreprocessCfg(size=size, mean=(0, 0, 0), std=(1, 1, 1), interpolation=interpolation, resize_mode=mode, fill_color=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = (image_transform_v2(settings, is_train=False)(Image.fromarray(pixels)) * 255).round().byte().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(fitted(pixels, size=size, interpolation=interpolation, mode=mode, fill=9), expected)


def test_a_line_of_pixels_is_fitted_in_bounded_memory_and_shows_its_middle():
    pixels = np.zeros((1, 1_000_000, 3), dtype=np.uint8)
    pixels[:, 499_000:501_000] = 200
    for mode in ("shortest", "longest", "squash"):
        assert fitted(pixels, size=(32, 32), interpolation="bicubic", mode=mode, fill=0).shape == (32, 32, 3)
    assert (fitted(pixels, size=(32, 32), interpolation="bicubic", mode="shortest", fill=0) == 200).all()


def test_a_turned_picture_is_seen_as_a_viewer_shows_it(encoder, tmp_path):
    upright = noise(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(encoder.decode(tmp_path / "turned.png"), encoder.decode(write_picture(tmp_path / "upright.png", upright)))


def test_depth_and_transparency_are_seen_as_a_viewer_shows_them(encoder, tmp_path):
    grey = noise(40, 60)[:, :, 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    eight = write_picture(tmp_path / "eight.png", np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(encoder.decode(tmp_path / "deep.png"), encoder.decode(eight))
    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.paste(0, (0, 0, 20, 40))
    palette.save(tmp_path / "clear.png", transparency=0)
    shown = np.full((40, 40, 3), 255, dtype=np.uint8)
    shown[:, 20:] = [200, 100, 50]
    np.testing.assert_array_equal(encoder.decode(tmp_path / "clear.png"), encoder.decode(write_picture(tmp_path / "shown.png", shown)))


def test_the_vector_of_a_video_is_the_mean_of_its_frames(folder, tmp_path):
    encoder = build(weights=str(folder), frames=3)
    path = write_video(tmp_path / "a.mp4")
    frames = [Image.fromarray(frame) for frame in read_frames(path, n=3, how="even")]
    decoded = encoder.decode(path)
    assert encoder.size_of(decoded) == len(frames) == 3
    expected = library_vectors(folder, frames).mean(axis=0)
    picture = encoder.decode(write_picture(tmp_path / "a.png"))
    np.testing.assert_allclose(encoder.encode([decoded, picture])[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([decoded])[0], expected, rtol=1e-5, atol=1e-5)


def test_settings_of_a_folder_are_followed(tmp_path):
    folder = tiny_vision.write_open_clip(tmp_path / "m", resize_mode="squash", interpolation="bilinear", mean=[0.1] * 3, std=[0.7] * 3)
    path = write_picture(tmp_path / "a.png", noise(50, 90))
    encoder = build(weights=str(folder))
    np.testing.assert_allclose(
        encoder.encode([encoder.decode(path)]), library_vectors(folder, [viewed(path)]), rtol=1e-5, atol=1e-5
    )  # fmt: skip
    assert encoder.identity.parameters["resize_mode"] == "squash"
    assert encoder.identity.parameters["mean"] == [0.1] * 3


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".bin"])
def test_a_file_of_weights_gives_the_vectors_of_its_network(folder, named, tmp_path, ending):
    state = load_file(folder / "open_clip_model.safetensors")
    file = tmp_path / f"w{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save({"state_dict": state}, file)
    path = write_picture(tmp_path / "a.png")
    encoder = build(model=named, weights=str(file))
    network, _, transform = open_clip.create_model_and_transforms(named, pretrained=str(file))
    with torch.inference_mode():
        expected = network.eval().encode_image(transform(viewed(path))[None]).numpy()
    np.testing.assert_allclose(encoder.encode([encoder.decode(path)]), expected, rtol=1e-5, atol=1e-5)
    assert encoder.identity.weights == str(file)
    assert len(encoder.identity.weights_sha256) == 64


def test_random_weights_are_the_same_every_time_and_leave_the_callers_random_numbers(named):
    torch.manual_seed(7)
    first = build(model=named, weights="random")
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    torch.manual_seed(8)
    second = build(model=named, weights="random")
    picture = [gradient(32, 32)[None]]
    np.testing.assert_array_equal(first.encode(picture), second.encode(picture))
    assert first.identity == second.identity
    assert first.identity.weights == "random"


def test_the_real_network_agrees_with_the_library_and_has_its_width(tmp_path):
    path = write_picture(tmp_path / "a.jpg", noise(300, 400))
    loaded = _open_clip.load(model="ViT-B-32", weights="random", free="colour-layout")
    transform = image_transform_v2(PreprocessCfg(), is_train=False)
    with torch.inference_mode():
        expected = loaded.network.encode_image(transform(viewed(path))[None]).numpy()
    encoder = build(model="ViT-B-32", weights="random")
    assert encoder.identity.width == 512
    assert [known[2] for known in _open_clip_hub.KNOWN if known[0] == "ViT-B-32"] == [512]
    np.testing.assert_allclose(encoder.encode([encoder.decode(path)]), expected, rtol=1e-5, atol=1e-5)


def test_what_is_offered_is_what_the_library_knows():
    for model, tag, width, repository in _open_clip_hub.KNOWN:
        assert open_clip.get_pretrained_cfg(model, tag)["hf_hub"] == f"{repository}/"
        assert open_clip.get_model_config(model)["embed_dim"] == width
        assert bool(open_clip.get_pretrained_cfg(model, tag).get("quick_gelu")) == bool(open_clip.get_model_config(model).get("quick_gelu"))


class Hostile:
    """What a pickle can do when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_file_that_would_run_code_is_refused_and_runs_none(named, tmp_path):
    torch.save({"state_dict": Hostile(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(WeightsMissing, match=r"evil\.pt holds more than tensors.*\.safetensors"):
        build(model=named, weights=str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_refused_naming_the_first(folder, named, tmp_path):
    state = load_file(folder / "open_clip_model.safetensors")
    save_file({name: value for name, value in state.items() if not name.startswith("ln_final")}, tmp_path / "less.safetensors")
    save_file({**state, "another": state["logit_scale"].clone()}, tmp_path / "more.safetensors")
    save_file({**state, "visual.proj": state["visual.proj"][:, :5].contiguous()}, tmp_path / "narrow.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes()[:900])
    (tmp_path / "text.pt").write_text("hello")
    for name, match in [
        ("less", r"lack ln_final\.bias and 1 more"), ("more", "beyond what the network has, another and 0 more"),
        ("narrow", "cannot be read into this network"), ("cut", "cannot be read into this network"),
    ]:  # fmt: skip
        with pytest.raises(WeightsMissing, match=match):
            build(model=named, weights=str(tmp_path / f"{name}.safetensors"))
    with pytest.raises(WeightsMissing, match=r"text\.pt"):
        build(model=named, weights=str(tmp_path / "text.pt"))


def test_a_folder_without_weights_or_settings_is_refused(folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_text("[]")
    with pytest.raises(WeightsMissing, match="holds no weights"):
        build(weights=str(tmp_path))
    save_file(load_file(folder / "open_clip_model.safetensors"), tmp_path / "a.safetensors")
    with pytest.raises(WeightsMissing, match=r"no readable open_clip_config\.json"):
        build(weights=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": "ViT-B-33", "weights": "random"}, UnknownName, "Did you mean 'ViT-B-32'"),
        ({"weights": "openai"}, BadValue, "Give --model ViT-B-32-quickgelu"),
        ({"weights": "laion3b"}, WeightsMissing, "neither a tag of ViT-B-32 .*laion2b_s34b_b79k.* nor a file"),
        ({"model": "ViT-L-14"}, BadValue, "ViT-L-14 has no default weights.*laion2b_s32b_b82k"),
        ({"frames": 0}, BadValue, "--frames 0 is out of range"),
        ({"frame_choice": "first"}, BadValue, "'first'.*even or scenes"),
        ({"precision": "fp16"}, BadValue, "fp16 is for GPUs"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        build(**options)


def test_weights_that_are_nowhere_are_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    with pytest.raises(WeightsMissing, match=r"ViT-B-32 laion2b_s34b_b79k are not on this machine.*--weights.*colour-layout"):
        build()


def test_weights_in_the_hubs_cache_are_used_without_asking_the_hub(monkeypatch, folder, named):
    cached = str(folder / "open_clip_model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda _, name: cached if name == "open_clip_model.safetensors" else None)
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: {"hf_hub": "someone/tiny/", "mean": (0.2, 0.3, 0.4), "std": (0.5,) * 3})
    encoder = build(model=named, weights="mine")
    assert (encoder.identity.weights, encoder.identity.parameters["mean"]) == ("mine", [0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("place", "held", "taken"),
    [
        ("a/b/", ["model.safetensors", "open_clip_pytorch_model.bin"], "open_clip_pytorch_model.bin"),
        ("a/b/", ["open_clip_pytorch_model.bin", "open_clip_model.safetensors"], "open_clip_model.safetensors"),
        ("a/b/pytorch_model.bin", ["open_clip_model.safetensors", "pytorch_model.bin"], "pytorch_model.bin"),
    ],
)
def test_of_a_repository_the_file_in_the_librarys_own_layout_is_taken(monkeypatch, place, held, taken):
    files = [SimpleNamespace(rfilename=name) for name in held]
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(sha="c0ffee", siblings=files))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, name, revision: f"/{repository}/{revision}/{name}")
    assert _open_clip_hub.file_of(place, what="x", free="colour-layout") == Path(f"/a/b/c0ffee/{taken}")
