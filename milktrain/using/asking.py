"""What is asked of a run: keys looked up, and what is known of an item, in words."""

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from milktrain.bundle import Bundle
from schemas.contracts import Modality, Part
from schemas.errors import BadValue, DataError

#: Keys that a nearest spelling is looked for among; of more that takes too long.
COMPARED = 50_000
SHOWN = 3
#: What the split calls an item that nobody interacted with.
UNTOUCHED = "untouched"


def index_of(key: str, keys: Sequence[str], *, what: str) -> int:
    """The id of a user or an item.

    Args:
        key: the source's own.
        keys: all of them, by id.
        what: `user` or `item`.

    Raises:
        DataError: if there is none; the message names near ones.
    """
    try:
        return keys.index(key)
    except ValueError:
        near = get_close_matches(key, keys, n=SHOWN) if len(keys) <= COMPARED else []
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Keys look like {', '.join(map(repr, keys[:SHOWN]))}."
        raise DataError(f"The store knows no {what} {key[:100]!r} of its {len(keys)}. {hint} The table {what}s of the store lists them.") from None


def check_k(k: int) -> None:
    """Refuse lists of no length.

    Raises:
        BadValue: if k is below 1.
    """
    if k < 1:
        raise BadValue(f"-k {k} is out of range: a list has 1 item or more.")


def parts_of(data: Bundle) -> list[str]:
    """Of each item the part of the split that it is in: `train`, `val`, `test`, or `untouched` outside of it."""
    found = [UNTOUCHED] * data.n_items
    for part, items in data.items.items():
        for item in items.tolist():
            found[item] = part.value
    return found


def new_items(data: Bundle) -> Tensor:
    """(C,) ids of the items that training did not see, ascending."""
    return (~data.is_train).nonzero().squeeze(1)


def with_something(items: Tensor, data: Bundle) -> Tensor:
    """Those of some items that have a modality left."""
    return items[data.available[items].any(dim=1)]


def used(item: int, data: Bundle) -> list[str]:
    """Modalities whose vectors speak for an item."""
    return _named(data.available[item], data.modalities)


def missing(item: int, data: Bundle) -> list[str]:
    """Modalities that an item lacks."""
    return _named(~data.present[item], data.modalities)


def lost(item: int, data: Bundle) -> list[str]:
    """Modalities that an item has and the split takes away."""
    return _named(data.present[item] & ~data.available[item], data.modalities)


def _named(flags: Tensor, modalities: Sequence[Modality]) -> list[str]:
    return [modality.value for modality, flag in zip(modalities, flags.tolist(), strict=True) if flag]


def pairs_of(user: int, data: Bundle, *, parts: Sequence[Part]) -> Tensor:
    """(n,) items that a user interacted with in some parts."""
    return torch.cat([data.pairs[part][data.pairs[part][:, 0] == user, 1] for part in parts])
