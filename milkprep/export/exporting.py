"""A split handed over in a format: check the place, open the split, let the format write, record what was written.

The folder is there with everything in it or not at all, and the same split gives the same bytes. A format is one file in
`milkprep/exporters`; what it promises is `Format`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, cast

from milkprep.export import content, folder
from milkprep.export.content import SplitContent
from schemas import __version__, plugins
from schemas.contracts import Modality, Setting
from schemas.reporting import Reporter

FORMATS = "milkprep.exporters"


class Format(Protocol):
    """What a module in `milkprep/exporters` has."""

    def write(self, split: SplitContent, into: Path, *, reporter: Reporter) -> Sequence[str]:
        """Write a split's files.

        Args:
            split: what there is to write.
            into: an empty folder; files are written into it, and nowhere else.
            reporter: told how far writing is.

        Returns:
            What a reader should know, in sentences.

        Raises:
            DataError: if the format cannot hold this split.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Args:
        folder: where it lies.
        format: in which format.
        split: name of the split.
        setting: which sides lose modalities in it.
        files: bytes of each file, by name.
        n_users: users that have a number in it.
        n_items: items that have one.
        notes: what a reader should know, in sentences.
    """

    folder: Path
    format: str
    split: str
    setting: Setting
    files: Mapping[str, int]
    n_users: int
    n_items: int
    notes: tuple[str, ...]


def export(
    store_path: Path, *, format_name: str, split: str, out: Path, modalities: Sequence[Modality] | None = None,
    rename: Mapping[Modality, Modality] | None = None, replace: bool = False, reporter: Reporter,
) -> ExportReport:  # fmt: skip
    """Write a split as a folder that another project's code reads.

    Args:
        store_path: the store; held for reading meanwhile.
        format_name: name of a file in `milkprep/exporters`.
        split: name of a split in the store.
        out: the folder; it must be absent or empty, or an earlier export where `replace` is on.
        modalities: which to write; None takes every modality that has vectors.
        rename: modality -> as which other one its vectors are written.
        replace: take the place of an earlier export.
        reporter: told how far writing is.

    Raises:
        UnknownName: if there is no such format.
        BadValue: if the folder cannot be written to, or `rename` cannot be meant.
        SplitMissing, Stale, FeatureMissing: as `content.opened`.
        DataError: if the format cannot hold this split.
        OSError: if the disk refuses.
    """
    form = cast("Format", plugins.load(FORMATS, format_name))
    folder.refuse(out, replace=replace)
    with content.opened(store_path, split=split, modalities=modalities, rename=rename) as opened, folder.writing(out) as partial:
        notes = tuple(form.write(opened, partial, reporter=reporter))
        files = folder.write_record(partial, {"format": format_name, "notes": notes} | _record(opened))
        return ExportReport(out, format_name, split, opened.setting, files, opened.users.height, opened.items.height, notes)


def _record(opened: SplitContent) -> dict[str, object]:
    made = {
        modality.value: {"modality": vectors.feature_set.modality.value, "fingerprint": vectors.feature_set.fingerprint}
        | {name: value for name, value in asdict(vectors.feature_set.identity).items() if name in ("encoder", "weights", "weights_sha256", "width")}
        for modality, vectors in opened.vectors.items()
    }
    return {
        "split": opened.name, "setting": opened.setting.value, "split_seed": opened.seed, "split_fingerprint": opened.fingerprint,
        "users": opened.users.height, "items": opened.items.height, "features": made, "milkprep": __version__,
    }  # fmt: skip
