"""Model state on disk: safetensors and JSON, never a pickle.

A finished run holds one state, `model.safetensors`. A run under way keeps a folder with

    best-<epoch>.safetensors   the model that was best on validation
    last.safetensors           all that the next step depends on; its JSON says of which run it is and which best goes with it

Each file is written under another name, synced, and renamed; the best before the last that names it. So whenever the process
is killed, a last and its best are there, whole. A best that no last names, left by who was killed between the two, goes when training
goes on: it would be taken for that of its epoch.
"""

import json
import shutil
import zlib
from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from milktrain.training import Training
from schemas import durable
from schemas.errors import DataError

LAST = "last.safetensors"
FORMAT = "milktrain training 1"


def save(model: nn.Module, file: Path) -> None:
    """Write all parameters and buffers of a model."""
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in model.state_dict().items()}, file)


def load(model: nn.Module, file: Path) -> None:
    """Read them back into a model of the same shape.

    Raises:
        DataError: if the file is absent, damaged, or of a model of another shape.
    """
    try:
        state = load_file(file)
        model.load_state_dict(state)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        raise DataError(f"{file} does not hold a state of this model: {error}. Train again, or name another run.") from error


class Unfinished:
    """The folder of a run under way.

    Args:
        folder: made at the first save.
        run: fingerprint of the run; a state of another is refused.
    """

    def __init__(self, folder: Path, *, run: str) -> None:
        self.folder, self._run = folder, run

    def save(self, training: Training) -> None:
        """Write where training is now, replacing what was written before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        best = self.folder / f"best-{training.position.best_epoch:06}.safetensors"
        if training.best and not best.exists():
            self._write(training.best, best, words={})
        words = training.words() | {"best": best.name if training.best else ""}
        self._write(training.tensors(), self.folder / LAST, words=words)
        self._remove_best(but=best.name)

    def restore(self, training: Training) -> bool:
        """Put training back where it was left; the answer is whether there was anything to go on from.

        Raises:
            DataError: if what is there is damaged or of another run.
        """
        last = self.folder / LAST
        if not last.exists():
            self._remove_best(but="")
            return False
        try:
            tensors, words = self._read(last)
            best = self._read(self.folder / str(words["best"]))[0] if words["best"] else {}
            training.put_back(tensors, words, best=best)
        except DataError as error:
            raise DataError(f"The unfinished run {self.folder} cannot go on: {error} Delete the folder to train from the start.") from error
        self._remove_best(but=str(words["best"]))
        return True

    def remove(self) -> None:
        """Delete the folder, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_best(self, *, but: str) -> None:
        for other in self.folder.glob("best-*.safetensors"):
            if other.name != but:
                other.unlink()

    def _write(self, tensors: dict[str, Tensor], file: Path, *, words: dict[str, object]) -> None:
        whole = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        head = {"format": FORMAT, "run": self._run, "crc32": str(_checksum(whole)), "words": json.dumps(words)}
        partial = file.with_name("writing.tmp")
        save_file(whole, partial, metadata=head)
        durable.rename(partial, file)

    def _read(self, file: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
        try:
            with safetensors.safe_open(file, framework="pt") as stream:
                head = stream.metadata() or {}
            if head.get("format") != FORMAT or head.get("run") != self._run:
                raise DataError(f"{file.name} is not of this run.")
            tensors, words = load_file(file), json.loads(head["words"])
        except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
            raise DataError(f"{file.name} is damaged: {error}.") from error
        if head.get("crc32") != str(_checksum(tensors)):
            raise DataError(f"{file.name} is damaged: its checksum does not fit its content.")
        return tensors, words


def _checksum(tensors: dict[str, Tensor]) -> int:
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(tensors[name].flatten().numpy().data, zlib.crc32(name.encode(), found))
    return found
