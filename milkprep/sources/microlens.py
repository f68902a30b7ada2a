"""MicroLens: short videos with titles, covers, sound, and who commented on what.

`<name>_pairs.csv` holds user,item,timestamp; `<name>_titles.csv` item,title, where a title may hold commas without quotes; either
with or without a header. Covers, videos and sound lie in folders of their own, named by the number of their item.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from milkprep.pull import catalogue, column_media, columns, input_files, media_folder, tables
from milkprep.pull.delimited import Layout
from milkprep.pull.input_files import PullRequest, require_file, require_folder
from milkprep.pull.media_folder import AUDIO, IMAGES, VIDEO
from milkprep.pull.pull_report import PullReport
from milkprep.pull.tables import Table
from milkprep.sources import _own_tables
from milkprep.sources._own_tables import Tables
from schemas.errors import BadValue
from schemas.reporting import Reporter

PAIR_COLUMNS = ("user", "item", "timestamp")
TITLE_COLUMNS = ("item", "title")
#: How the files of the dataset end, and what its folders end in.
PAIRS_ENDING, TITLES_ENDINGS = "_pairs.csv", ("_titles.csv", "_title.csv", "_titles_en.csv", "_title_en.csv")
FOLDER_ENDINGS = {"covers": ("covers", "cover", "images"), "videos": ("videos", "video"), "audio": ("audio", "audios")}


@dataclass(frozen=True, slots=True)
class Files:
    """The parts of the dataset; only `pairs` is needed."""

    pairs: Path
    titles: Path | None = None
    covers: Path | None = None
    videos: Path | None = None
    audio: Path | None = None


def files_of(
    folder: Path | None, *, pairs: Path | None = None, titles: Path | None = None, covers: Path | None = None, videos: Path | None = None,
    audio: Path | None = None,
) -> Files:  # fmt: skip
    """The parts of the dataset: as named, else by their usual names in a folder.

    Raises:
        BadValue: if there is no such folder, there are no pairs, or a part that was not named has two candidates.
    """
    said = {"pairs": pairs, "titles": titles, "covers": covers, "videos": videos, "audio": audio}
    if folder:
        require_folder(folder, flag="pull microlens")
        usual = {"pairs": (PAIRS_ENDING,), "titles": TITLES_ENDINGS}
        said |= {part: _one(folder, *endings, part=part, of=Path.is_file) for part, endings in usual.items() if said[part] is None}
        said |= {part: _one(folder, *endings, part=part, of=Path.is_dir) for part, endings in FOLDER_ENDINGS.items() if said[part] is None}
    if said["pairs"] is None:
        where = f"{folder} holds no file that ends in {PAIRS_ENDING}." if folder else "There are no pairs to read."
        raise BadValue(f"{where} Name it with --pairs.")
    return Files(said["pairs"], said["titles"], said["covers"], said["videos"], said["audio"])


def pull(store_path: Path, *, files: Files, core: int = 0, keep_all_items: bool = False, replace: bool = False, reporter: Reporter) -> PullReport:
    """Read the dataset into a store.

    Args:
        store_path: the DuckDB file; made when absent.
        files: its parts. With media, the same files at another place are another pull, as the store holds where each lies.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        keep_all_items: keep items with a title that nobody commented on.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Returns:
        What was taken and dropped.

    Raises:
        BadValue: if a file or folder is not there, or a number is out of range.
        SourceError: if a file is empty, damaged or of another kind. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    places = _checked(files, core)
    found = _opened(files)
    media = media_folder.listed(places, reporter=reporter)
    paths = [path for path in (files.titles, files.pairs) if path]
    folders = {kind: str(place.absolute()) for kind, place in places.items()}
    parameters = {"core": core, "keep_all_items": keep_all_items, "names": [path.name for path in paths], "media": folders or None}
    request = PullRequest("microlens", parameters, input_files.describe(paths, reporter=reporter), media.listing)
    named = column_media.read(None, {}, root=files.pairs.parent, reporter=reporter)
    read = partial(
        _own_tables.read_into, request=request, tables=found, named=named, media=media, core=core, keep_all=keep_all_items, reporter=reporter
    )
    return catalogue.pulled(store_path, request, replace=replace, read=read)


def _checked(files: Files, core: int) -> dict[str, Path]:
    """The folders of media by kind, once everything that was named is known to be there."""
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")
    require_file(files.pairs, flag="--pairs")
    if files.titles:
        require_file(files.titles, flag="--titles")
    folders = {"--covers": (IMAGES, files.covers), "--audio": (AUDIO, files.audio), "--videos": (VIDEO, files.videos)}
    for flag, (_, place) in folders.items():
        if place:
            require_folder(place, flag=flag)
    return {kind: place for kind, place in folders.values() if place}


def _opened(files: Files) -> Tables:
    labels = input_files.labels([files.pairs, *([files.titles] if files.titles else [])])
    pairs = _table(files.pairs, PAIR_COLUMNS, label=labels[0])
    pair_columns = columns.assigned(
        files.pairs, pairs.columns, roles=columns.INTERACTION_ROLES, said={}, required=("user", "item"), advice=_advice(PAIR_COLUMNS)
    )
    if not files.titles:
        return Tables(pairs, pair_columns)
    titles = _table(files.titles, TITLE_COLUMNS, label=labels[1])
    if titles.layout:
        titles = replace(titles, layout=replace(titles.layout, last_takes_rest=len(titles.columns) == len(TITLE_COLUMNS)))
    title_columns = columns.assigned(
        files.titles, titles.columns, roles=columns.ITEM_ROLES, said={}, required=TITLE_COLUMNS, advice=_advice(TITLE_COLUMNS)
    )
    return Tables(pairs, pair_columns, titles, title_columns)


def _advice(usual: tuple[str, ...]) -> str:
    return f"Let the first line name the columns {','.join(usual)}, or leave it out where they are in this order."


def _table(path: Path, usual: tuple[str, ...], *, label: str) -> Table:
    """A table of the dataset; one whose first line names no item has no header, and its columns in the usual order."""
    table = tables.opened(path, label=label, headed=False)
    headed = any(name.strip().lower() in columns.ITEM for name in table.columns)
    if headed or table.layout is None:
        return table
    return replace(table, columns=usual, layout=Layout(table.layout.separator, usual, header_lines=0))


def _one(folder: Path, *endings: str, part: str, of: Callable[[Path], bool]) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(endings) and of(path))
    if len(found) > 1:
        raise BadValue(f"{folder} holds {' and '.join(path.name for path in found)}. Say which one with --{part}.")
    return found[0] if found else None
