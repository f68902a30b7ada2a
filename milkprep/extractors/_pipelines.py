"""Networks of torchaudio's pipelines (wav2vec 2.0, HuBERT, WavLM): their names, architecture and weights.

Weights are the bundle's own (torch hub's cache, else the network), a file, or drawn from a fixed seed. Files are read as
safetensors or by torch with weights only: a file that would run code is refused, and nothing of it runs. Heads that guess
letters are left out: nothing here uses them, so a network trained to transcribe embeds like one that was not.
"""

import json
import os
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from milkprep.encoder import RANDOM
from schemas import fingerprint, plugins
from schemas.errors import BadValue, SourceError, WeightsMissing
from schemas.reporting import Silent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

DEFAULT = "WAV2VEC2_BASE"
#: The word for the weights that a bundle comes with.
OWN = "own"
#: Where torchaudio keeps its weights.
ADDRESS = "https://download.pytorch.org/torchaudio/models/"
#: Name, width of a vector, file; a test holds them to torchaudio's own.
BUNDLES: dict[str, tuple[int, str]] = {
    "WAV2VEC2_BASE": (768, "wav2vec2_fairseq_base_ls960.pth"),
    "WAV2VEC2_LARGE": (1024, "wav2vec2_fairseq_large_ls960.pth"),
    "WAV2VEC2_LARGE_LV60K": (1024, "wav2vec2_fairseq_large_lv60k.pth"),
    "WAV2VEC2_XLSR53": (1024, "wav2vec2_fairseq_large_xlsr53.pth"),
    "WAV2VEC2_XLSR_300M": (1024, "wav2vec2_xlsr_300m.pth"),
    "WAV2VEC2_XLSR_1B": (1280, "wav2vec2_xlsr_1b.pth"),
    "WAV2VEC2_XLSR_2B": (1920, "wav2vec2_xlsr_2b.pth"),
    "HUBERT_BASE": (768, "hubert_fairseq_base_ls960.pth"),
    "HUBERT_LARGE": (1024, "hubert_fairseq_large_ll60k.pth"),
    "HUBERT_XLARGE": (1280, "hubert_fairseq_xlarge_ll60k.pth"),
    "WAVLM_BASE": (768, "wavlm_base.pth"),
    "WAVLM_BASE_PLUS": (768, "wavlm_base_plus.pth"),
    "WAVLM_LARGE": (1024, "wavlm_large.pth"),
    "WAV2VEC2_ASR_BASE_10M": (768, "wav2vec2_fairseq_base_ls960_asr_ll10m.pth"),
    "WAV2VEC2_ASR_BASE_100H": (768, "wav2vec2_fairseq_base_ls960_asr_ls100.pth"),
    "WAV2VEC2_ASR_BASE_960H": (768, "wav2vec2_fairseq_base_ls960_asr_ls960.pth"),
    "WAV2VEC2_ASR_LARGE_10M": (1024, "wav2vec2_fairseq_large_ls960_asr_ll10m.pth"),
    "WAV2VEC2_ASR_LARGE_100H": (1024, "wav2vec2_fairseq_large_ls960_asr_ls100.pth"),
    "WAV2VEC2_ASR_LARGE_960H": (1024, "wav2vec2_fairseq_large_ls960_asr_ls960.pth"),
    "WAV2VEC2_ASR_LARGE_LV60K_10M": (1024, "wav2vec2_fairseq_large_lv60k_asr_ll10m.pth"),
    "WAV2VEC2_ASR_LARGE_LV60K_100H": (1024, "wav2vec2_fairseq_large_lv60k_asr_ls100.pth"),
    "WAV2VEC2_ASR_LARGE_LV60K_960H": (1024, "wav2vec2_fairseq_large_lv60k_asr_ls960.pth"),
    "HUBERT_ASR_LARGE": (1024, "hubert_fairseq_large_ll60k_asr_ls960.pth"),
    "HUBERT_ASR_XLARGE": (1280, "hubert_fairseq_xlarge_ll60k_asr_ls960.pth"),
    "VOXPOPULI_ASR_BASE_10K_DE": (768, "wav2vec2_voxpopuli_base_10k_asr_de.pt"),
    "VOXPOPULI_ASR_BASE_10K_EN": (768, "wav2vec2_voxpopuli_base_10k_asr_en.pt"),
    "VOXPOPULI_ASR_BASE_10K_ES": (768, "wav2vec2_voxpopuli_base_10k_asr_es.pt"),
    "VOXPOPULI_ASR_BASE_10K_FR": (768, "wav2vec2_voxpopuli_base_10k_asr_fr.pt"),
    "VOXPOPULI_ASR_BASE_10K_IT": (768, "wav2vec2_voxpopuli_base_10k_asr_it.pt"),
}
KINDS = ("Wav2Vec2", "WavLM")
#: Seed of `random` weights.
SEED = 0
#: Seconds the server may take to answer at all.
ANSWER_S = 2.5
#: What belongs to guessing letters.
HEAD = "aux."
#: Prefix of a network that torchaudio wrapped to normalise its input.
WRAPPED = "model."
WAYS_OUT = "Connect to the network, or give the weights as a file (.safetensors, .pt, .pth) with --weights. `--encoder log-mel` needs none."


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network without weights.

    Args:
        name: of a bundle, or the full path of the file that describes it.
        kind: which of torchaudio's factories makes it: `Wav2Vec2` or `WavLM`.
        rate: samples per second that it takes.
        normalises: whether a window is brought to mean 0 and variance 1 before it.
        settings: the factory's keyword arguments, without a head.
    """

    name: str
    kind: str
    rate: int
    normalises: bool
    settings: dict[str, Any]

    @property
    def takes_mask(self) -> bool:
        """Whether windows of several lengths can share a pass: WavLM of torchaudio attends to padding, too."""
        return self.kind == "Wav2Vec2"

    @property
    def normalises_over_time(self) -> bool:
        """Whether the first layer brings each of its channels to mean 0 and variance 1 over a window."""
        return bool(self.settings["extractor_mode"] == "group_norm")

    @property
    def shortest(self) -> int:
        """Samples that give one step of time.

        Example:
            >>> Architecture("a", "WavLM", 16_000, False, {"extractor_conv_layer_config": [(8, 10, 5), (8, 3, 2)]}).shortest
            20
        """
        n_samples = 1
        for _, kernel, stride in reversed(self.settings["extractor_conv_layer_config"]):
            n_samples = (n_samples - 1) * stride + kernel
        return n_samples

    def network(self) -> "Module":
        """The network as its factory leaves it, in evaluation mode.

        Raises:
            BadValue: if the settings make no network.
        """
        from torchaudio.models import wav2vec2_model, wavlm_model

        try:
            made: Module = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}[self.kind](**self.settings)
        except (TypeError, ValueError, LookupError, RuntimeError, AssertionError) as error:
            raise BadValue(f"{self.name} describes no network: {error}. Give the arguments of torchaudio.models' factory with --model.") from error
        return made.eval()


def architecture(model: str | None) -> Architecture:
    """The network that a user names.

    Args:
        model: a bundle, or a JSON file with `kind`, `rate`, `normalises` and `settings`; None for `DEFAULT`.

    Raises:
        UnknownName: if torchaudio has no such bundle.
        BadValue: if the file describes no network.
    """
    name = model or DEFAULT
    if name.endswith(".json"):
        return _described(Path(name).expanduser())
    plugins.check_known(name, list(BUNDLES), what="pipeline of torchaudio")
    from torchaudio import pipelines

    bundle: Any = getattr(pipelines, name)  # its settings have no public name
    return Architecture(name, bundle._model_type, int(bundle.sample_rate), bundle._normalize_waveform, {**bundle._params, "aux_num_out": None})


def load(network: Architecture, *, weights: str | None) -> tuple["Module", str, str]:
    """A network with its weights.

    Args:
        network: which.
        weights: file, `random`, or `own` or None for the bundle's.

    Returns:
        The network in float32 on the CPU, in evaluation mode; its weights' name and digest.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not safe to read, or do not fit.
        BadValue: if a network of the user's own comes without weights.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = network.network()
    if weights == RANDOM:
        return made, RANDOM, fingerprint.of_value([network.kind, network.settings, SEED, torch.__version__])
    if weights not in (None, OWN):
        file = Path(str(weights)).expanduser()
        if not file.is_file():
            raise WeightsMissing(f"There is no file {weights}. Leave --weights out for the ones of {network.name}. {WAYS_OUT}")
        name = file.resolve().as_posix()
    else:
        file, name = _own_file(network), network.name
    _fill(made, file, network.name)
    return made, name, fingerprint.of_file(file)


def hub_file(name: str) -> Path:
    """Where torch hub keeps a bundle's weights, there or not; imports no torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    home = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser()
    return home / "hub" / "checkpoints" / BUNDLES[name][1]


def _described(file: Path) -> Architecture:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        kind, rate, normalises, settings = told["kind"], told["rate"], told["normalises"], dict(told["settings"])
        layers = [tuple(map(int, layer)) for layer in settings["extractor_conv_layer_config"]]
        usable = kind in KINDS and 1000 <= int(rate) <= 192_000 and all(len(layer) == 3 for layer in layers) and "extractor_mode" in settings
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadValue(f"{file} describes no network ({type(error).__name__}: {error}). Give the name of a pipeline with --model.") from error
    if not usable:
        raise BadValue(f"{file} describes no network of the kinds {' and '.join(KINDS)}. Give the name of a pipeline with --model.")
    settings |= {"extractor_conv_layer_config": layers, "aux_num_out": None}
    return Architecture(file.resolve().as_posix(), kind, int(rate), bool(normalises), settings)


def _own_file(network: Architecture) -> Path:
    if network.name not in BUNDLES:
        raise BadValue(f"{network.name} comes without weights. Give them with --weights as a file, or `random`.")
    file = hub_file(network.name)
    if file.is_file():
        return file
    from milkprep.download import fetch

    address = ADDRESS + file.name
    try:
        socket.create_connection((str(urlsplit(address).hostname), 443), timeout=ANSWER_S).close()
        return fetch(address, file, reporter=Silent())
    except (OSError, SourceError) as error:
        raise WeightsMissing(f"The weights of {network.name} are not on this machine ({file}) and {address} cannot be had. {WAYS_OUT}") from error


def _fill(network: "Module", file: Path, name: str) -> None:
    tensors = _tensors(file)
    if tensors and all(key.startswith(WRAPPED) for key in tensors):
        tensors = {key.removeprefix(WRAPPED): tensor for key, tensor in tensors.items()}
    try:
        network.load_state_dict({key: tensor.float() for key, tensor in tensors.items() if not key.startswith(HEAD)})
    except (RuntimeError, KeyError, AttributeError) as error:
        told = " ".join(str(error).split())[:200]
        raise WeightsMissing(f"{file} does not fit {name}: {told}. Name the network it belongs to with --model.") from error


def _tensors(file: Path) -> Mapping[str, "Tensor"]:
    """What a file of weights holds, read without running anything."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    serialization: Any = torch.serialization  # its refusals are of a kind that it does not re-export
    try:
        with file.open("rb") as opened:
            is_safe = opened.read(9)[8:] == b"{"  # safetensors: eight bytes of length, then JSON
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a file is of an unusual kind: it is read safely, or refused
            found = load_file(file) if is_safe else torch.load(file, map_location="cpu", weights_only=True)
    except (
        serialization.pickle.UnpicklingError,
        SafetensorError,
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        EOFError,
        TypeError,
        AttributeError,
    ) as error:
        raise WeightsMissing(f"{file} holds no weights that can be read without running code from it. {WAYS_OUT}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items()):
        raise WeightsMissing(f"{file} holds no table of tensors. {WAYS_OUT}")
    return found
