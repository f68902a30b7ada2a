"""Vision networks of the transformers library and their image processors: from the hub, a folder, or drawn from a fixed seed.

Of a model of pictures and text (CLIP, SigLIP) the vision tower is taken. Only safetensors are read, and no code of a model's
repository is run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.encoder import RANDOM, library_versions
from milkprep.extractors import _weights
from schemas import fingerprint
from schemas.errors import BadValue, WeightsMissing

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DEFAULT = "facebook/dinov2-base"
#: What is drawn where `random` is asked for and no network is named.
DEFAULT_TYPE = "dinov2"
SEED = 0
#: A part that many checkpoints lack, and that matters to the pooled output only.
POOLER = ("pooler.",)
TOWER = "vision_model"
#: Kinds of networks that share another one's image processor without saying so.
PROCESSOR_OF = {"dinov2_with_registers": "dinov2"}
#: Networks that take pictures of any size, and so keep their processor's own where no file states one.
ANY_SIZE = ("dinov2", "dinov2_with_registers", "dinov3_vit")
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
HINT = "Give another model with --weights (for random ones, with --model)."
WAYS_OUT = "Connect to the network, or give a folder that holds the model with --weights. `--encoder colour-layout` needs no weights."
#: Where the settings of a network to draw are not to be had.
RANDOM_WAYS_OUT = "Give a kind of network with --model, such as dinov2, siglip, clip or vit, or a folder with config.json; or connect to the network."
#: What the libraries raise about files and settings that do not fit.
UNFIT = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network and what names it.

    Args:
        network: in evaluation mode, float32, on the CPU; takes (N, 3, H, W) `pixel_values`.
        processor: the model's own image processor.
        model: its kind, as transformers names it, such as `dinov2`.
        weights: hub name, full path of the folder, or `random`.
        sha256: digest of the weights' file; of settings, seed and library versions where they are random.
        has_pooler: whether its pooled output was trained, or is random like the rest.
    """

    network: Any
    processor: Any
    model: str
    weights: str
    sha256: str
    has_pooler: bool

    @property
    def name(self) -> str:
        """What messages call it: the weights, or the kind of network where they are random."""
        return f"random {self.model}" if self.weights == RANDOM else self.weights


def load(*, model: str | None, weights: str | None) -> Loaded:
    """A vision network with its weights.

    Args:
        model: for `random` weights: a kind of network, or a folder or hub name whose config.json describes one; else None.
        weights: hub name, folder or `random`; None for DINOv2.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not whole, or not in safetensors.
        BadValue: if it is no vision network, or the two do not go together.
    """
    if weights == RANDOM:
        return _random(model or DEFAULT_TYPE)
    if model:
        raise BadValue("--model goes with --weights random. Otherwise --weights names the model: leave --model out.")
    found = _weights.locate(weights or DEFAULT, ways_out=WAYS_OUT)
    network, missing = _filled(found)
    processor = _processor(found.folder, network.config)
    return Loaded(network.eval(), processor, network.config.model_type, found.name, found.sha256, not missing)


def described(processor: Any) -> dict[str, object]:  # noqa: ANN401 - the library's processors have no common type
    """An image processor as JSON: its class and its settings."""
    settings = json.loads(processor.to_json_string())
    return {"class": type(processor).__name__, "settings": {name: value for name, value in settings.items() if value is not None}}


def described_again(description: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the library's processors have no common type
    """The image processor that `described` gave."""
    import transformers

    return getattr(transformers, description["class"]).from_dict(dict(description["settings"]))


def fitted(processor: Any, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:  # noqa: ANN401 - one of the library's processors
    """A picture in the size of a network, not yet scaled to 0 .. 1.

    Args:
        processor: a model's own.
        pixels: (H, W, 3) RGB.

    Returns:
        (H', W', 3).
    """
    writable = np.require(pixels, requirements=["C", "W"])  # torch warns of others
    found = processor(writable, do_rescale=False, do_normalize=False, input_data_format="channels_last", return_tensors="np")["pixel_values"]
    return np.ascontiguousarray(np.moveaxis(np.asarray(found)[0], 0, 2))


def _random(model: str) -> Loaded:
    import torch
    import transformers

    networks: Any = transformers.AutoModel  # half of the library is untyped
    with _weights.quiet_hub():
        config, folder = _config(model)
    vision = getattr(config, "vision_config", config)
    processor = _processor(folder, config) if folder else _usual_processor(config)
    with torch.random.fork_rng(devices=[]), _weights.quiet_hub():
        torch.manual_seed(SEED)
        try:
            network = networks.from_config(vision, dtype=torch.float32)
        except UNFIT as error:
            raise BadValue(f"{model} describes no network of pictures: {error}. Give another with --model.") from error
    drawn = [json.loads(vision.to_json_string(use_diff=False)), SEED, library_versions("torch", "transformers")]
    return Loaded(_pictures_only(network).eval(), processor, vision.model_type, RANDOM, fingerprint.of_value(drawn), has_pooler=True)


def _config(model: str) -> tuple["PreTrainedConfig", Path | None]:
    """Settings of a network, and the folder they are from; of a kind of network none."""
    from transformers import CONFIG_MAPPING, AutoConfig

    if model in CONFIG_MAPPING:
        return CONFIG_MAPPING[model](), None
    if "/" not in model and not Path(model).expanduser().exists():
        raise BadValue(f"transformers has no kind of network named {model!r}. {RANDOM_WAYS_OUT}")
    _, folder = _weights.settings_of(model, ways_out=RANDOM_WAYS_OUT)
    try:
        found: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UNFIT as error:
        raise WeightsMissing(f"{folder / 'config.json'} describes no network that is known. {RANDOM_WAYS_OUT}") from error
    return found, folder


def _filled(weights: _weights.Weights) -> tuple[Any, list[str]]:
    """The vision network of a folder, and what its checkpoint lacks of the pooled output."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    with _weights.quiet_hub():
        try:
            model, info = AutoModel.from_pretrained(weights.folder, dtype=torch.float32, output_loading_info=True, **local)
        except (*UNFIT, SafetensorError) as error:
            raise WeightsMissing(f"The model in {weights.folder} cannot be loaded: {error}. {HINT}") from error
    is_tower = hasattr(model.config, "vision_config")
    missing = sorted(name for name in info["missing_keys"] if not is_tower or name.startswith(f"{TOWER}."))
    needed = [name for name in missing if not name.startswith(POOLER)]
    if needed:
        raise WeightsMissing(f"The weights in {weights.folder} lack {needed[0]} and {len(needed) - 1} more tensors. Fetch the model again.")
    return _pictures_only(getattr(model, TOWER, model) if is_tower else model), missing


def _pictures_only(network: Any) -> Any:  # noqa: ANN401 - half of the library is untyped
    if getattr(network, "main_input_name", "") != "pixel_values":
        raise BadValue(f"{type(network).__name__} is no network of pictures alone. {HINT}")
    return network


def _processor(folder: Path, config: "PreTrainedConfig") -> Any:  # noqa: ANN401 - one of the library's processors
    """The image processor of a folder; where it has none, the kind's usual one in the network's size."""
    import transformers

    processors: Any = transformers.AutoImageProcessor  # half of the library is untyped
    if any((folder / name).is_file() for name in PROCESSOR_FILES):
        try:
            return processors.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except UNFIT as error:
            raise WeightsMissing(f"The image processor in {folder} cannot be read: {error}. {HINT}") from error
    return _usual_processor(config)


def _usual_processor(config: "PreTrainedConfig") -> Any:  # noqa: ANN401 - one of the library's processors
    import transformers
    from transformers.models.auto import image_processing_auto

    kind = PROCESSOR_OF.get(config.model_type, config.model_type).removesuffix("_vision_model")
    known: Any = image_processing_auto  # which does not say what it exports
    names = known.IMAGE_PROCESSOR_MAPPING_NAMES.get(kind)
    if not names:
        raise WeightsMissing(f"No image processor is known for {kind}. Give a folder that has a {PROCESSOR_FILES[0]} with --weights.")
    # With torchvision, as the library itself prefers.
    made = getattr(transformers, names.get("torchvision") or names["pil"])
    usual, side = made(), getattr(getattr(config, "vision_config", config), "image_size", None)
    if not isinstance(side, int) or kind in ANY_SIZE:
        return usual
    square, shortest = {"height": side, "width": side}, {"shortest_edge": side}
    if getattr(usual, "do_center_crop", False):
        return made(size=shortest, crop_size=square)
    return made(size=shortest if getattr(usual.size, "shortest_edge", None) else square)
