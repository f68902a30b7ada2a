"""What `run.json` says, believed only as far as it was looked at: size, types, ranges, names. Nothing in it is run or unpickled.

A run folder may come from anywhere. What it names (a store, a split, modalities) is looked up, never made into a path with folders in it.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from milktrain.config import TrainConfig
from milktrain.profiles import Profile
from milktrain.runs import MANIFEST
from schemas.contracts import Modality, Part
from schemas.errors import DataError

#: A record of three modalities and two cut-offs takes 6 kB.
MOST_BYTES = 4 << 20
SHOWN_PROBLEMS = 3
Name = Annotated[str, Field(min_length=1, max_length=300)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SetRecord(BaseModel):
    """The vectors that a run was trained on, of one modality."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    encoder: Name = Field(description="name of the encoder")
    weights: str = Field(description="hub name, folder, file, or none")
    fingerprint: Name = Field(description="of the encoder and its settings")
    contents: Name = Field(description="fingerprint of which content each item's vector was made of")


class Record(BaseModel):
    """The fields of `run.json` that using a run depends on."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    run_id: Name = Field(description="name of the run")
    fingerprint: Name = Field(description="of everything that shaped it")
    model: Name = Field(description="name of the model")
    config: TrainConfig = Field(description="all settings")
    store: Name = Field(description="file name of the store")
    split: Name = Field(description="name of the split")
    split_fingerprint: Name = Field(description="of its content")
    modalities: Name = Field(description="names with commas between, in the order of the model's")
    feature_sets: dict[Modality, SetRecord] = Field(description="the vectors, by modality")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where it was trained")
    profile: Profile = Field(default=Profile.MILK, description="how it was judged")
    metrics: dict[Part, dict[str, FiniteFloat]] = Field(description="means by metric, by part")
    weights_sha256: Digest | None = Field(default=None, description="of model.safetensors; runs of models that learn nothing have none")

    @property
    def modality_names(self) -> tuple[Modality, ...]:
        """The modalities in the order of the model's."""
        return tuple(Modality(name) for name in self.modalities.split(","))


def read(folder: Path) -> Record:
    """The record of a finished run.

    Args:
        folder: its run folder.

    Raises:
        DataError: if there is none, or it does not say what a run of this version says; the message names up to three fields.
    """
    file = folder / MANIFEST
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is not the record of a run: it has more than {MOST_BYTES >> 20} MiB.")
        found = Record.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}. A run folder holds it from the moment the run is finished.") from error
    except ValidationError as error:
        problems = [_in_words(".".join(map(str, each["loc"])), each["type"], each["msg"]) for each in error.errors(include_url=False)]
        more = f" and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        said = "; ".join(problems[:SHOWN_PROBLEMS]) + more
        raise DataError(f"{file} is not the record of a finished run of this version: {said}. Train again, or name another run.") from error
    if sorted(found.modalities.split(",")) != sorted(found.feature_sets):
        raise DataError(f"{file} contradicts itself: its modalities are {found.modalities[:100]}, its feature sets {', '.join(found.feature_sets)}.")
    return found


def _in_words(where: str, kind: str, message: str) -> str:
    where = where[:80] or "the file"
    return f"{where}: there is no such setting" if kind == "extra_forbidden" else f"{where}: {message[:200]}"
