"""Finished runs with the labels that they have in a table.

A label is the model's name; where a model was trained with several settings on the same data, it says those that differ; where many
differ, those in which a run is not as most are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from milktrain.comparing import facts
from milktrain.comparing.facts import Facts
from milktrain.runs import MANIFEST
from schemas.errors import BadValue, DataError
from schemas.plugins import check_known

LISTED = 8
#: So many settings that differ are said of every run; of more, those that are not as in most runs.
SAID_ALWAYS = 2
MODEL, PRESET, CONFIGURATION = "model", "preset", "configuration"
Key = TypeVar("Key", bound=Hashable)
Kind = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class LabelledRun:
    """A finished run and the row of the table that it belongs to.

    Args:
        label: the row; runs of one label, dataset and setting that differ in split and seed alone are repeats of each other.
        folder: the run folder.
        manifest: the content of its `run.json`.
    """

    label: str
    folder: Path
    manifest: Mapping[str, object]


def gather(
    folders: Iterable[Path], *, store: str | None = None, named: Sequence[str] = (), by: Sequence[str] = ()
) -> list[LabelledRun]:  # fmt: skip
    """Finished runs of some folders, labelled.

    Args:
        folders: run folders, and folders of run folders.
        store: file name of a store; runs of other stores are left out.
        named: names of runs, starts of names, or run folders; only these. A start may fit several. None: all.
        by: what a label says besides the model: `preset`, `configuration` or any setting; `model`: nothing. None: what differs.

    Returns:
        In the order of the folders' names.

    Raises:
        BadValue: if a folder is not there, a name fits no run, or a setting is none.
        DataError: if there is no run, or the record of one is damaged.
    """
    places = list(folders)
    found = _chosen(_run_folders(places), named)
    read = [(folder, facts.read(folder)) for folder in found]
    kept = [(folder, manifest) for folder, manifest in read if store is None or manifest.get("store") == store]
    if not kept:
        of_store = f" of {store}" if store else ""
        raise DataError(
            f"There is no finished run{of_store} in {', '.join(map(str, places))}. `python cli.py train` makes one; --runs names a folder."
        )
    named_by = labels([facts.of(manifest, folder=folder) for folder, manifest in kept], by=by)
    return [LabelledRun(label, folder, manifest) for label, (folder, manifest) in zip(named_by, kept, strict=True)]


def labels(runs: Sequence[Facts], *, by: Sequence[str] = ()) -> list[str]:
    """The label of each run.

    Args:
        runs: what is known of them.
        by: see `gather`.

    Raises:
        UnknownName: if no run has such a setting.
    """
    if by:
        known = sorted({MODEL, CONFIGURATION, *(name for run in runs for name in run.settings)})
        for name in by:
            check_known(name, known, what="setting of these runs")
        return [_label(run.model, [name for name in by if name == CONFIGURATION or name in run.settings], run) for run in runs]
    usual = {key: _usual(mine) for key, mine in _kinds(runs).items()}
    found = []
    for (model, preset), run in zip(_kind_of_each(runs), runs, strict=True):
        shown = [name for name, value in usual[model, preset].items() if value == [] or [run.settings.get(name)] != value]
        found.append(_label(model, [PRESET] * (preset is not None) + shown, run))
    return found


def unsaid(runs: Sequence[LabelledRun]) -> list[str]:
    """What labels go without saying, a sentence a model (and preset): of many settings that differ, the values that most runs have.

    Args:
        runs: as `gather` labelled them, not by anything that was asked for.
    """
    known = [facts.of(run.manifest, folder=run.folder) for run in runs]
    told = []
    for (model, preset), mine in sorted(_kinds(known).items(), key=str):
        usual = [f"{name}={value[0]}" for name, value in _usual(mine).items() if value]
        if usual:
            told.append(f"Where a label of {model}{f' ({preset})' if preset else ''} does not say otherwise: {', '.join(usual)}.")
    return told


def _kinds(runs: Sequence[Facts]) -> dict[Kind, list[Facts]]:
    found: dict[Kind, list[Facts]] = defaultdict(list)
    for kind, run in zip(_kind_of_each(runs), runs, strict=True):
        found[kind].append(run)
    return found


def _kind_of_each(runs: Sequence[Facts]) -> list[Kind]:
    """Model, and preset where presets differ: its name stands for all that it says, and what else is said is what differs within it."""
    by_model = _grouped(runs, lambda run: run.model)
    with_preset = {model for model, mine in by_model.items() if PRESET in _differing(mine)}
    return [(run.model, run.settings.get(PRESET, "") if run.model in with_preset else None) for run in runs]


def _usual(runs: Sequence[Facts]) -> dict[str, list[str | None]]:
    """Settings that differ, and the value that goes without saying; none where every value is to be said."""
    names = _differing(runs)
    if len(names) <= SAID_ALWAYS:
        return {name: [] for name in names}
    return {name: [_most_common([run.settings.get(name) for run in runs])] for name in names}


def _most_common(values: Sequence[str | None]) -> str | None:
    often = Counter(values)
    return min(often, key=lambda value: (-often[value], value or ""))


def _label(model: str, names: Sequence[str], run: Facts) -> str:
    bare = {PRESET: run.settings.get(PRESET, ""), CONFIGURATION: run.configuration}
    said = [bare[name] if name in bare else f"{name}={run.settings.get(name, 'none')}" for name in names]
    return f"{model} ({', '.join(said)})" if said else model


def _differing(runs: Sequence[Facts]) -> list[str]:
    """Settings that have several values on the same dataset and setting of losses: between datasets they may differ without being two methods."""
    found: dict[str, None] = {}
    for mine in _grouped(runs, lambda run: (run.dataset, run.setting)).values():
        for name in dict.fromkeys(name for run in mine for name in run.settings):
            values = {run.settings.get(name) for run in mine}
            absent = {None} if name.endswith(" vectors") else set()  # a run without a modality has no vectors of it, and says so already
            if len(values - absent) > 1:
                found[name] = None
    return list(found)


def _grouped(runs: Sequence[Facts], key: Callable[[Facts], Key]) -> dict[Key, list[Facts]]:
    groups: dict[Key, list[Facts]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return groups


def _run_folders(places: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise BadValue(f"There is no folder of runs at {place}. Name one with --runs, or the store they lie beside with --store.")
        inside = [place] if (place / MANIFEST).is_file() else sorted(file.parent for file in place.glob(f"[!.]*/{MANIFEST}"))
        found |= {folder.resolve(): folder for folder in inside}
    return list(found.values())


def _chosen(folders: Sequence[Path], named: Sequence[str]) -> list[Path]:
    if not named:
        return list(folders)
    found: dict[Path, Path] = {}
    for name in named:
        here = [Path(name)] if (Path(name) / MANIFEST).is_file() else [folder for folder in folders if name and folder.name.startswith(name)]
        if not here:
            more = f" and {len(folders) - LISTED} more" if len(folders) > LISTED else ""
            there = ", ".join(folder.name for folder in folders[:LISTED]) + more or "none"
            raise BadValue(f"No run is named {name[:100]!r} or begins so. There are: {there}. `python cli.py runs` lists them.")
        found |= {folder.resolve(): folder for folder in here}
    return list(found.values())
