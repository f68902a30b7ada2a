"""Which run folder and which store a user means: a path, a run's name, or the start of one."""

from pathlib import Path

from milktrain.runs import MANIFEST, frame
from schemas.errors import BadValue, DataError

LISTED = 8


def run_folder(named: str | Path, *, runs: Path | None = None, store: Path | None = None) -> Path:
    """The folder of a finished run.

    Args:
        named: a run folder, its `run.json`, or a run's name or the start of it that no other has.
        runs: folder that names are looked for in; where `named` has no folder of its own and this is None, `runs` beside the store, or here.
        store: see `runs`; where a start fits several runs, those of this store are meant.

    Raises:
        BadValue: if there is no such run, or several; the message lists them.
    """
    path = Path(named)
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if (path / MANIFEST).is_file():
        return path
    place = path.parent if path.parent != Path() else runs or (store.parent if store else Path()) / "runs"
    folders = sorted(found.parent for found in place.glob(f"[!.]*/{MANIFEST}")) if place.is_dir() else []
    fitting = [folder for folder in folders if folder.name.startswith(path.name)] if path.name else []
    if len(fitting) > 1 and store:
        of_store = set(frame(place, store=store.name)["run_id"])
        fitting = [folder for folder in fitting if folder.name in of_store] or fitting
    exact = [folder for folder in fitting if folder.name == path.name]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if path.is_dir() and not fitting:
        inside = sorted(found.parent for found in path.glob(f"[!.]*/{MANIFEST}"))
        what = f"a folder of runs. Name one of them: {_list(inside)}" if inside else f"no run folder: it holds no {MANIFEST}"
        raise BadValue(f"{path} is {what}.")
    if fitting:
        raise BadValue(f"{path.name} is the start of {len(fitting)} runs in {place}: {_list(fitting)}. Name one of them.")
    there = f"It holds {_list(folders)}." if folders else "It holds no finished run." if place.is_dir() else "There is no such folder."
    raise BadValue(f"There is no run {path.name} in {place}. {there} `python cli.py runs` lists them; --runs names another folder.")


def store_of(folder: Path, name: str) -> Path:
    """The store that a run was trained on, beside its folder of runs.

    Args:
        folder: the run folder.
        name: file name of the store, as the run's record says.

    Raises:
        DataError: if it is not there.
    """
    plain = Path(name).name == name
    store = folder.absolute().parent.parent / name
    if not plain or not store.is_file():
        where = f"which is not at {store}" if plain else "which is no plain file name"
        raise DataError(f"The run {folder.name} was trained on {name[:100]!r}, {where}. Name the store with --store.")
    return store


def _list(folders: list[Path]) -> str:
    more = f" and {len(folders) - LISTED} more" if len(folders) > LISTED else ""
    return ", ".join(folder.name for folder in folders[:LISTED]) + more
