"""Networks for sound of the transformers library: which kinds, how each prepares sound, and their weights.

Three ways of preparing: `ast` and `clap` see spectrograms of windows of their own length, made by the model's own feature
extractor; `waves` (wav2vec 2.0, HuBERT, WavLM) sees samples. CLAP's extractor crops long sound at random and calls a random
one of a batch "longer"; here it is only ever given windows that need neither. Weights are read from safetensors only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milkprep.decode.audio import MAX_SECONDS
from milkprep.encoder import RANDOM, library_versions
from milkprep.extractors import _weights
from schemas import fingerprint
from schemas.errors import BadValue, WeightsMissing

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

#: `model_type` of a model's settings -> way of preparing, names of the classes: network, settings, feature extractor.
KINDS = {
    "audio-spectrogram-transformer": ("ast", "ASTModel", "ASTConfig", "ASTFeatureExtractor"),
    "clap": ("clap", "ClapAudioModelWithProjection", "ClapAudioConfig", "ClapFeatureExtractor"),
    "clap_audio_model": ("clap", "ClapAudioModelWithProjection", "ClapAudioConfig", "ClapFeatureExtractor"),
    "wav2vec2": ("waves", "Wav2Vec2Model", "Wav2Vec2Config", "Wav2Vec2FeatureExtractor"),
    "hubert": ("waves", "HubertModel", "HubertConfig", "Wav2Vec2FeatureExtractor"),
    "wavlm": ("waves", "WavLMModel", "WavLMConfig", "Wav2Vec2FeatureExtractor"),
}
#: What `--model` takes beside a folder, with random weights.
SHORT = {"ast": "audio-spectrogram-transformer", "clap": "clap", "wav2vec2": "wav2vec2", "hubert": "hubert", "wavlm": "wavlm"}
WAYS_OUT = "Connect to the network, or give a folder that holds the model with --weights. `--encoder log-mel` needs no weights."
#: Where the settings of a network to draw are not to be had; `SHORT` needs nothing.
RANDOM_WAYS_OUT = f"Give --model {', '.join(SHORT)}, or a folder with config.json and preprocessor_config.json; or connect to the network."
#: Seed of `random` weights.
SEED = 0
#: Samples of AST's frames: 25 ms every 10 ms at 16 kHz.
AST_FRAME, AST_HOP = 400, 160
#: Rates that sound is brought to.
RATES = (1_000, 192_000)
#: Weights that a checkpoint may lack, because they matter in training only.
UNUSED_PARTS = ("masked_spec_embed",)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How sound becomes what a network takes; all that a decoding process knows.

    Args:
        way: `ast`, `clap` or `waves`.
        rate: samples per second.
        window: samples of a window that the network was made for; None where it takes any.
        shortest: samples below which there is nothing to see.
        settings: of the model's feature extractor.
    """

    way: str
    rate: int
    window: int | None
    shortest: int
    settings: Mapping[str, Any]

    def extractor(self) -> Any:  # noqa: ANN401 - the library leaves it untyped
        """The model's own feature extractor.

        Raises:
            BadValue: if its settings make none.
        """
        import transformers

        made = {"ast": transformers.ASTFeatureExtractor, "clap": transformers.ClapFeatureExtractor}[self.way]
        return made(**self.settings)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network and what names it.

    Args:
        network: in evaluation mode, float32, on the CPU.
        weights: hub name, full path of a folder, or `random`.
        sha256: digest of the weights; of settings, seed and library versions where they are random.
        preparation: what it is fed with.
    """

    network: "PreTrainedModel"
    weights: str
    sha256: str
    preparation: Preparation

    @property
    def width(self) -> int:
        """Length of a vector."""
        config: Any = self.network.config
        return int(config.projection_dim if self.preparation.way == "clap" else config.hidden_size)


def load(*, model: str | None, weights: str) -> Loaded:
    """A network with its weights.

    Args:
        model: with `random`, one of `SHORT`, or a folder or hub name with the model's settings; else None.
        weights: hub name, folder, or `random`.

    Raises:
        WeightsMissing: if the weights are not on this machine, not reachable, not whole or not in safetensors.
        BadValue: if the model is of no kind known here, or the two do not go together.
    """
    if weights == RANDOM:
        return _random(model or "ast")
    if model:
        raise BadValue("--model is for --weights random here: a model of the hub or a folder says itself what it is. Leave it out.")
    found = _weights.locate(weights, ways_out=WAYS_OUT)
    config, preparation = _settings(found.folder)
    _, network, _, _ = KINDS[config.model_type]
    return Loaded(_filled(network, found), found.name, found.sha256, preparation)


def features(samples: NDArray[np.float32], extractor: Any, *, way: str) -> NDArray[np.float32]:  # noqa: ANN401 - the library leaves it untyped
    """What the model's own extractor makes of one window.

    Args:
        samples: (T,) float32 at the model's rate, no longer than its window.
        extractor: the model's.
        way: `ast` or `clap`.

    Returns:
        (F, bands) float32.
    """
    made = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="np")
    spectrogram = made["input_values"][0] if way == "ast" else made["input_features"][0, 0]  # of a fused one, all four are alike
    return np.asarray(spectrogram, dtype=np.float32)


def _random(model: str) -> Loaded:
    import torch
    import transformers

    folder = Path(model).expanduser()
    if model in SHORT:
        config: Any = getattr(transformers, KINDS[SHORT[model]][2])()
        preparation = _preparation(config, getattr(transformers, KINDS[SHORT[model]][3])(**_fitting(config)))
    elif "/" in model or folder.exists():
        config, preparation = _settings(_weights.settings_of(model, ways_out=RANDOM_WAYS_OUT)[1])
    else:
        raise BadValue(f"There is no network {model!r}. {RANDOM_WAYS_OUT}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = getattr(transformers, KINDS[config.model_type][1])(config).eval()
    drawn = [config.to_json_string(use_diff=False), SEED, library_versions("torch", "transformers")]
    return Loaded(network, RANDOM, fingerprint.of_value(drawn), preparation)


def _settings(folder: Path) -> tuple["PreTrainedConfig", Preparation]:
    """A folder's settings of network and feature extractor.

    Raises:
        WeightsMissing: if it holds none that can be read.
        BadValue: if the network is of no kind known here.
    """
    import transformers

    try:
        stated = transformers.PreTrainedConfig.get_config_dict(folder, local_files_only=True)[0].get("model_type")
        if stated not in KINDS:
            raise BadValue(f"{folder} holds a model of the kind {stated}, not one for sound ({', '.join(SHORT)}). Give another with --weights.")
        _, _, settings, extractor = KINDS[stated]
        config = getattr(transformers, settings).from_pretrained(folder, local_files_only=True)
        made = getattr(transformers, extractor).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        told = " ".join(str(error).split())[:200].rstrip(". ")
        raise WeightsMissing(f"{folder} does not say how sound is prepared for its model: {told}. Fetch the model again, whole.") from error
    return config, _preparation(config, made)


def _fitting(config: Any) -> dict[str, Any]:  # noqa: ANN401 - the library leaves it untyped
    """Settings of the feature extractor that a network without one of its own needs."""
    if config.model_type == "audio-spectrogram-transformer":
        return {"max_length": config.max_length, "num_mel_bins": config.num_mel_bins}
    if config.model_type == "clap_audio_model":
        return {"truncation": "fusion" if config.enable_fusion else "rand_trunc", "feature_size": config.num_mel_bins}
    return {}


def _preparation(config: Any, extractor: Any) -> Preparation:  # noqa: ANN401 - the library leaves it untyped
    """How sound is prepared.

    Raises:
        BadValue: if network and extractor do not go together.
    """
    way, _, _, _ = KINDS[config.model_type]
    settings = {name: value for name, value in extractor.to_dict().items() if isinstance(value, int | float | str | None)}
    rate = int(extractor.sampling_rate)
    if way == "ast":
        window, shortest = AST_HOP * int(extractor.max_length), AST_FRAME
        fits = (extractor.max_length, extractor.num_mel_bins, rate) == (config.max_length, config.num_mel_bins, 16_000)
    elif way == "clap":
        window, shortest = int(extractor.nb_max_samples), int(extractor.fft_window_size)
        fits = extractor.truncation == ("fusion" if config.enable_fusion else "rand_trunc") and extractor.feature_size == config.num_mel_bins
    else:
        window, shortest = 0, 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            shortest = (shortest - 1) * stride + kernel
        fits = True
    if not fits or not RATES[0] <= rate <= RATES[1] or window > MAX_SECONDS * rate:
        raise BadValue(f"The feature extractor ({settings}) does not go with its network. Fetch the model again, or give another with --weights.")
    return Preparation(way, rate, window or None, shortest, settings)


def _filled(network: str, weights: _weights.Weights) -> "PreTrainedModel":
    import torch
    import transformers
    from safetensors import SafetensorError

    with _weights.quiet_hub():
        try:
            model, info = getattr(transformers, network).from_pretrained(
                weights.folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, local_files_only=True
            )
        except (OSError, ValueError, LookupError, RuntimeError, ImportError, SafetensorError) as error:
            raise WeightsMissing(f"The model in {weights.folder} cannot be loaded: {error}. Give another with --weights.") from error
    drawn = sorted(name for name in info["missing_keys"] if not name.endswith(UNUSED_PARTS))
    if drawn:
        raise WeightsMissing(f"The weights in {weights.folder} lack {drawn[0]} and {len(drawn) - 1} more tensors. Fetch the model again.")
    filled: PreTrainedModel = model.eval()
    return filled
