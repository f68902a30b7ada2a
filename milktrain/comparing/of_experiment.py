"""The finished runs of an experiment, labelled as its plan does; see `milktrain/experiments/record.py` for what its folder holds."""

from pathlib import Path
from typing import Annotated

import msgspec

from milktrain.comparing import facts
from milktrain.comparing.labelled import LabelledRun
from milktrain.runs import MANIFEST
from schemas.errors import BadValue, DataError

RECORD, RUNS, FINISHED = "record.json", "runs", "finished"
#: A thousand runs with all their settings take 3 MB.
MOST_BYTES = 256 << 20
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class _Row(msgspec.Struct, frozen=True):
    label: Name
    state: str
    run_id: str = ""
    folder: str = ""


class _Record(msgspec.Struct, frozen=True):
    runs: list[_Row]


def gather(folder: Path) -> tuple[list[LabelledRun], list[str]]:
    """The runs of an experiment, those that are finished.

    Args:
        folder: of the experiment, with its `record.json`.

    Returns:
        Runs in the order of the plan, and in words what is not finished.

    Raises:
        BadValue: if it is no folder of an experiment.
        DataError: if its record is damaged, no run is finished, or a run folder is gone.
    """
    file = folder / RECORD
    if not file.is_file():
        raise BadValue(f"{folder} is no folder of an experiment: it holds no {RECORD}. Name one, or runs with --runs.")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is not the record of an experiment: it has more than {MOST_BYTES >> 20} MiB.")
        rows = msgspec.json.decode(file.read_bytes(), type=_Record).runs
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise DataError(f"{file} is not the record of an experiment: {error}. Run the experiment again.") from error
    done = [row for row in rows if row.state == FINISHED]
    if not done:
        raise DataError(f"No run of {folder} is finished. Run the experiment again: it goes on where it was.")
    found = [(facts.printable(row.label), _place(folder, row)) for row in done]
    left = [f"{len(rows) - len(done)} of {len(rows)} runs of the experiment are not finished, and left out."] if len(done) < len(rows) else []
    return [LabelledRun(label, place, facts.read(place)) for label, place in found], left


def _place(folder: Path, row: _Row) -> Path:
    """Where a run lies: where the record says, or where it would be if all was moved together."""
    name = Path(row.run_id).name
    places = [Path(row.folder), folder.absolute().parent.parent / RUNS / name]
    found = next((place for place in places if name == row.run_id and place.name == name and (place / MANIFEST).is_file()), None)
    if found is None:
        raise DataError(f"The run {row.run_id[:100]!r} of {folder} is not at {row.folder[:200]}. Run the experiment again, or name runs with --runs.")
    return found
