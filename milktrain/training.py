"""The state of a training under way: everything the next step depends on, and what has been found so far.

A state can be taken and put back between any two steps. What follows is then the same to the bit as if nothing had been in between:
weights, moments of the optimizer, generators, and the position in the epoch, whose batches are drawn again from where its
generator stood when it began.
"""

import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from milktrain.optimizers import Together
from schemas.errors import DataError


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


@dataclass(slots=True)
class Position:
    """How far training is.

    Args:
        epoch: the one under way, from 1.
        step: steps done in it.
        seconds: spent in it.
        sums: of the losses over its steps, by part.
        best_value: of the stop metric; -1 before validation was looked at.
        best_epoch: whose state is the best.
        log: one dictionary an epoch.
    """

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    best_value: float = -1.0
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)

    def close_epoch(self, row: dict[str, float]) -> None:
        """Put the epoch under way on the log, and begin the next."""
        self.log.append(row)
        self.epoch, self.step, self.seconds, self.sums = self.epoch + 1, 0, 0.0, {}


class Training:
    """A model being trained.

    Args:
        model: changed in place.
        optimizer: of its parameters.
        generators: all randomness.
    """

    def __init__(self, model: nn.Module, optimizer: Together, generators: Generators) -> None:
        self.model, self.optimizer, self.generators = model, optimizer, generators
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()  # when its state was written last; epochs may be shorter than the time between two states
        self._epoch_began_at = generators.triples.get_state()

    def begin_epoch(self) -> None:
        """Remember where the generator of the triples stands, or set it back there where the epoch is half done."""
        if self.position.step:
            self.generators.triples.set_state(self._epoch_began_at)
        else:
            self._epoch_began_at = self.generators.triples.get_state()

    def offer(self, value: float) -> bool:
        """Keep the present state as the best if it is better than the best so far; the answer is whether it is."""
        if not value > self.position.best_value:
            return False
        self.position.best_value, self.position.best_epoch = value, self.position.epoch
        self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        return True

    def tensors(self) -> dict[str, Tensor]:
        """All tensors the next step depends on, by name."""
        found = {f"model.{name}": tensor.detach() for name, tensor in self.model.state_dict().items()}
        for number, part in enumerate(self.optimizer.parts):
            for row, moments in part.state_dict()["state"].items():
                # A count of steps is a tensor in one optimizer and a number in the other; both travel as tensors.
                found |= {f"optimizer.{number}.{row}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        began = self._epoch_began_at if self.position.step else self.generators.triples.get_state()
        return found | {"generator.triples": began}

    def words(self) -> dict[str, object]:
        """The rest, as JSON can hold it."""
        return {"position": asdict(self.position), "environments": self.generators.environments.bit_generator.state}

    def put_back(self, tensors: dict[str, Tensor], words: dict[str, object], *, best: dict[str, Tensor]) -> None:
        """Go back to a state that was taken.

        Raises:
            DataError: if it is of another model or optimizer.
        """
        try:
            self.model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")})
            for number, part in enumerate(self.optimizer.parts):
                _put_moments(part, {name: tensor for name, tensor in tensors.items() if name.startswith(f"optimizer.{number}.")})
            self._epoch_began_at = tensors["generator.triples"]
            self.generators.triples.set_state(self._epoch_began_at)
            self.generators.environments.bit_generator.state = words["environments"]  # type: ignore[assignment] # numpy refuses what is none of its states
            self.position = Position(**words["position"])  # type: ignore[arg-type] # what is there is checked by the call
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"The state of training is of another model or optimizer: {error}") from error
        self.best = best


def _put_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    whole = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, object]] = {}
    for name, tensor in tensors.items():
        row, kind = name.split(".")[2:]
        if kind != "step" and tensor.shape != parameters[int(row)].shape:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}")
        moments.setdefault(int(row), {})[kind] = int(tensor) if kind == "step" and not tensor.is_floating_point() else tensor
    optimizer.load_state_dict(whole | {"state": moments})


def _torch_generator(sequence: np.random.SeedSequence) -> torch.Generator:
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))
