"""Collaborative vectors for models that start from them: learned from training interactions alone, kept by fingerprint, zero for new items.

A backbone is trained as a model is. It stops by a tenth of the training interactions, drawn at random and held out, which it ranks among
training items; validation and test are not looked at, and their items are in neither candidates nor negatives. What was learned lies in
`backbones/<fingerprint>.safetensors` in the folder of runs; the fingerprint is of interactions, settings and seed.
Shapes: U users, V items, D width.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from milktrain import config as settings
from milktrain import loop, sampling
from milktrain.bundle import Bundle
from milktrain.config import TrainConfig
from milktrain.loop import Surroundings, Validation
from milktrain.recommender import Collaborative, Trainable
from milktrain.training import Generators
from schemas import __version__, durable, fingerprint, locks, plugins
from schemas.contracts import Part
from schemas.errors import DataError
from schemas.reporting import Reporter

BACKBONES = "milktrain.backbones"
FOLDER = "backbones"
HELD_OUT = 0.1
REG = 1e-4
#: How a backbone is trained; its width comes from the model's settings, its seed from the run's.
TRAINING = {"stop_metric": "ndcg@20", "evaluate_every": "5", "patience": "15", "max_epochs": "200", "batch_size": "2048", "learning_rate": "1e-3"}


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


def of_run(data: Bundle, *, config: TrainConfig, folder: Path, reporter: Reporter, device: torch.device | None = None) -> Learned | None:
    """The vectors that a run's model starts from, learned or found.

    Args:
        data: the split; its training part alone is looked at.
        config: of the run; None comes back where its model names no backbone.
        folder: where vectors are kept.
        reporter: is told the epochs.
        device: where they are learned; the processor when None.

    Raises:
        MilkError: as `loop.fit`; or if another process learns the same.
    """
    if "backbone" not in config.of_model:
        return None
    name, width = str(config.of_model["backbone"]), int(config.of_model["backbone_width"])
    train = data.pairs[Part.TRAIN]
    how = settings.load(changes=TRAINING | {"dim": str(width), "seed": str(config.seed)})
    kind = device.type if device else "cpu"
    shape = [data.n_users, data.n_items, HELD_OUT, REG, name, how.model_dump(mode="json"), __version__, kind]
    whole = fingerprint.of_value([shape, fingerprint.of_bytes(train.numpy().tobytes())])
    file = folder / f"{name}-{whole[:16]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    with locks.held(file.with_suffix(".lock"), what=f"the backbone {file.name}", instead="Wait for it to finish.", remove=True):
        if found := _read(file, whole):
            return Learned(found, name, whole, 0.0, True)
        started = time.perf_counter()
        found = learn(
            name, train, items=data.items[Part.TRAIN], n_users=data.n_users, n_items=data.n_items, config=how, reporter=reporter, device=device
        )
        _write(found, file, whole)
        return Learned(found, name, whole, time.perf_counter() - started, False)


def learn(
    name: str, train: Tensor, *, items: Tensor, n_users: int, n_items: int, config: TrainConfig, reporter: Reporter,
    device: torch.device | None = None,
) -> Collaborative:  # fmt: skip
    """Train a backbone.

    Args:
        name: of the backbone.
        train: (n, 2) int64 user, item.
        items: (W,) training items, of which negatives and candidates are.
        n_users: U.
        n_items: V.
        config: `dim` is the width; and how to train.
        reporter: is told the epochs.
        device: where; the processor when None.
    """
    where = device or torch.device("cpu")
    generators = Generators.seeded(config.seed)
    order = torch.randperm(len(train), generator=generators.triples)
    n_held = max(1, int(len(train) * HELD_OUT))
    held, kept = train[order[:n_held]], train[order[n_held:].sort().values]
    usable = kept[sampling.can_have_negative(kept, candidates=items, n_items=n_items)]
    model = plugins.load(BACKBONES, name).build(kept, n_users=n_users, n_items=n_items, width=config.dim, reg=REG, generator=generators.weights)
    model.to(where)
    sampler = sampling.negatives(usable, candidates=items, n_items=n_items)
    loop.fit(
        model, train=usable, sampler=sampler, validation=Validation(held, items, masked=kept), config=config, generators=generators,
        reporter=reporter, around=Surroundings(where),
    )  # fmt: skip
    with torch.inference_mode():
        of_users, of_items = (each.detach().float().cpu().clone() for each in model.vectors())
    return warm(Collaborative(of_users, of_items), train)


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
    save_file({"users": found.users.contiguous(), "items": found.items.contiguous()}, partial, metadata={"fingerprint": whole})
    durable.rename(partial, file)


def _read(file: Path, whole: str) -> Collaborative | None:
    if not file.exists():
        return None
    try:
        with safetensors.safe_open(file, framework="pt") as stream:
            known = (stream.metadata() or {}).get("fingerprint")
        tensors = load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{file} is damaged: {error}. Delete it, and it will be learned again.") from error
    if known != whole or set(tensors) != {"users", "items"}:
        raise DataError(f"{file} holds other vectors than its name says. Delete it, and they will be learned again.")
    return Collaborative(tensors["users"], tensors["items"])
