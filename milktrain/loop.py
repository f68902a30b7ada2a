"""Training until validation stops improving; the best state wins."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from milktrain import sampling
from milktrain.config import TrainConfig
from milktrain.evaluation import evaluate
from milktrain.recommender import Batch, Trainable
from schemas.errors import TrainingDiverged
from schemas.reporting import Progress, Reporter

logger = logging.getLogger(__name__)

#: The measure that decides which state is best, as in the authors' code.
STOP_METRIC = "ndcg@10"
STOP_CUTOFF = 10


class TrainableModule(nn.Module, Trainable):
    """A torch module that can be trained; for type checkers only."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What the loop looks at to decide when to stop.

    Shapes:
        pairs: (n, 2) int64 user, item of the validation part.
        candidates: (C,) int64 item ids.
    """

    pairs: Tensor
    candidates: Tensor


@dataclass(frozen=True, slots=True)
class Fit:
    """How training went.

    Args:
        epochs: epochs run.
        best_epoch: the one whose state the model holds now.
        seconds_per_epoch: median over the epochs, validation not counted.
        log: one dictionary an epoch: losses by part, seconds, and the validation metric where it was looked at.
    """

    epochs: int
    best_epoch: int
    seconds_per_epoch: float
    log: list[dict[str, float]]


@dataclass(slots=True)
class _Best:
    value: float = -1.0
    epoch: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, model: nn.Module, *, value: float, epoch: int) -> None:
        if value > self.value:
            self.value, self.epoch = value, epoch
            self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def fit(
    model: TrainableModule, *, train: Tensor, sampler: sampling.Negatives, validation: Validation, config: TrainConfig, generators: "Generators",
    reporter: Reporter,
) -> Fit:  # fmt: skip
    """Train in place, and leave the model in the state that was best on validation.

    Args:
        model: what is trained.
        train: (n, 2) int64 user, item.
        sampler: draws negatives.
        validation: decides when to stop.
        config: learning rate, batch size, epochs, patience.
        generators: all randomness of training.
        reporter: is told the epochs.

    Raises:
        TrainingDiverged: if a loss stops being finite.
    """
    optimizer = adam(model, learning_rate=config.learning_rate)
    best, log = _Best(), []
    with reporter.progress("train", total=config.max_epochs, unit="epochs") as progress:
        for epoch in range(1, config.max_epochs + 1):
            started = time.perf_counter()
            batches = sampling.epoch(train, sampler, batch_size=config.batch_size, generator=generators.triples)
            row = run_epoch(model, optimizer, batches, generator=generators.environments)
            row |= {"epoch": epoch, "seconds": time.perf_counter() - started}
            looked = epoch % config.evaluate_every == 0 or epoch == config.max_epochs
            if looked:
                row[f"val_{STOP_METRIC}"] = _look(model, validation)
                best.offer(model, value=row[f"val_{STOP_METRIC}"], epoch=epoch)
            log.append(row)
            _tell(progress, row, best)
            if looked and epoch - best.epoch > config.patience:
                break
    model.load_state_dict(best.state)
    return Fit(len(log), best.epoch, float(np.median([row["seconds"] for row in log])), log)


def adam(model: nn.Module, *, learning_rate: float) -> torch.optim.Adam:
    """Adam in one fused pass over all parameters, which takes a third off a step; the arithmetic is that of the plain one."""
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


def _look(model: TrainableModule, validation: Validation) -> float:
    return evaluate(model, pairs=validation.pairs, candidates=validation.candidates, cutoffs=(STOP_CUTOFF,)).means[STOP_METRIC]


def run_epoch(
    model: TrainableModule, optimizer: torch.optim.Optimizer, batches: Iterator[Batch], *, generator: np.random.Generator
) -> dict[str, float]:
    """One pass over the batches.

    Returns:
        Mean over the steps of the total loss, as `loss`, and of each of its parts.

    Raises:
        TrainingDiverged: if the mean loss is not finite.
    """
    sums: dict[str, float] = defaultdict(float)
    steps = 0
    for batch in batches:
        steps += 1
        losses = model.losses(batch, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call] # torch does not annotate it
        optimizer.step()
        sums["loss"] += losses.total.item()
        for name, part in losses.parts.items():
            sums[name] += part.mean().item()
    means = {name: total / steps for name, total in sums.items()}
    if not np.isfinite(means["loss"]):
        raise TrainingDiverged(
            f"The loss became {means['loss']} ({means}). Lower learning_rate or beta, or look at the features with `python cli.py check`."
        )
    return means


@dataclass(frozen=True, slots=True)
class Generators:
    """Every source of randomness of a run, each with its own stream, so that one's use does not shift another's."""

    weights: torch.Generator
    triples: torch.Generator
    environments: np.random.Generator

    @classmethod
    def seeded(cls, seed: int) -> "Generators":
        """All streams from one seed."""
        weights, triples, environments = np.random.SeedSequence(seed).spawn(3)
        return cls(_torch_generator(weights), _torch_generator(triples), np.random.default_rng(environments))


def _torch_generator(sequence: np.random.SeedSequence) -> torch.Generator:
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def _tell(progress: Progress, row: dict[str, float], best: _Best) -> None:
    progress.advance()
    progress.note(f"loss {row['loss']:.4f} | best {STOP_METRIC} {max(best.value, 0):.4f} at {best.epoch}")
    logger.info("epoch %d | %s | best %s %.4f at %d", row["epoch"], row, STOP_METRIC, best.value, best.epoch)
