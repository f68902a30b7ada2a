"""Training triples: every interaction once an epoch in a fresh order, each with one sampled negative.

Negatives are uniform over the given candidates and never an item the user has in training. Which candidates there are is the
caller's choice: the authors' code draws from all items, new ones included, which teaches the model that new items are disliked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from milktrain.recommender import Batch
from schemas.errors import BadValue

#: Rows looked up at a time, so that what is needed on the way stays small however many interactions there are.
ROWS_PER_CHUNK = 1 << 20
#: Marks an interaction: with as many, one of eight pairs that were never seen needs the exact look.
MARKS_EACH = 8
#: Odd, and near 2^64 divided by the golden ratio: products with it spread neighbouring keys over all high bits (Knuth 1973, multiplicative hashing).
SPREAD = -7046029254386353131


@dataclass(frozen=True, slots=True)
class Negatives:
    """Uniform negatives by rejection.

    Whether a pair was seen is asked of a table of marks first, which is one access to memory; only what is marked is searched for
    among all pairs, which takes as many as there are halvings. At twenty million pairs that is a seventh of the time.

    Shapes:
        candidates: (C,) int64 item ids to draw from.
        seen: sorted int64 keys user * n_items + item of every training interaction.
        marks: (a power of 2,) bool, True where the hash of a key of `seen` falls.
    """

    candidates: Tensor
    seen: Tensor
    marks: Tensor
    n_items: int

    def sample(self, users: Tensor, *, part: int, generator: torch.Generator, each: int = 1) -> Iterator[Tensor]:
        """Items for each user that the user has not in training, in memory for one part of the users at a time.

        All are drawn in the call, and those that the users have in training are drawn again until they have none; what is kept is these
        few. The rest is drawn a second time, from where the generator stood, when a part is asked for. So the numbers, and where the
        generator is left, do not depend on the parts, nor on whether they are asked for.

        Args:
            users: (n,) int64; each must have at least one candidate left, see `can_have_negative`.
            part: users of a part.
            generator: source of randomness.
            each: items of each user, one after the other.

        Returns:
            (part * each,) int64 item ids, of one part after the other; the last may be shorter.
        """
        again = torch.Generator()
        again.set_state(generator.get_state())
        step = max(1, ROWS_PER_CHUNK // each)
        pieces = enumerate(torch.split(users, step))
        first = [number * step * each + self._drawn_wrong(piece.repeat_interleave(each), generator) for number, piece in pieces]
        places = torch.cat(first)
        items, left = torch.empty_like(places), torch.arange(len(places))
        while len(left):
            items[left] = self._draw(len(left), generator)
            left = left[self._seen_rows(users[places[left] // each], items[left])]
        return self._drawn_again(len(users) * each, part * each, places, items, again)

    def _drawn_wrong(self, users: Tensor, generator: torch.Generator) -> Tensor:
        return self._seen_rows(users, self._draw(len(users), generator))

    def _drawn_again(self, n: int, part: int, places: Tensor, items: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        for begin in range(0, n, part):
            drawn = self._draw(min(part, n - begin), generator)
            a, b = torch.searchsorted(places, torch.tensor([begin, begin + part])).tolist()
            drawn[places[a:b] - begin] = items[a:b]
            yield drawn

    def _seen_rows(self, users: Tensor, items: Tensor) -> Tensor:
        """Which rows are pairs of training, in order."""
        pieces = enumerate(zip(torch.split(users, ROWS_PER_CHUNK), torch.split(items, ROWS_PER_CHUNK), strict=True))
        return torch.cat([number * ROWS_PER_CHUNK + self._seen_of_chunk(u * self.n_items + i) for number, (u, i) in pieces])

    def _seen_of_chunk(self, keys: Tensor) -> Tensor:
        marked = self.marks.index_select(0, _places(keys, len(self.marks))).nonzero().squeeze(1)
        keys = keys[marked]
        place = torch.searchsorted(self.seen, keys).clamp_(max=len(self.seen) - 1)
        return marked[self.seen[place] == keys]

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.candidates.index_select(0, torch.randint(len(self.candidates), (n,), generator=generator))


def negatives(train: Tensor, *, candidates: Tensor, n_items: int) -> Negatives:
    """A sampler for these training interactions.

    Args:
        train: (n, 2) int64 user, item.
        candidates: (C,) int64 item ids to draw from.
        n_items: number of items in the catalogue.

    Raises:
        BadValue: if there is nothing to train on or to draw from.
    """
    if not len(train) or not len(candidates):
        raise BadValue(f"Training needs interactions (there are {len(train)}) and candidate negatives (there are {len(candidates)}).")
    seen = (train[:, 0] * n_items).add_(train[:, 1])
    if not bool((seen[1:] > seen[:-1]).all()):  # as a store gives them they are; a sort takes four times their memory
        seen = seen.sort().values
    marks = torch.zeros(1 << (MARKS_EACH * len(seen) - 1).bit_length(), dtype=torch.bool)
    for keys in torch.split(seen, ROWS_PER_CHUNK):
        marks.index_fill_(0, _places(keys, len(marks)), True)
    return Negatives(candidates, seen, marks, n_items)


def can_have_negative(train: Tensor, *, candidates: Tensor, n_items: int) -> Tensor:
    """Which training interactions belong to users with at least one candidate they do not have in training.

    Returns:
        (n,) bool.
    """
    is_candidate = torch.zeros(n_items, dtype=torch.bool)
    is_candidate[candidates] = True
    taken = torch.bincount(train[:, 0], weights=is_candidate[train[:, 1]].double())
    return taken[train[:, 0]] < len(candidates)


def epoch(train: Tensor, sampler: Negatives, *, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
    """The batches of one epoch.

    Args:
        train: (n, 2) int64 user, item.
        sampler: draws the negatives: what the generator gives is that of the whole epoch at once.
        batch_size: triples a batch; the last may be smaller.
        generator: source of randomness for order and negatives.
    """
    shuffled = train.index_select(0, torch.randperm(len(train), generator=generator))
    users, positives = shuffled.unbind(1)
    drawn = sampler.sample(users, part=batch_size, generator=generator)
    for rows in zip(torch.split(users, batch_size), torch.split(positives, batch_size), drawn, strict=True):
        yield Batch(*rows)


def _places(keys: Tensor, n: int) -> Tensor:
    """Where keys fall in a table of n marks, a power of 2. Products run over the end of 64 bits, as hashing has them do."""
    return (keys * SPREAD >> 20) & (n - 1)
