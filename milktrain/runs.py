"""Run folders: everything a result needs to be believed, written complete or not at all.

runs/<run id>/
    run.json             what was run, on what, how it went, every metric; written last
    users_val.parquet    metrics of each validation user
    users_test.parquet   metrics of each test user
    groups.parquet       metrics of both parts by missing modalities and by activity of the user; see `groups`
    log.jsonl            one line an epoch
    model.safetensors    the state that was best on validation, for models that learn
runs/.<run id>.unfinished/   what a run under way, or one that was killed, goes on from; see `checkpoint`
runs/.<run id>.lock          held by the process that trains the run; what a killed one leaves behind blocks nobody
runs/tensorboard/<run id>/   curves, where they were asked for; see `events`
"""

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from milktrain import model_settings
from schemas import durable, fingerprint, locks
from schemas.errors import DataError

logger = logging.getLogger(__name__)

MANIFEST = "run.json"
GROUPS = "groups.parquet"


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends well, replacing one that was there, and vanishes otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    old = partial.with_name(partial.name + ".old")
    try:
        yield partial
        for file in partial.iterdir():
            file.chmod(0o644)  # safetensors writes for its owner alone
            durable.sync(file)
        partial.chmod(0o755)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        durable.sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def unfinished(folder: Path) -> Path:
    """Where the states of a run under way are kept that will end in this folder."""
    return folder.with_name(f".{folder.name}.unfinished")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have a run to this process alone while the block lasts; if it ends well, what killed ones left half-written goes.

    Raises:
        DataError: if another process trains it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    instead = "Wait for it to finish, or train with another seed or other settings."
    with locks.held(folder.with_name(f".{folder.name}.lock"), what=f"the run {folder}", instead=instead, remove=True):
        yield
        half_written = re.compile(re.escape(f".{folder.name}.") + r"[a-z0-9_]{8}(\.old)?")  # as `writing` names them
        for left in folder.parent.iterdir():
            if half_written.fullmatch(left.name):
                shutil.rmtree(left, ignore_errors=True)


def finished(folder: Path, *, fingerprint: str) -> dict[str, object] | None:
    """The manifest of a run if it is there, whole, and of this fingerprint."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("fingerprint") == fingerprint else None


def write_json(value: object, file: Path) -> None:
    """A JSON file for people and programs: sorted keys, two spaces."""
    file.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def write_log(rows: list[dict[str, float]], file: Path) -> None:
    """One JSON object a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_log(folder: Path) -> list[dict[str, float]]:
    """The log of a finished run, a dictionary an epoch.

    Raises:
        DataError: if it is not there or damaged.
    """
    file = folder / "log.jsonl"
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is not the log of a run: {error}. Train the run again.") from error


def read_groups(folder: Path) -> pl.DataFrame:
    """The metrics of a finished run by group, see `groups.frame`.

    Raises:
        DataError: if they are not there or damaged.
    """
    file = folder / GROUPS
    try:
        return pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{file} does not hold the groups of a run: {error}. Train the run again.") from error


#: Columns of every run, in this order, before its settings and metrics.
IDENTITY = (
    "run_id", "store", "model", "preset", "split", "setting", "split_seed", "seed", "modalities", "device", "profile", "epochs", "best_epoch",
    "seconds_per_epoch", "finished_at",
)  # fmt: skip


def frame(folder: Path, *, store: str | None = None) -> pl.DataFrame:
    """One row a run, for SQL: its identity, its settings, and its metrics as `<part>_<metric>_<k>`. Empty where there are no runs.

    `configuration` names all that shapes a run besides the split and the seed: model, modalities, settings, device, profile. Runs that
    have it in common are repeats of each other.

    Args:
        folder: the folder that holds the run folders.
        store: file name of a store; runs of other stores are left out, whose users and splits are others of the same numbers and names.
    """
    rows = [_row(manifest) for manifest in sorted(folder.glob(f"[!.]*/{MANIFEST}"))]
    rows = [row for row in rows if row and (store is None or row["store"] == store)]
    return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(schema=dict.fromkeys((*IDENTITY, "configuration"), pl.String))


def configuration(record: Mapping[str, Any]) -> str:
    """A short name of all that shapes a run besides the split and the seed, the same for repeats of each other.

    Args:
        record: what `run.json` says.
    """
    model = str(record.get("model"))
    settings = {name: value for name, value in dict(record.get("config", {})).items() if model_settings.shapes(name, model=model)}
    repeated = [settings | {"seed": None}, *(record.get(name) for name in ("model", "modalities", "device", "profile"))]
    return fingerprint.of_value(repeated)[:8]


def _row(manifest: Path) -> dict[str, object]:
    try:
        run = json.loads(manifest.read_text(encoding="utf-8"))
        row = {name: run.get(name) for name in IDENTITY} | {"run_id": manifest.parent.name}  # by which its files are found
        config = dict(run.get("config", {}))
        told = model_settings.told(str(run.get("model")), config)
        # So that a question can name settings that this model has no use for.
        settings = (dict.fromkeys([*sorted(model_settings.OF_MILK), *(name for name in config if name != "of_model")]) if told else {}) | told
        row["configuration"] = configuration(run)
        row |= {name: _cell(value) for name, value in settings.items() if name not in row}
        for part, metrics in run["metrics"].items():
            row |= {f"{part}_{name.replace('@', '_')}": float(value) for name, value in metrics.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s is not the record of a run and is left out: %r", manifest, error)
        return {}
    return row


def _cell(setting: object) -> object:
    """A setting as a value of a column; a list is text."""
    return ",".join(map(str, setting)) if isinstance(setting, list) else setting
