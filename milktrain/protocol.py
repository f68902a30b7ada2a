"""What a result was measured against: the candidates, what is masked, who is judged. A profile is a named choice of them.

A profile shapes how a model is judged and never how it is trained: training stops by the rule of `milk`, so that the weights are the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain import ranking
from milktrain.bundle import Bundle
from milktrain.profiles import Profile
from schemas.contracts import Part


@dataclass(frozen=True, slots=True)
class Pool:
    """What is ranked for the users of one part.

    Shapes:
        candidates: (C,) int64 item ids, ascending.
        masked: (m, 2) int64 user, item: what may not be in the user's list; None where nothing is.
    """

    candidates: Tensor
    masked: Tensor | None


_NO_MASK = "nothing: new items have no training interactions"
_OF_ALL = {
    "ties": f"random order of ids, seed {ranking.TIE_SEED}, the same for all users",
    "users": "users with at least one relevant candidate",
}
_WORDS = {
    Profile.MILK: {"candidates": "all new items (validation and test together)", "masked": _NO_MASK},
    Profile.TEST_ONLY: {"candidates": "new items of the judged part only", "masked": _NO_MASK},
    Profile.ALL_ITEMS: {
        "candidates": "all items of the split (training, validation and test together)",
        "masked": "the user's training items",
    },
}


def words(profile: Profile = Profile.MILK) -> dict[str, str]:
    """What every result says about how it came about; part of a run's identity."""
    return _WORDS[profile] | _OF_ALL


def pool(data: Bundle, part: Part, *, profile: Profile = Profile.MILK) -> Pool:
    """Candidates and masked pairs for judging one part.

    Args:
        data: the split.
        part: validation or test.
        profile: which protocol.
    """
    if profile is Profile.MILK:
        return Pool(data.new_items, None)
    if profile is Profile.TEST_ONLY:
        return Pool(data.items[part].sort().values, None)
    return Pool(torch.cat(list(data.items.values())).sort().values, data.pairs[Part.TRAIN])
