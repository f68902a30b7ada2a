"""Networks of the open_clip library, for the encoders of pictures and of text: which one, with which weights, prepared how.

Weights come from a tag of the library (the hub's cache, else the hub), a file, a folder with open_clip_config.json, or are
drawn from a fixed seed. Files are read as safetensors or by torch with weights only; nothing is unpickled. A checkpoint that
does not fit its network to the last tensor is refused.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milkprep.encoder import RANDOM, library_versions
from milkprep.extractors._open_clip_hub import FILES, MODEL, TAG, WAYS_OUT, file_of
from milkprep.extractors._weights import quiet_hub
from schemas import fingerprint, plugins
from schemas.errors import BadValue, WeightsMissing

if TYPE_CHECKING:
    from torch.nn import Module

#: Seed of `random` weights.
SEED = 0
#: Tags that a message names.
SHOWN_TAGS = 8
CONFIG = "open_clip_config.json"
#: The suffix of networks with the activation of OpenAI's first ones; weights fit the one they were trained with only.
QUICK_GELU = "-quickgelu"
SAFE, TORCH = (".safetensors",), (".bin", ".pt", ".pth")
SAFER = "Give a .safetensors file with --weights."
FITTING = "Name the network they belong to with --model, or give others with --weights."


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a picture goes through before the network.

    Args:
        size: height and width that the network sees, in pixels.
        mean: of red, green and blue, in 0 .. 1.
        std: standard deviation of each, in 0 .. 1.
        interpolation: `bicubic` or `bilinear`.
        resize_mode: `shortest` (the shorter side fits, the middle is kept), `longest` (all fits, the rest is filled), `squash`.
        fill_color: grey level, 0 .. 255, beside a picture that fits by its longer side.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    resize_mode: str
    fill_color: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network and what names it.

    Args:
        network: in evaluation mode, float32, on the CPU.
        model: its name, or `config` where a folder describes it.
        weights: tag, full path of the file or folder, or `random`.
        sha256: digest of the weights' file; of network, seed and library versions where they are random.
        preprocessing: for pictures.
        source: what `open_clip.get_tokenizer` calls it: the name, or `local-dir:` and the folder.
    """

    network: Any
    model: str
    weights: str
    sha256: str
    preprocessing: Preprocessing
    source: str


def load(*, model: str | None, weights: str | None, free: str) -> Loaded:
    """A network with its weights.

    Args:
        model: one of `open_clip.list_models()`; None for ViT-B-32.
        weights: tag, file, folder or `random`; None for laion2b_s34b_b79k of ViT-B-32.
        free: an encoder of the same modality that needs no weights, for messages.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not safe to read, or do not fit.
        BadValue: if the two do not go together.
        UnknownName: if the library has no such model.
    """
    import open_clip

    path = Path(weights).expanduser() if weights else None
    if path and path.is_dir():
        return _of_folder(path, model)
    name = model or MODEL
    plugins.check_known(name, open_clip.list_models(), what="open_clip model")
    if weights == RANDOM:
        drawn = [name, open_clip.get_model_config(name), SEED, library_versions("torch", "open_clip_torch", "timm")]
        return _loaded(_network(name), model=name, weights=RANDOM, sha256=fingerprint.of_value(drawn), source=name)
    tag = weights or (TAG if name == MODEL else None)
    found = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    if found:
        _refuse_other_activation(name, str(tag), is_quick=bool(found.get("quick_gelu")))
        return _of_file(file_of(found["hf_hub"], what=f"{name} {tag}", free=free), name=name, weights=str(tag), overlay=found)
    if path and path.is_file():
        return _of_file(path, name=name, weights=path.resolve().as_posix(), overlay={})
    tags = _some(open_clip.list_pretrained_tags_by_model(name))
    if weights is None:
        raise BadValue(f"{name} has no default weights. Give --weights with a tag of its ({tags}), a file, a folder or `random`.")
    raise WeightsMissing(
        f"{weights} is neither a tag of {name} ({tags}), nor a file or folder here. Give another with --weights. `--encoder {free}` needs none."
    )


def _some(tags: list[str]) -> str:
    """Tags in words: all of a few, some of many."""
    shown = ", ".join(tags[:SHOWN_TAGS]) or "it has none"
    return f"{shown} and {len(tags) - SHOWN_TAGS} more" if len(tags) > SHOWN_TAGS else shown


def _of_folder(folder: Path, model: str | None) -> Loaded:
    if model:
        raise BadValue(f"The folder {folder} says itself which network it holds. Leave --model out.")
    file = _file_in(folder)
    try:
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        vision, overlay = described["model_cfg"]["vision_cfg"], described.get("preprocess_cfg") or {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsMissing(f"{folder} holds no readable {CONFIG}: it is no folder of an open_clip model. {WAYS_OUT}") from error
    if not isinstance(vision, dict) or not isinstance(overlay, dict):
        raise WeightsMissing(f"{folder / CONFIG} describes no network. {WAYS_OUT}")
    name = folder.resolve().as_posix()
    network = _network(f"local-dir:{name}")
    _fill(network, file)
    return _loaded(network, model="config", weights=name, sha256=fingerprint.of_file(file), source=f"local-dir:{name}", overlay=overlay)


def _of_file(file: Path, *, name: str, weights: str, overlay: dict[str, Any]) -> Loaded:
    if file.suffix not in (*SAFE, *TORCH):
        raise WeightsMissing(f"{file} is no file of weights by its ending. Give a {', '.join((*SAFE, *TORCH))} file with --weights.")
    network = _network(name)
    _fill(network, file)
    return _loaded(network, model=name, weights=weights, sha256=fingerprint.of_file(file), source=name, overlay=overlay)


def _loaded(network: "Module", *, model: str, weights: str, sha256: str, source: str, overlay: dict[str, Any] | None = None) -> Loaded:
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    # The size is the network's own: a checkpoint's settings change how pictures get there.
    settings = merge_preprocess_dict(open_clip.get_model_preprocess_cfg(network), {**(overlay or {}), "size": None})
    try:
        preprocessing = _preprocessing(asdict(PreprocessCfg(**settings)))
    except (TypeError, ValueError, AssertionError) as error:
        raise WeightsMissing(f"The preprocessing that {weights} states cannot be followed: {error}. Give another model with --weights.") from error
    return Loaded(network.eval(), model, weights, sha256, preprocessing, source)


def _preprocessing(settings: dict[str, Any]) -> Preprocessing:
    """Settings of the library, checked; as there, `random` interpolation is for training and means bicubic here."""
    mode, interpolation, resize_mode = settings["mode"], settings["interpolation"], settings["resize_mode"]
    if mode != "RGB" or interpolation not in ("bicubic", "bilinear", "random") or resize_mode not in ("shortest", "longest", "squash"):
        raise ValueError(f"{mode}, {interpolation}, {resize_mode}")
    height, width = settings["size"] if isinstance(settings["size"], list | tuple) else [settings["size"]] * 2
    mean, std = _of_channels(settings["mean"]), _of_channels(settings["std"])
    kind = "bilinear" if interpolation == "bilinear" else "bicubic"
    return Preprocessing((int(height), int(width)), mean, std, kind, resize_mode, int(settings["fill_color"]))


def _of_channels(values: float | list[float] | tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = [values] * 3 if isinstance(values, int | float) else values
    return float(red), float(green), float(blue)


def _network(source: str) -> "Module":
    """A network with drawn weights; the caller's random numbers are not touched."""
    import open_clip
    import torch

    with torch.random.fork_rng(devices=[]), quiet_hub(), _quiet():
        torch.manual_seed(SEED)
        try:
            network: Module = open_clip.create_model(source, load_weights=False, pretrained_text=False, pretrained_image=False)
            return network
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, AssertionError) as error:
            raise WeightsMissing(f"The network {source} cannot be built: {_first_line(error)}. Give another with --model or --weights.") from error


def _fill(network: "Module", file: Path) -> None:
    """Put the weights of a file into a network, all of them and nothing else."""
    import torch
    from open_clip.factory import load_checkpoint
    from safetensors import SafetensorError

    serialization: Any = torch.serialization  # its refusals are of a kind that it does not re-export
    try:
        with _quiet():
            keys = load_checkpoint(network, str(file), strict=False, weights_only=True)
    except serialization.pickle.UnpicklingError as error:
        raise WeightsMissing(f"{file} holds more than tensors, or is no file of torch; such files can run code and are not read. {SAFER}") from error
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        EOFError,
        StopIteration,
        AssertionError,
        SafetensorError,
    ) as error:
        raise WeightsMissing(f"The weights in {file} cannot be read into this network: {_first_line(error)}. {FITTING}") from error
    for names, what in ((keys.missing_keys, "lack"), (keys.unexpected_keys, "hold, beyond what the network has,")):
        if names:
            raise WeightsMissing(f"The weights in {file} {what} {min(names)} and {len(names) - 1} more tensors. {FITTING}")


def _refuse_other_activation(name: str, tag: str, *, is_quick: bool) -> None:
    import open_clip

    other = name.removesuffix(QUICK_GELU) if name.endswith(QUICK_GELU) else name + QUICK_GELU
    if is_quick != bool(open_clip.get_model_config(name).get("quick_gelu")) and other in open_clip.list_models():
        raise BadValue(f"The weights {tag} were trained with another activation than {name} has. Give --model {other}.")


def _file_in(folder: Path) -> Path:
    there = sorted(file for file in folder.iterdir() if file.suffix in (*SAFE, *TORCH))
    named = [folder / name for name in FILES if folder / name in there]
    if not named and len(there) != 1:
        listed = f"several files of weights ({', '.join(file.name for file in there)})" if there else "no weights"
        raise WeightsMissing(f"{folder} holds {listed}. Name the one to use {FILES[0]}, or give the file with --weights.")
    return (named or there)[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the library says to the root logger (that weights are random, say) off stderr, and leave no handler behind."""
    root, silent = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(silent)
    root.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(silent)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ") or type(error).__name__
