"""A finished run judged again: on its own split, where the recorded numbers come out again to the bit, or on another of the same store.

On another split the model knows what it knew: features are scaled and holes filled as in training, by statistics of the items it was
trained on. What another split calls new and the run was trained on is not new to it: such items are left out and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from milktrain import groups, protocol, ranking, runs
from milktrain.bundle import Bundle
from milktrain.evaluation import Evaluation, evaluate
from milktrain.profiles import Profile
from milktrain.using.trained import Ready, Trained
from schemas.contracts import Part
from schemas.errors import BadValue, DataError

JUDGED = (Part.VAL, Part.TEST)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of a part of another split was not judged, or is not quite as new as it looks.

    Args:
        n_trained_on: items that the run was trained on; they and their interactions are left out.
        n_interactions: with these items.
        n_chosen_by: items left in that decided, as the run's validation items, when its training stopped.
    """

    n_trained_on: int = 0
    n_interactions: int = 0
    n_chosen_by: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A run judged on a split.

    Args:
        run: name of the run.
        split: name of the split.
        own: whether it is the one that the run was trained on.
        profile: how it was judged.
        protocol: the same in words.
        parts: metrics by part; a part that nothing new is left of has none.
        by_group: metrics by what the items miss and by how active the users are, see `groups.frame`.
        left_out: by part.
        reproduced: whether these are the numbers that the run recorded, to the bit; None where it recorded no such numbers.
    """

    run: str
    split: str
    own: bool
    profile: Profile
    protocol: Mapping[str, str]
    parts: Mapping[Part, Evaluation]
    by_group: pl.DataFrame
    left_out: Mapping[Part, LeftOut]
    reproduced: bool | None


def judge(trained: Trained, *, split: str | None = None, profile: Profile | None = None, memory: int = ranking.MEMORY) -> Judgement:
    """Judge a run on the validation and the test part of a split.

    Args:
        trained: the run.
        split: name of a split of its store; None: its own.
        profile: which candidates, what is masked; None: as the run was judged.
        memory: bytes for the scores of a chunk; it changes no metric.

    Raises:
        DataError: if the run was trained on every new item of the split, or is not whole.
        Stale: if the store is no longer what the run was trained on.
        SplitMissing: if there is no such split.
    """
    own = split in (None, trained.record.split)
    profile = profile or trained.record.profile
    data, left_out = trained.data(), {part: LeftOut() for part in JUDGED}
    if not own:
        data, left_out = as_known_to(data, trained.data(split=split))
    judged = [part for part in JUDGED if len(data.pairs[part])]
    if not judged:
        raise DataError(f"{trained.name} was trained on every new item of split {split!r}, so none of them is new to it. Judge it on another split.")
    ready = trained.ready(data)
    parts = {part: _evaluated(ready, part, cutoffs=trained.config.cutoffs, profile=profile, memory=memory) for part in judged}
    by_group = pl.concat(groups.frame(data, part, found.lists, cutoffs=trained.config.cutoffs) for part, found in parts.items())
    reproduced = _is_as_recorded(parts, trained) if own and profile is trained.record.profile else None
    return Judgement(trained.name, split or trained.record.split, own, profile, protocol.words(profile), parts, by_group, left_out, reproduced)


def write(found: Judgement, folder: Path) -> None:
    """Write metrics of each user and by group, as a run folder has them, into a new folder; it appears whole or not at all.

    Args:
        found: what was judged.
        folder: not there yet.

    Raises:
        BadValue: if it is there already, or lies in no folder.
    """
    refuse_taken(folder)
    with runs.writing(folder) as partial:
        for part, judged in found.parts.items():
            judged.per_user.write_parquet(partial / f"users_{part}.parquet")
        found.by_group.write_parquet(partial / runs.GROUPS)


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that cannot be made.

    Raises:
        BadValue: if it is there already, or lies in no folder.
    """
    if folder.exists() or not folder.absolute().parent.is_dir():
        raise BadValue(f"--out {folder} is there already, or lies in no folder. Name a new one.")


def as_known_to(mine: Bundle, theirs: Bundle) -> tuple[Bundle, dict[Part, LeftOut]]:
    """Another split as a run sees it: its own training items as they were, and of the other's new items those it was not trained on.

    Args:
        mine: the split that the run was trained on; its features are overwritten.
        theirs: the other split of the same store.

    Returns:
        Training items and interactions of `mine`, new ones of `theirs`, features as available in each; and what was left out.
    """
    trained_on, chosen_by = mine.is_train, _flags(mine.items[Part.VAL], like=mine.is_train)
    items, pairs, left_out = {Part.TRAIN: mine.items[Part.TRAIN]}, {Part.TRAIN: mine.pairs[Part.TRAIN]}, {}
    for part in JUDGED:
        known, known_pair = trained_on[theirs.items[part]], trained_on[theirs.pairs[part][:, 1]]
        items[part], pairs[part] = theirs.items[part][~known], theirs.pairs[part][~known_pair]
        left_out[part] = LeftOut(int(known.sum()), int(known_pair.sum()), int(chosen_by[items[part]].sum()))
    new = torch.cat([items[part] for part in JUDGED])
    for ours, other in zip(mine.features, theirs.features, strict=True):
        ours[new] = other[new]
    mine.available[new] = theirs.available[new]
    return replace(mine, split=theirs.split, items=items, pairs=pairs), left_out


def _evaluated(ready: Ready, part: Part, *, cutoffs: Sequence[int], profile: Profile, memory: int) -> Evaluation:
    pool = protocol.pool(ready.data, part, profile=profile)
    return evaluate(
        ready.model, pairs=ready.data.pairs[part], candidates=pool.candidates, masked=pool.masked, cutoffs=cutoffs, memory=memory, device=ready.device
    )


def _is_as_recorded(parts: Mapping[Part, Evaluation], trained: Trained) -> bool | None:
    """Whether every number that the run recorded and that is still measured came out again."""
    found = {part: (parts[part].means, means) for part, means in trained.record.metrics.items() if part in parts}
    told = [(now[name], value) for now, means in found.values() for name, value in means.items() if name in now]
    return all(now == then for now, then in told) if told else None


def _flags(items: Tensor, *, like: Tensor) -> Tensor:
    return torch.zeros_like(like).index_fill_(0, items, True)
