"""Training until validation stops improving; the best state wins. It can be interrupted between any two steps, and goes on to the same end."""

import itertools
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from milktrain import events, metrics, optimizers, ranking, sampling
from milktrain.checkpoint import Unfinished
from milktrain.config import TrainConfig
from milktrain.evaluation import evaluate
from milktrain.optimizers import Stepper
from milktrain.optimizers import adam as adam
from milktrain.recommender import Batch, Batches, EpochWise, InTurns, Losses, OwnBatches, Ranker, Scheduled, Scorer, Trainable
from milktrain.training import Generators as Generators
from milktrain.training import Position, Training
from schemas.errors import TrainingDiverged
from schemas.plugins import check_known
from schemas.reporting import Progress, Reporter

logger = logging.getLogger(__name__)

#: Seconds between two states on disk, besides one at every look at validation: what a killed run loses at most.
SAVE_EVERY_S = 60.0
#: Seconds between two remarks within an epoch.
NOTE_EVERY_S = 1.0


class TrainableModule(nn.Module, Trainable):
    """A torch module that can be trained; for type checkers only."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What the loop looks at to decide when to stop.

    Shapes:
        pairs: (n, 2) int64 user, item of the validation part.
        candidates: (C,) int64 item ids.
        memory: bytes for the scores of a chunk; it changes nothing else.
        masked: (m, 2) int64 user, item that may not be in a list; None masks nothing.
    """

    pairs: Tensor
    candidates: Tensor
    memory: int = ranking.MEMORY
    masked: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How training went.

    Args:
        epochs: epochs run.
        best_epoch: the one whose state the model holds now.
        seconds_per_epoch: median over the epochs, validation not counted.
        log: one dictionary an epoch: losses by part, seconds, and the validation metric where it was looked at.
        resumed_at: the epoch at which an interrupted run went on; 0 where none did.
    """

    epochs: int
    best_epoch: int
    seconds_per_epoch: float
    log: list[dict[str, float]]
    resumed_at: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around training and does not shape its result on a processor.

    Args:
        device: where the model lies.
        unfinished: where states are kept, and gone on from; None keeps none.
        save_every_s: seconds between two states.
        watch: is given each row of the log as it is made, if there is one; of a training that goes on, those from before at first.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    unfinished: Unfinished | None = None
    save_every_s: float = SAVE_EVERY_S
    watch: events.Watch | None = None


def fit(
    model: TrainableModule, *, train: Tensor, sampler: sampling.Negatives, validation: Validation, config: TrainConfig, generators: Generators,
    reporter: Reporter, around: Surroundings | None = None,
) -> Fit:  # fmt: skip
    """Train in place, and leave the model in the state that was best on validation.

    Args:
        model: what is trained; on the device already.
        train: (n, 2) int64 user, item.
        sampler: draws negatives.
        validation: decides when to stop.
        config: optimizer, learning rate, batch size, epochs, stop metric, patience.
        generators: all randomness of training.
        reporter: is told the epochs.
        around: device, states on disk, and who else is told.

    Raises:
        TrainingDiverged: if a loss stops being finite; the states on disk are deleted.
        DataError: if the states on disk are damaged or of another run.
        UnknownName: if there is no such stop metric.
    """
    around = around or Surroundings()
    check_known(config.stop_metric.partition("@")[0], list(metrics.METRICS), what="metric")
    training = Training(model, optimizers.build(model, config), generators)
    resumed = around.unfinished is not None and around.unfinished.restore(training)
    resumed_at = training.position.epoch if resumed else 0
    events.tell_all(around.watch, training.position.log)
    try:
        done = training.position.epoch - 1  # the bar begins where training does, or its rate and time left would be too good
        label = f"train from epoch {done + 1}" if done else "train"
        with reporter.progress(label, total=config.max_epochs - done, unit="epochs") as progress:
            while not _is_over(training.position, config):
                _begin_epoch(training, model)
                # Without a name: an epoch's order and negatives are gone when validation is looked at and states are written.
                _one_epoch(training, _batches(model, train, sampler, config=config, generator=generators.triples), config, around, progress)
                _close_epoch(training, model, validation=validation, config=config, around=around)
                _tell(progress, training.position, config)
    except TrainingDiverged:
        if around.unfinished:
            around.unfinished.remove()
        raise
    model.load_state_dict(training.best)
    model.eval()
    position = training.position
    return Fit(len(position.log), position.best_epoch, float(np.median([row["seconds"] for row in position.log])), position.log, resumed_at)


def _begin_epoch(training: Training, model: TrainableModule) -> None:
    training.begin_epoch()
    model.train()
    if isinstance(model, EpochWise) and not training.position.step:  # what it made is in its state where an epoch is half done
        model.begin_epoch()
    if isinstance(model, Scheduled):
        training.optimizer.scale_learning_rates(model.learning_rate_factor(training.position.epoch))


def _batches(model: TrainableModule, train: Tensor, sampler: sampling.Negatives, *, config: TrainConfig, generator: torch.Generator) -> Batches:
    """One epoch: the model's own, or every interaction once with a negative."""
    if isinstance(model, OwnBatches):
        return model.batches(batch_size=config.batch_size, generator=generator)
    return Batches(-(-len(train) // config.batch_size), sampling.epoch(train, sampler, batch_size=config.batch_size, generator=generator))


def run_epoch(model: TrainableModule, optimizer: Stepper, batches: Iterator[Batch], *, generator: np.random.Generator) -> dict[str, float]:
    """One pass over the batches, without anything around it.

    Returns:
        Mean over the steps of the total loss, as `loss`, and of each of its parts.

    Raises:
        TrainingDiverged: if a loss is not finite.
    """
    sums: dict[str, float] = {}
    steps = 0
    for batch in batches:
        steps += 1
        _step(model, optimizer, batch, generator=generator, sums=sums)
    return {name: total / steps for name, total in sums.items()}


def _step(
    model: TrainableModule, optimizer: Stepper, batch: Batch, *, generator: np.random.Generator, sums: dict[str, float],
    precision: AbstractContextManager[object] | None = None,
) -> None:  # fmt: skip
    turns = model.in_turns(batch, generator=generator) if isinstance(model, InTurns) else _at_once(model, batch, generator)
    while True:
        with precision or nullcontext():
            losses = next(turns, None)
        if losses is None:
            return
        found = {"loss": losses.total.item()} | {name: part.mean().item() for name, part in losses.parts.items()}
        if not np.isfinite(found["loss"]):
            raise TrainingDiverged(
                f"The loss became {found['loss']} ({found}). Lower learning_rate, or look at the features with `python cli.py check`."
            )
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call] # torch does not annotate it
        optimizer.step()
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value


def _at_once(model: TrainableModule, batch: Batch, generator: np.random.Generator) -> Iterator[Losses]:
    yield model.losses(batch, generator=generator)


def _one_epoch(training: Training, batches: Batches, config: TrainConfig, around: Surroundings, progress: Progress) -> None:
    position, device = training.position, around.device
    started = time.perf_counter() - position.seconds
    noted_at = time.monotonic()
    for batch in itertools.islice(batches.drawn, position.step, None):  # those done before are drawn again, and passed by
        on_device = Batch(*(column.to(device) for column in (batch.users, batch.positives, batch.negatives)))
        precision = torch.autocast(device.type, dtype=torch.bfloat16) if config.precision == "bfloat16" else None
        _step(
            training.model, training.optimizer, on_device, generator=training.generators.environments, sums=position.sums, precision=precision,  # type: ignore[arg-type] # plugins are typed by protocol
        )  # fmt: skip
        position.step += 1
        position.seconds = time.perf_counter() - started
        now = time.monotonic()
        if now - noted_at >= NOTE_EVERY_S:
            noted_at = now
            under_way = f"epoch {position.epoch}: {position.step} of {batches.n} steps"
            progress.note(f"{_standing(position, config)} | {under_way} | {_parts(position.sums, position.step)}")
        if around.unfinished and now - training.saved_at >= around.save_every_s:
            around.unfinished.save(training)
            training.saved_at = time.monotonic()


def _close_epoch(training: Training, model: TrainableModule, *, validation: Validation, config: TrainConfig, around: Surroundings) -> None:
    position = training.position
    row = {name: total / position.step for name, total in position.sums.items()} | {"epoch": position.epoch, "seconds": position.seconds}
    looked = position.epoch % config.evaluate_every == 0 or position.epoch == config.max_epochs
    if looked:
        row[f"val_{config.stop_metric}"] = _look(model, validation, config.stop_metric, around.device)
        training.offer(row[f"val_{config.stop_metric}"])
    position.close_epoch(row)
    if around.watch:
        around.watch(row)
    if looked and around.unfinished:
        around.unfinished.save(training)


def _is_over(position: Position, config: TrainConfig) -> bool:
    looked = bool(position.log) and f"val_{config.stop_metric}" in position.log[-1]
    done = position.epoch - 1
    return done >= config.max_epochs or (looked and done - position.best_epoch > config.patience)


def _look(model: TrainableModule, validation: Validation, stop_metric: str, device: torch.device) -> float:
    cutoff = int(stop_metric.partition("@")[2])
    model.eval()
    pairs, candidates, masked = validation.pairs, validation.candidates, validation.masked
    judged = evaluate(model, pairs=pairs, candidates=candidates, cutoffs=(cutoff,), masked=masked, memory=validation.memory, device=device)
    return judged.means[stop_metric]


class OnDevice:
    """A model that lies elsewhere, for callers whose tensors are in main memory.

    Args:
        model: the model.
        device: where it lies.
    """

    def __init__(self, model: Scorer, device: torch.device) -> None:
        self._model, self._device = model, device

    def ranker(self, items: Tensor) -> Ranker:
        """Prepare (C,) candidates once; scores come back to main memory."""
        ranker = self._model.ranker(items.to(self._device))
        return lambda users: ranker(users.to(self._device)).cpu()


def _parts(sums: dict[str, float], steps: int) -> str:
    return " ".join(f"{name} {total / steps:.4g}" for name, total in sums.items())


def _standing(position: Position, config: TrainConfig) -> str:
    """What is best so far, and where training ends if nothing better comes."""
    every = config.evaluate_every
    if not position.best_epoch:
        return f"validation from epoch {min(every, config.max_epochs)} on"
    ends_at = min((position.best_epoch + config.patience) // every * every + every, config.max_epochs)
    return f"best {config.stop_metric} {position.best_value:.4f} at {position.best_epoch}, else ends at {ends_at}"


def _tell(progress: Progress, position: Position, config: TrainConfig) -> None:
    row = {name: value for name, value in position.log[-1].items() if name not in ("epoch", "seconds") and not name.startswith("val_")}
    progress.advance()
    progress.note(f"{_standing(position, config)} | {_parts(row, 1)}")
    logger.info("epoch %d | %s | best %s %.4f at %d", len(position.log), row, config.stop_metric, position.best_value, position.best_epoch)
