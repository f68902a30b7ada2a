"""What a folder of a prepared dataset holds: which project's layout it is, and which file is what.

Recognised by names and first lines; nothing is unpickled. Facts about the layouts: the public code of MMRec, DGMRec, MILK, GoRec,
LATTICE and MICRO.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from schemas.contracts import Modality, Setting
from schemas.errors import BadValue, SourceError

FEATURE_NAMES = {Modality.VISUAL: ("image_feat", "v_feat"), Modality.TEXT: ("text_feat", "t_feat"), Modality.AUDIO: ("audio_feat", "a_feat")}
#: Which features of a MILK folder lost modalities -> the setting they belong to.
VARIANTS = {"test": Setting.FTMT, "train": Setting.MTFT, "all": Setting.MTMT}
PARTS = ("train", "val", "test")
HEADER_BYTES = 1 << 16
#: Names in a note.
SHOWN_NAMES = 30
PICKLED = (
    "{} is a pickled dictionary and was not read, as pickles can run code. Where you trust it, write each list of ids to a text file, one a line: "
    "import numpy as np; d = np.load({!r}, allow_pickle=True).item(); np.savetxt('missing_visual.txt', sorted(d['v']), fmt='%d'); then pull "
    "with --missing visual=missing_visual.txt."
)


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """A split that comes with a dataset.

    Args:
        name: how it will be called.
        setting: which sides lose modalities in it.
        new_items: `.npy` of the ids of new items; None: those that only validation and test name.
        lossy: features in which lost modalities are gone, beside complete ones.
    """

    name: str
    setting: Setting
    new_items: Path | None
    lossy: Mapping[Modality, Path]


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The files of a dataset by what they are.

    Args:
        layout: `mmrec`, `milk`, `lattice`.
        interactions: one `.inter` file, or train, validation and test lists.
        features: `.npy` of each modality.
        missing: lists of items that have no features although there is a row.
        item_keys: table of ids and the source's own keys.
        user_keys: the same of users.
        split: the split that comes along.
        notes: what a reader should know, in sentences.
    """

    layout: str
    interactions: tuple[Path, ...]
    features: Mapping[Modality, Path]
    missing: Mapping[Modality, Path] = field(default_factory=dict)
    item_keys: Path | None = None
    user_keys: Path | None = None
    split: SplitFiles | None = None
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        used = [*self.interactions, *self.features.values(), *self.missing.values(), self.item_keys, self.user_keys]
        more = [self.split.new_items, *self.split.lossy.values()] if self.split else []
        return [path for path in [*used, *more] if path]

    @property
    def told(self) -> str:
        """A sentence that names the files."""
        return f"Taken as layout {self.layout}: {', '.join(path.name for path in self.paths)}."


def not_read(folder: Path, read: Iterable[Path], *, notes: Sequence[str] = (), store: Path) -> list[str]:
    """A note that names what lies in a folder and was not read, if there is anything; no folder is walked into.

    Args:
        folder: the dataset.
        read: files that are read.
        notes: each may begin with the name of a file that it speaks of; such a file needs no other mention.
        store: the store, which may lie in the folder, with what lies beside it.
    """
    known = {path.resolve() for path in read}
    names = [
        path.name
        for path in sorted(folder.iterdir())
        if path.resolve() not in known and not path.name.startswith((".", store.name)) and not any(note.startswith(path.name) for note in notes)
    ]
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return [f"Not read: {', '.join(names[:SHOWN_NAMES])}{more}."] if names else []


def find(folder: Path, *, layout: str | None, variant: str | None, split_name: str) -> DatasetFiles:
    """The files of a dataset.

    Args:
        folder: where they lie.
        layout: one of `LAYOUTS`; recognised when None.
        variant: of a MILK folder: which features are the experiment's, one of `VARIANTS`; the complete ones when None.
        split_name: for the split of a MILK folder.

    Raises:
        BadValue: if a name is unknown, or means nothing here.
        SourceError: if the folder holds no dataset, or several.
    """
    if layout is not None and layout not in LAYOUTS:
        raise BadValue(f"--layout {layout} is not read. Known: {', '.join(LAYOUTS)}, recbole.")
    if variant is not None and variant not in VARIANTS:
        raise BadValue(f"--variant {variant} is unknown. Known: {', '.join(VARIANTS)}; leave it out for complete features.")
    found = [name for name, (holds, _) in LAYOUTS.items() if layout in (None, name) and holds(folder)]
    if not found:
        raise SourceError(
            f"{folder} holds no dataset of a known layout. Looked for: one .inter file with userID and itemID (mmrec); train.txt, val.txt and "
            "test.txt of `uid iid iid ...` (milk); train.json, val.json and test.json (lattice); .inter files with user_id:token (recbole)."
        )
    if len(found) > 1:
        raise SourceError(f"{folder} holds files of several layouts: {', '.join(found)}. Say which with --layout.")
    if variant is not None and found != ["milk"]:
        raise BadValue(f"--variant {variant} means nothing to layout {found[0]}: only milk folders hold features of several settings.")
    files = LAYOUTS[found[0]][1](folder)
    return _with_split(files, folder, variant, split_name) if files.layout == "milk" else files


def header_of(path: Path) -> list[str]:
    """The columns that the first line of a tab-separated file names; none where it cannot be read as text."""
    try:
        with path.open("rb") as stream:
            return stream.readline(HEADER_BYTES).decode().strip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return []


def _inter_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.inter")) if {"userID", "itemID"} <= set(header_of(path))]


def _features(folder: Path, ending: str = "") -> dict[Modality, Path]:
    found = {m: next((path for name in names if (path := optional(folder, f"{name}{ending}.npy"))), None) for m, names in FEATURE_NAMES.items()}
    return {modality: path for modality, path in found.items() if path}


def optional(folder: Path, name: str) -> Path | None:
    """A file of a folder, None where nothing has its name.

    Raises:
        SourceError: if something else bears it, for that would go unread without a word.
    """
    path = folder / name
    if path.exists() and not path.is_file():
        raise SourceError(f"{path} has the name of a file of this layout, but is no file. Put the file in its place, or take it away.")
    return path if path.exists() else None


def _mmrec(folder: Path) -> DatasetFiles:
    files = _inter_files(folder)
    if len(files) > 1:
        raise SourceError(f"{folder} holds {len(files)} .inter files ({', '.join(file.name for file in files[:5])}). Name one with --interactions.")
    listed = optional(folder, "missed_img_itemIDs.csv")
    notes = tuple(PICKLED.format(path.name, path.name) for path in sorted(folder.glob("missing_items*.npy")))
    if optional(folder, "new_items.npy"):
        notes += ("new_items.npy was not read: it names new items of a split, and `build-splits` draws its own.",)
    return DatasetFiles(
        "mmrec", (files[0],), _features(folder), missing={Modality.VISUAL: listed} if listed else {}, item_keys=optional(folder, "i_id_mapping.csv"),
        user_keys=optional(folder, "u_id_mapping.csv"), notes=notes,
    )  # fmt: skip


def _milk(folder: Path) -> DatasetFiles:
    # The last three are ours: `milkprep/exporters/milk.py` writes them, other projects do not know them.
    absent = {modality: path for modality, names in FEATURE_NAMES.items() if (path := optional(folder, f"{names[0]}_absent.txt"))}
    return DatasetFiles(
        "milk", tuple(folder / f"{part}.txt" for part in PARTS), _features(folder), missing=absent,
        item_keys=optional(folder, "item_keys.tsv"), user_keys=optional(folder, "user_keys.tsv"),
    )  # fmt: skip


def _with_split(files: DatasetFiles, folder: Path, variant: str | None, split_name: str) -> DatasetFiles:
    lossy = _features(folder, f"_missing_{variant}") if variant else {}
    if variant and not lossy:
        raise SourceError(f"{folder} holds no features of variant {variant}, such as image_feat_missing_{variant}.npy. Leave --variant out.")
    beside = {modality: path for modality, path in lossy.items() if modality in files.features}
    split = SplitFiles(split_name, VARIANTS[variant] if variant else Setting.FTFT, optional(folder, "cold_item_index.npy"), beside)
    return replace(files, features=lossy | dict(files.features), split=split)


def _lattice(folder: Path) -> DatasetFiles:
    note = "The lists of training, validation and test are pairs of the same items, not a split of items, so they are taken together."
    return DatasetFiles(
        "lattice", tuple(folder / f"{part}.json" for part in PARTS if optional(folder, f"{part}.json")), _features(folder), notes=(note,)
    )


#: Layout -> whether a folder holds its files, and which they are.
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], DatasetFiles]]] = {
    "mmrec": (lambda folder: bool(_inter_files(folder)), _mmrec),
    "milk": (lambda folder: all((folder / f"{part}.txt").is_file() for part in PARTS), _milk),
    "lattice": (lambda folder: all((folder / f"{part}.json").is_file() for part in ("train", "test")), _lattice),
}
