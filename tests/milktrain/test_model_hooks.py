"""What a model may do otherwise than by Adam on triples: turns, batches, optimizers, rates, things made anew each epoch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from milktrain import config, loop, optimizers, sampling
from milktrain.checkpoint import Unfinished
from milktrain.loop import Surroundings, Validation
from milktrain.recommender import Batch, Batches, Losses
from milktrain.training import Generators
from schemas.errors import BadValue
from schemas.reporting import Silent

TRAIN = torch.tensor([[0, 0], [0, 1], [1, 1], [1, 2], [2, 0], [2, 2]])
HELD = torch.tensor([[0, 2], [1, 0]])
CANDIDATES = torch.arange(3)


class Plain(nn.Module):
    """One number a user; its loss is its square, so that a step by SGD with rate r takes 2 r of it away."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(3))
        self.b = nn.Parameter(torch.ones(1))

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        return Losses(self.a.square().sum() + self.b.square().sum(), {"a": self.a.detach().sum()})

    def ranker(self, items: Tensor):
        return lambda users: torch.outer(self.a[users], items.float())


def _fit(model, *, max_epochs=1, batch_size=6, unfinished=None, watch=None, **changes):
    settings = config.load(changes={"max_epochs": str(max_epochs), "batch_size": str(batch_size), "evaluate_every": "1"} | changes)
    sampler = sampling.negatives(TRAIN, candidates=CANDIDATES, n_items=3)
    around = Surroundings(unfinished=unfinished, save_every_s=0.0, watch=watch)
    return loop.fit(
        model, train=TRAIN, sampler=sampler, validation=Validation(HELD, CANDIDATES), config=settings, generators=Generators.seeded(0),
        reporter=Silent(), around=around,
    )  # fmt: skip


class Turns(Plain):
    """First a is moved, then b by what a is by then."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def optimizers(self, *, learning_rate: float):
        return [torch.optim.SGD([self.a], lr=0.25), torch.optim.SGD([self.b], lr=0.25)]

    def in_turns(self, batch: Batch, *, generator: np.random.Generator):
        yield Losses(self.a.square().sum(), {"first": self.a.detach().sum()})
        self.seen.append(float(self.a[0].detach()))
        yield Losses((self.b * self.a.detach().sum()).square().sum(), {"second": self.b.detach()})


def test_a_later_turn_sees_what_the_earlier_one_moved_and_moves_nothing_of_it():
    model = Turns()
    log = _fit(model).log
    assert model.seen == [0.5]  # 1 - 0.25 * 2 * 1
    assert model.a.tolist() == [0.5] * 3
    assert model.b.item() == pytest.approx(1 - 0.25 * 2 * 1.5**2)
    assert log[0]["loss"] == pytest.approx(3 + 1.5**2)
    assert {"first", "second"} <= set(log[0])


class Rates(Plain):
    """Halves its rate each epoch, and counts how often it was told of one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("begun", torch.zeros((), dtype=torch.int64))
        self.rates: list[float] = []

    def optimizers(self, *, learning_rate: float):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=learning_rate, momentum=0.9)
        return [self.optimizer]

    def learning_rate_factor(self, epoch: int) -> float:
        return 0.5 ** (epoch - 1)

    def begin_epoch(self) -> None:
        self.begun += 1

    def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return super().losses(batch, generator=generator)


def test_rates_follow_the_epochs():
    model = Rates()
    _fit(model, max_epochs=3, batch_size=3, learning_rate="0.1", patience="9")
    assert model.rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


class Stop(Exception):
    """Ends a training where it is."""


def test_an_interrupted_training_goes_on_with_its_rate_its_momentum_and_what_was_made_at_the_beginning_of_the_epoch(tmp_path):
    alone = Rates()
    _fit(alone, max_epochs=4, batch_size=2, learning_rate="0.1", patience="9")

    class Cut(Rates):
        def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
            if len(self.rates) == 5:  # two of three steps of the second epoch are done
                raise Stop
            return super().losses(batch, generator=generator)

    with pytest.raises(Stop):
        _fit(Cut(), max_epochs=4, batch_size=2, learning_rate="0.1", patience="9", unfinished=Unfinished(tmp_path, run="x"))
    again = Rates()
    found = _fit(again, max_epochs=4, batch_size=2, learning_rate="0.1", patience="9", unfinished=Unfinished(tmp_path, run="x"))
    assert found.resumed_at == 2
    assert again.rates == pytest.approx([0.05] + [0.025] * 3 + [0.0125] * 3)
    assert torch.equal(again.a, alone.a)
    assert torch.equal(again.begun, alone.begun)


def test_batches_of_its_own_are_an_epoch():
    class Own(Plain):
        got: list[int]

        def batches(self, *, batch_size: int, generator: torch.Generator) -> Batches:
            parts = torch.randperm(9, generator=generator).split(2)
            return Batches(len(parts), (Batch(part, part, part) for part in parts))

        def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
            self.got += batch.users.tolist()
            return super().losses(batch, generator=generator)

    model = Own()
    model.got = []
    _fit(model, max_epochs=2, patience="9")
    assert sorted(model.got[:9]) == sorted(model.got[9:]) == list(range(9))
    assert model.got[:9] != model.got[9:]


def test_a_model_learns_in_training_mode_and_is_looked_at_and_left_in_the_other():
    modes = []

    class Moody(Plain):
        def losses(self, batch: Batch, *, generator: np.random.Generator) -> Losses:
            modes.append(self.training)
            return super().losses(batch, generator=generator)

        def ranker(self, items: Tensor):
            modes.append(self.training)
            return super().ranker(items)

    model = Moody()
    _fit(model, max_epochs=2, patience="9")
    assert modes == [True, False, True, False]
    assert not model.training


def test_sparse_adam_is_refused_for_a_model_without_sparse_gradients():
    with pytest.raises(BadValue, match="sparse_adam needs a model"):
        optimizers.build(Plain(), config.load(changes={"optimizer": "sparse_adam"}))
