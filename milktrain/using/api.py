"""What Python programs call, under the names that `milktrain` itself offers: `from milktrain import train, open_run, recommend`.

Each is what the command of its name does; results are frozen dataclasses with polars frames in them. docs/python.md has an example that runs.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from milktrain import config as settings_of
from milktrain import ranking, recipe
from milktrain.profiles import Profile
from milktrain.using import judging, likeness, new_items, recommending
from milktrain.using.among import Among
from milktrain.using.judging import Judgement
from milktrain.using.likeness import Similar
from milktrain.using.new_items import NewRecommendations
from milktrain.using.recommending import Recommendations
from milktrain.using.trained import Trained
from milktrain.using.trained import open_run as open_run
from schemas.contracts import Modality
from schemas.new_items import NewItems
from schemas.plugins import check_known
from schemas.reporting import Reporter, Silent

Choice = TypeVar("Choice", bound=StrEnum)


def train(
    store: str | Path, *, split: str, preset: str = "default", settings: Mapping[str, object] | None = None, model: str = "milk",
    modalities: Sequence[str] | None = None, runs: str | Path | None = None, device: str = "cpu", again: bool = False,
    reporter: Reporter | None = None,
) -> Trained:  # fmt: skip
    """Train a model on a split, judge it, write its run folder, and open it.

    Args:
        store: the store.
        split: name of a split in it.
        preset: `default`, `published` (the authors' code) or `paper` (the equations).
        settings: laid over the preset, e.g. `{"beta": 10, "max_epochs": 50}`.
        model: name of one, see `python cli.py models`.
        modalities: names of those to use; None: all that have vectors.
        runs: folder of run folders; None: `runs` beside the store.
        device: `cpu`, `cuda` or `auto`.
        again: whether a run that is finished is run again; else it is opened as it is.
        reporter: told the epochs; None: nobody.

    Raises:
        MilkError: see `recipe.train`.
    """
    changes = {name: value if isinstance(value, str) else json.dumps(value) for name, value in (settings or {}).items()}
    chosen = None if modalities is None else [_one_of(Modality, name, what="modality") for name in modalities]
    config = settings_of.load(preset, model=model, changes=changes)
    done = recipe.train(
        Path(store), split=split, config=config, runs_folder=Path(runs) if runs else Path(store).parent / "runs",
        reporter=reporter or Silent(), model=model, modalities=chosen, device=device, again=again,
    )  # fmt: skip
    return open_run(done.folder, store=store, device=device)


def evaluate(run: Trained, *, split: str | None = None, profile: str | None = None, memory: int = ranking.MEMORY) -> Judgement:
    """Judge a run again, on its own split or another of its store; see `judging.judge`."""
    return judging.judge(run, split=split, profile=_one_of(Profile, profile, what="profile") if profile else None, memory=memory)


def recommend(run: Trained, user: str, *, k: int = 10, among: str = Among.NEW) -> Recommendations:
    """The items that a run scores highest for a user; see `recommending.recommend`."""
    return recommending.recommend(run, user, k=k, among=_one_of(Among, among, what="choice of items"))


def recommend_new(run: Trained, user: str, new: NewItems, *, k: int = 10) -> NewRecommendations:
    """Items that no store has, ranked for a user; see `new_items.recommend_new`. `milkprep.newcomers.embed` makes their vectors."""
    return new_items.recommend_new(run, user, new, k=k)


def similar(run: Trained, item: str, *, k: int = 10, among: str = Among.ALL) -> Similar:
    """The items nearest to an item in a run's space; see `likeness.similar`."""
    return likeness.similar(run, item, k=k, among=_one_of(Among, among, what="choice of items"))


def _one_of(choices: type[Choice], name: str, *, what: str) -> Choice:
    check_known(name, [each.value for each in choices], what=what)
    return choices(name)
