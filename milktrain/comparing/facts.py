"""What a run's record says that matters beside other runs: what it was trained on, with which settings, how it was judged.

A run folder may come from anywhere: the record is believed as far as its types and ranges were looked at, and nothing in it is a path.
Records of earlier versions are read too, for only what all of them say is needed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from milktrain import model_settings
from milktrain.runs import MANIFEST, configuration
from schemas import fingerprint
from schemas.contracts import Part
from schemas.errors import DataError

#: A record of three modalities and two cut-offs takes 6 kB.
MOST_BYTES = 4 << 20
#: Characters of a setting in a label.
LONGEST = 60
#: Groups of settings that lie in each other.
DEEPEST = 8
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class _Record(msgspec.Struct, frozen=True):
    """The fields of `run.json` that are looked at; others are left alone."""

    store: Name
    model: Name
    split: Name
    setting: Name
    seed: int
    config: dict[str, object]
    metrics: dict[str, dict[str, float]]
    split_fingerprint: str = ""
    modalities: str = ""
    device: str = "cpu"
    profile: str = "milk"
    feature_sets: dict[str, dict[str, object]] = {}
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A finished run beside others.

    Args:
        folder: where it lies.
        dataset: file name of its store.
        setting: of its split: ftft, ftmt, mtft, mtmt.
        split: name of the split and the start of its fingerprint, so that two splits of one name are two.
        seed: of the training.
        model: name.
        profile: how it was judged.
        settings: whatever else shapes a run, as text by name: settings (those in groups as `group.name`), modalities, device, profile,
            and of each modality the vectors; not the seed.
        metrics: means by metric, by part.
        finished_at: time as text.
        configuration: the same for runs that differ in split and seed alone, as `python cli.py runs` has it.
    """

    folder: Path
    dataset: str
    setting: str
    split: tuple[str, str]
    seed: int
    model: str
    profile: str
    settings: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float]]
    finished_at: str
    configuration: str

    def means(self, part: Part) -> Mapping[str, float]:
        """Means by metric of one part; none where it was not judged."""
        return self.metrics.get(part.value, {})


def of(manifest: Mapping[str, object], *, folder: Path) -> Facts:
    """What a record says.

    Args:
        manifest: the content of `run.json`.
        folder: of the run, for messages and for its files.

    Raises:
        DataError: if it is not the record of a finished run; the message names the field.
    """
    try:
        told = msgspec.convert(dict(manifest), _Record)
    except msgspec.ValidationError as error:
        raise DataError(f"{folder / MANIFEST} is not the record of a finished run: {error}. Train the run again, or leave it out.") from error
    if bad := [name for means in told.metrics.values() for name, value in means.items() if not math.isfinite(value)]:
        raise DataError(f"{folder / MANIFEST} says that {bad[0][:60]} is no finite number. Train the run again, or leave it out.")
    try:
        of_run = model_settings.told(told.model, told.config)
        settings, named = flat({name: value for name, value in of_run.items() if name != "seed"}), configuration(manifest)
    except (RecursionError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST} is not the record of a finished run: its settings have no bottom. Leave it out.") from error
    settings |= {"modalities": told.modalities, "device": told.device, "profile": told.profile}
    settings |= {f"{name} vectors": _vectors(each) for name, each in told.feature_sets.items()}
    settings = {printable(name): printable(value) for name, value in settings.items()}
    return Facts(
        folder, printable(told.store), printable(told.setting), (printable(told.split), told.split_fingerprint[:12]), told.seed,
        printable(told.model), told.profile, settings, told.metrics, told.finished_at,
        named,
    )  # fmt: skip


def read(folder: Path) -> dict[str, object]:
    """The record of a run folder, not yet looked at.

    Raises:
        DataError: if there is none, or it is no JSON object.
    """
    file = folder / MANIFEST
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is not the record of a run: it has more than {MOST_BYTES >> 20} MiB.")
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}. A run folder holds it from the moment the run is finished.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not the record of a run: {error}. Train the run again, or move its folder away.") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} is not the record of a run: it holds no JSON object. Train the run again, or move its folder away.")
    return found


def flat(settings: Mapping[str, object], *, within: tuple[str, ...] = ()) -> dict[str, str]:
    """Settings as text, those in groups by the name of the group and their own.

    Raises:
        ValueError: if groups lie in groups without end.

    Example:
        >>> flat({"lam": 0.5, "cutoffs": [10, 20], "gorec": {"clusters": 8}})
        {'lam': '0.5', 'cutoffs': '10,20', 'gorec.clusters': '8'}
    """
    if len(within) > DEEPEST:
        raise ValueError(f"groups within {'.'.join(within)}")
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, within=(*within, name))
        else:
            found[".".join((*within, name))] = _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _vectors(each: Mapping[str, object]) -> str:
    """A feature set by its encoder, and enough of a fingerprint to tell two of one encoder apart."""
    return f"{each.get('encoder', '')} {fingerprint.of_value([each.get('fingerprint'), each.get('contents')])[:6]}"


def printable(text: str) -> str:
    """Text that cannot steer a terminal or break a row; what is cut off still tells it from other text."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 8]}…{fingerprint.of_value(text)[:6]}"
