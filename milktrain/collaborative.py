"""Collaborative vectors for models that start from them: learned from training interactions alone, kept by fingerprint, zero for new items.

A backbone is trained as a model is, twice. At first a tenth of the training interactions, drawn at random, is held out and ranked among
training items: that tells how many epochs are best. Then it is trained for as many from the start, on all of them. Validation and test are
not looked at, and their items are in neither candidates nor negatives. What was learned lies in `backbones/<name>-<fingerprint>.safetensors`
in the folder of runs, with a checksum; the fingerprint is of interactions, training items, settings and seed. While they are learned, both
trainings keep states beside it, in `.<name>-<fingerprint>.unfinished/`, as runs do: who is killed goes on, to the same vectors to the bit.
Shapes: U users, V items, D width.
"""

import shutil
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from milktrain import config as settings
from milktrain import loop, runs, sampling
from milktrain.bundle import Bundle
from milktrain.checkpoint import Unfinished
from milktrain.config import TrainConfig
from milktrain.loop import Fit, Surroundings, Validation
from milktrain.recommender import Collaborative, Trainable
from milktrain.training import Generators
from schemas import __version__, durable, fingerprint, locks, plugins
from schemas.contracts import Part
from schemas.errors import DataError, TrainingDiverged
from schemas.reporting import Progress, Reporter

BACKBONES = "milktrain.backbones"
FOLDER = "backbones"
HELD_OUT = 0.1
#: How every backbone is trained; its own file adds its `TRAINING`, the model's settings the width, the run the seed.
TRAINING = {"stop_metric": "ndcg@20", "evaluate_every": "5", "patience": "15", "max_epochs": "200", "batch_size": "2048"}


class Backbone(Trainable, Protocol):
    """What a file in `backbones` builds; a `torch.nn.Module` besides."""

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(U, D) of users and (V, D) of items."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """Vectors, and where they came from.

    Args:
        vectors: of users and items.
        name: of the backbone.
        fingerprint: of what they were learned from, and how.
        seconds: learning took; 0 where they were there.
        reused: whether they were there.
    """

    vectors: Collaborative
    name: str
    fingerprint: str
    seconds: float
    reused: bool


@dataclass(frozen=True, slots=True)
class States:
    """Where both trainings keep what they go on from.

    Args:
        folder: gets a folder for each.
        run: fingerprint of what is learned.
        every_s: seconds between two states.
    """

    folder: Path
    run: str
    every_s: float = loop.SAVE_EVERY_S

    def around(self, device: torch.device, training: str) -> Surroundings:
        """The surroundings of one of the two by its name."""
        return Surroundings(device, Unfinished(self.folder / training, run=f"{self.run} {training}"), self.every_s)

    def remove(self) -> None:
        """Delete all of it, if there is anything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def of_run(
    data: Bundle, *, config: TrainConfig, folder: Path, reporter: Reporter, device: torch.device | None = None,
    save_every_s: float = loop.SAVE_EVERY_S,
) -> Learned | None:  # fmt: skip
    """The vectors that a run's model starts from, learned or found.

    Args:
        data: the split; its training part alone is looked at.
        config: of the run; None comes back where its model names no backbone.
        folder: where vectors are kept.
        reporter: is told the epochs.
        device: where they are learned; the processor when None.
        save_every_s: seconds between two states on disk, from which learning goes on that was killed.

    Raises:
        MilkError: as `loop.fit`; or if a file that is there is damaged. Where another process learns the same, it is waited for.
    """
    if "backbone" not in config.of_model:
        return None
    name, width = str(config.of_model["backbone"]), int(config.of_model["backbone_width"])
    train = data.pairs[Part.TRAIN]
    items, how = data.warm_items, training_of(name, width=width, seed=config.seed)
    kind = device.type if device else "cpu"
    shape = [data.n_users, data.n_items, HELD_OUT, name, how.model_dump(mode="json"), __version__, kind]
    whole = fingerprint.of_value([shape, *(fingerprint.of_bytes(ids.numpy().tobytes()) for ids in (train, items))])
    file = folder / f"{name}-{whole[:16]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    states = States(runs.unfinished(file.with_suffix("")), whole, save_every_s)
    with locks.held(file.with_suffix(".lock"), what=f"the backbone {file.name}", instead="Wait for it to finish.", remove=True, wait=True):
        if there := _read(file, whole):
            states.remove()  # of one that was killed when all was done
            return Learned(there, name, whole, 0.0, True)
        started = time.perf_counter()
        found = learn(
            name, train, items=items, n_users=data.n_users, n_items=data.n_items, config=how, reporter=reporter, device=device, states=states
        )
        _write(found, file, whole)
        states.remove()
        return Learned(found, name, whole, time.perf_counter() - started, False)


def learn(
    name: str, train: Tensor, *, items: Tensor, n_users: int, n_items: int, config: TrainConfig, reporter: Reporter,
    device: torch.device | None = None, states: States | None = None,
) -> Collaborative:  # fmt: skip
    """Train a backbone.

    Args:
        name: of the backbone.
        train: (n, 2) int64 user, item.
        items: (W,) training items that somebody has, of which negatives and candidates are.
        n_users: U.
        n_items: V.
        config: `dim` is the width; and how to train.
        reporter: is told the epochs.
        device: where; the processor when None.
        states: where it goes on from, and keeps what it would; None keeps nothing.

    Raises:
        TrainingDiverged: if a loss stops being finite; what was kept is deleted.
        DataError: if what was kept is damaged or of other vectors.
    """
    generators = Generators.seeded(config.seed)
    order = torch.randperm(len(train), generator=generators.triples)
    n_held = max(1, int(len(train) * HELD_OUT))
    held, kept = train[order[:n_held]], train[order[n_held:].sort().values]
    named = _Named(reporter, f"learn {name} vectors that models start from")
    task = _Task(name, items, n_users, n_items, device or torch.device("cpu"), named, states)
    try:
        # One that was over when the other was killed is put back as it ended, and trains no more.
        _, tried = _trained(task, kept, training="epochs", validation=Validation(held, items, masked=kept), config=config)
        # One look, at the end, whose answer is not used: the state of that epoch is kept whatever it is.
        as_long = config.model_copy(update={"max_epochs": tried.best_epoch, "evaluate_every": tried.best_epoch})
        model, _ = _trained(task, train, training="all", validation=Validation(held, items), config=as_long)
    except TrainingDiverged:
        if states:
            states.remove()
        raise
    with torch.inference_mode():
        of_users, of_items = (each.detach().float().cpu().clone() for each in model.vectors())
    return warm(Collaborative(of_users, of_items), train)


def training_of(name: str, *, width: int, seed: int) -> TrainConfig:
    """How a backbone is trained.

    Args:
        name: of the backbone.
        width: of its vectors.
        seed: of all it draws.
    """
    return settings.load(changes=TRAINING | plugins.load(BACKBONES, name).TRAINING | {"dim": str(width), "seed": str(seed)})


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    items: Tensor
    n_users: int
    n_items: int
    device: torch.device
    reporter: Reporter
    states: States | None


def _trained(task: _Task, train: Tensor, *, training: str, validation: Validation, config: TrainConfig) -> tuple[Backbone, Fit]:
    usable = train[sampling.can_have_negative(train, candidates=task.items, n_items=task.n_items)]
    generators = Generators.seeded(config.seed)
    build = plugins.load(BACKBONES, task.name).build
    model = build(train, n_users=task.n_users, n_items=task.n_items, width=config.dim, reg=config.reg, generator=generators.weights)
    model.to(task.device)
    sampler = sampling.negatives(usable, candidates=task.items, n_items=task.n_items)
    fit = loop.fit(
        model, train=usable, sampler=sampler, validation=validation, config=config, generators=generators, reporter=task.reporter,
        around=task.states.around(task.device, training) if task.states else Surroundings(task.device),
    )  # fmt: skip
    return model, fit


def warm(found: Collaborative, train: Tensor) -> Collaborative:
    """Vectors of users and items with a training interaction; zeros for all others, which no training ever moved for a reason."""
    users, items = (torch.zeros(len(rows), 1).index_fill_(0, ids, 1.0) for rows, ids in zip((found.users, found.items), train.unbind(1), strict=True))
    return Collaborative(found.users * users, found.items * items)


def unlearned(data: Bundle, config: TrainConfig) -> Collaborative | None:
    """Zeros in the shape of what a run's model started from, for a model whose state is put back; None where it names no backbone."""
    if "backbone" not in config.of_model:
        return None
    width = int(config.of_model["backbone_width"])
    return Collaborative(torch.zeros(data.n_users, width), torch.zeros(data.n_items, width))


def _write(found: Collaborative, file: Path, whole: str) -> None:
    partial = file.with_suffix(".partial")
    tensors = {"users": found.users.contiguous(), "items": found.items.contiguous()}
    save_file(tensors, partial, metadata={"fingerprint": whole, "sha256": _digest(tensors)})
    durable.rename(partial, file)


def _read(file: Path, whole: str) -> Collaborative | None:
    if not file.exists():
        return None
    again = "Delete it, and it will be learned again."
    try:
        with safetensors.safe_open(file, framework="pt") as stream:
            head = stream.metadata() or {}
        tensors = load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{file} is damaged: {error}. {again}") from error
    if head.get("fingerprint") != whole or set(tensors) != {"users", "items"}:
        raise DataError(f"{file} holds other vectors than its name says. {again}")
    if head.get("sha256") != _digest(tensors):
        raise DataError(f"{file} is damaged: its checksum does not fit its content. {again}")
    return Collaborative(tensors["users"], tensors["items"])


def _digest(tensors: dict[str, Tensor]) -> str:
    return fingerprint.of_value([fingerprint.of_bytes(tensors[name].numpy().tobytes()) for name in sorted(tensors)])


class _Named:
    """A reporter whose labels say what is learned before any model is trained.

    Args:
        reporter: is told.
        name: stands for every label.
    """

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter, self._name = reporter, name

    def progress(self, label: str, *, total: int | None, unit: str) -> AbstractContextManager[Progress]:
        """A task under the other name."""
        return self._reporter.progress(f"{self._name} ({label})", total=total, unit=unit)
