"""A task with planted tastes for models, small enough to know every number of: which sizes occur in a state tells what they are sizes of."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from milktrain import config, listing, loop, optimizers, sampling
from milktrain.model_settings import MODELS
from milktrain.recommender import Batches, Collaborative, Content, EpochWise, OwnBatches, Task, warm
from milktrain.training import Generators
from schemas import plugins

#: All different, and different from every width, so that a size in a state says whose it is.
N_USERS, N_ITEMS, N_TRAIN = 29, 71, 43
WIDTHS, N_THEMES = (7, 5), 3
#: A training item and a new one that miss everything: rows of zeros, as imputation with zeros leaves them.
BARE = (4, 60)
SMALL = {"dim": "6", "batch_size": "64"}
COLLABORATIVE = {"backbone_width": "10"}


def settings(name: str, **changes: str) -> config.TrainConfig:
    """Small settings of a model."""
    widths = COLLABORATIVE if listing.needs_collaborative(name) else {}
    return config.load(model=name, changes=SMALL | widths | changes)


def task(name: str, *, seed: int = 0) -> Task:
    """The last items are new; theme i % 3 of an item shows in its content and decides who interacts with it."""
    random = torch.Generator().manual_seed(seed)
    theme = torch.arange(N_ITEMS) % N_THEMES
    features = tuple(_features(theme, width, random) for width in WIDTHS)
    available = torch.ones(N_ITEMS, len(WIDTHS), dtype=torch.bool)
    for item in BARE:
        available[item] = False
        for matrix in features:
            matrix[item] = 0
    is_train = torch.arange(N_ITEMS) < N_TRAIN
    likes = (torch.arange(N_USERS)[:, None] % N_THEMES == theme) & is_train
    train = (likes & (torch.rand(N_USERS, N_ITEMS, generator=random) < 0.7)).nonzero()
    return Task(Content(features, available, is_train), N_USERS, train, _vectors(name, train, random))


def _features(theme: Tensor, width: int, random: torch.Generator) -> Tensor:
    directions = torch.randn(N_THEMES, width, generator=random)
    found = directions[theme] + 0.2 * torch.randn(len(theme), width, generator=random)
    return nn.functional.normalize(found)


def _vectors(name: str, train: Tensor, random: torch.Generator) -> Collaborative | None:
    if not listing.needs_collaborative(name):
        return None
    width = int(COLLABORATIVE["backbone_width"])
    directions = torch.randn(N_THEMES, width, generator=random)
    users = directions[torch.arange(N_USERS) % N_THEMES] + 0.1 * torch.randn(N_USERS, width, generator=random)
    items = directions[torch.arange(N_ITEMS) % N_THEMES] + 0.1 * torch.randn(N_ITEMS, width, generator=random)
    items[torch.bincount(train[:, 1], minlength=N_ITEMS) == 0] = 0
    return Collaborative(users, items)


def build(name: str, given: Task, *, seed: int = 1, **changes: str) -> nn.Module:
    """A model with its initial weights."""
    found = plugins.load(MODELS, name).build(given, settings(name, **changes), generator=torch.Generator().manual_seed(seed))
    assert isinstance(found, nn.Module)
    return found


def train(model: nn.Module, given: Task, name: str, *, epochs: int = 1, seed: int = 2) -> list[dict[str, float]]:
    """Train in place as the loop does; the answer is the losses of each epoch."""
    chosen, generators = settings(name), Generators.seeded(seed)
    optimizer = optimizers.build(model, chosen)
    model.train()
    found = []
    for _ in range(epochs):
        if isinstance(model, EpochWise):
            model.begin_epoch()
        drawn = batches(model, given, chosen, generators.triples).drawn
        found.append(loop.run_epoch(model, optimizer, drawn, generator=generators.environments))
    model.eval()
    return found


def batches(model: nn.Module, given: Task, chosen: config.TrainConfig, generator: torch.Generator) -> Batches:
    """The batches of an epoch, the model's own or triples with negatives among training items."""
    if isinstance(model, OwnBatches):
        return model.batches(batch_size=chosen.batch_size, generator=generator)
    candidates = warm(given.content.is_train, given.train).nonzero().squeeze(1)
    sampler = sampling.negatives(given.train, candidates=candidates, n_items=N_ITEMS)
    return Batches(-(-len(given.train) // chosen.batch_size), sampling.epoch(given.train, sampler, batch_size=chosen.batch_size, generator=generator))


def scores(model: nn.Module, items: Tensor | None = None) -> Tensor:
    """(U, C) of all users, for all items of the small task or the given ones."""
    with torch.inference_mode():
        return model.ranker(torch.arange(N_ITEMS) if items is None else items)(torch.arange(N_USERS)).clone()


def with_content(given: Task, items: Tensor, values: float | list[Tensor]) -> Task:
    """The task with other content of some items."""
    features = [matrix.clone() for matrix in given.content.features]
    for m, matrix in enumerate(features):
        matrix[items] = values if isinstance(values, float) else values[m]
    return replace(given, content=replace(given.content, features=tuple(features)))
