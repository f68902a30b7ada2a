"""Judging known tastes: the best any model could do on a generated catalogue, where the truth was planted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from milktrain import bundle
from milktrain.config import TrainConfig
from milktrain.evaluation import evaluate
from milktrain.recommender import Ranker
from schemas.contracts import Part


class Oracle:
    """Scores a user and an item by the inner product of their true tastes.

    Args:
        users: (U, T) tastes over T themes.
        items: (V, T).
    """

    def __init__(self, users: Tensor, items: Tensor) -> None:
        self.users, self.items = users, items

    def ranker(self, items: Tensor) -> Ranker:
        """Inner products with the candidates."""
        candidates = self.items[items]
        return lambda users: self.users[users] @ candidates.T


def judge(
    store_path: Path, *, split: str, config: TrainConfig, user_tastes: Mapping[str, Sequence[float]], item_tastes: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    """Metrics of the truth on validation and test, under the protocol that models are judged by.

    Args:
        store_path: the store.
        split: name of a split in it.
        config: gives the cut-offs.
        user_tastes: T numbers a user key; a key without any has no taste.
        item_tastes: T numbers an item key.

    Returns:
        Means by part, `val` and `test`.
    """
    data = bundle.read(store_path, split=split)
    n_themes = len(next(iter(item_tastes.values())))
    nothing = [0.0] * n_themes
    users = torch.tensor([user_tastes.get(key, nothing) for key in data.user_keys])
    items = torch.tensor([item_tastes.get(key, nothing) for key in data.item_keys])
    truth = Oracle(users, items)
    return {
        part.value: evaluate(truth, pairs=data.pairs[part], candidates=data.new_items, cutoffs=config.cutoffs).means for part in (Part.VAL, Part.TEST)
    }
