"""The log of a run as curves for TensorBoard: losses, validation and seconds by epoch.

They lie in `<runs>/tensorboard/<run id>/`, beside the run folders, and can be looked at while a run is under way. A run that is trained
again or goes on after it was killed writes its curves anew from the first epoch, so that no point is there twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import BadValue

FOLDER = "tensorboard"
Watch = Callable[[dict[str, float]], None]


@contextmanager
def writing(folder: Path | None) -> Iterator[Watch | None]:
    """What takes the rows of a log, from the first, and writes them as curves.

    Args:
        folder: of the run's curves; those that were there go when the first row comes. None writes none.

    Yields:
        What is to be called with each row; None where none are written.

    Raises:
        BadValue: if TensorBoard is not installed.
    """
    if folder is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadValue(
            f"--tensorboard needs the package tensorboard, which is not installed ({error}). Get it with `pip install 'milkprep[tensorboard]'`, "
            "or train without: log.jsonl in the run folder holds the same numbers."
        ) from error
    writer: SummaryWriter | None = None

    def write(row: dict[str, float]) -> None:
        nonlocal writer
        if writer is None:
            _remove_curves(folder)
            writer = SummaryWriter(str(folder), flush_secs=5)
        for tag, value in tags(row).items():
            writer.add_scalar(tag, value, int(row["epoch"]))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def tags(row: Mapping[str, float]) -> dict[str, float]:
    """The values of a row of the log by the name of their curve.

    Example:
        >>> tags({"loss": 2.5, "bpr": 2.0, "epoch": 1, "seconds": 0.25, "val_ndcg@10": 0.5})
        {'loss/total': 2.5, 'loss/bpr': 2.0, 'time/seconds': 0.25, 'validation/ndcg@10': 0.5}
    """
    named = {"loss": "loss/total", "seconds": "time/seconds"}
    return {
        named.get(name, f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"loss/{name}"): value
        for name, value in row.items()
        if name != "epoch"
    }


def everyone(*watchers: Watch | None) -> Watch | None:
    """One watcher that tells all of them; None where there is none."""
    told = [each for each in watchers if each]

    def tell(row: dict[str, float]) -> None:
        for each in told:
            each(row)

    return tell if told else None


def tell_all(watch: Watch | None, log: Iterable[dict[str, float]]) -> None:
    """Tell a watcher, if there is one, of every row of a log that is finished."""
    if watch:
        for row in log:
            watch(row)


def _remove_curves(folder: Path) -> None:
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
