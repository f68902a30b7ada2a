"""Negatives and epochs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from milktrain import sampling
from schemas.errors import BadValue


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_a_negative_is_a_candidate_that_the_user_does_not_have(seed, n):
    generator = _generator(seed)
    train = torch.stack([torch.randint(5, (n,), generator=generator), torch.randint(12, (n,), generator=generator)], dim=1).unique(dim=0)
    candidates = torch.randperm(12, generator=generator)[:7]
    train = train[sampling.can_have_negative(train, candidates=candidates, n_items=12)]
    if not len(train):
        return
    drawn = sampling.negatives(train, candidates=candidates, n_items=12).sample(train[:, 0], part=n, generator=generator)
    (drawn,) = drawn
    have = set(map(tuple, train.tolist()))
    assert set(drawn.tolist()) <= set(candidates.tolist())
    assert not have & set(zip(train[:, 0].tolist(), drawn.tolist(), strict=True))


def _plainly(users, train, *, generator):
    """All at once, and again for those that the user has, until there are none."""
    have = set(map(tuple, train.tolist()))
    drawn = torch.randint(30, (len(users),), generator=generator)
    while wrong := [row for row, pair in enumerate(zip(users.tolist(), drawn.tolist(), strict=True)) if pair in have]:
        drawn[wrong] = torch.randint(30, (len(wrong),), generator=generator)
    return drawn


@pytest.mark.parametrize(("each", "part", "rows"), [(5, 7, 1 << 20), (5, 7, 64), (1, 1000, 33), (3, 1, 2)])
def test_what_is_drawn_in_parts_is_what_is_drawn_at_once_number_for_number(monkeypatch, each, part, rows):
    monkeypatch.setattr(sampling, "ROWS_PER_CHUNK", rows)
    train = (torch.rand(40, 30, generator=_generator(3)) < 0.6).nonzero()
    sampler = sampling.negatives(train, candidates=torch.arange(30), n_items=30)
    users = train[torch.randperm(len(train), generator=_generator(1)), 0]
    one, other = _generator(5), _generator(5)
    whole = _plainly(users.repeat_interleave(each), train, generator=one)
    parts = sampler.sample(users, each=each, part=part, generator=other)
    assert torch.equal(one.get_state(), other.get_state())  # before any part is asked for
    torch.rand(3, generator=other)  # what is drawn in between is no matter
    found = list(parts)
    assert {len(each_part) for each_part in found[:-1]} <= {part * each}
    assert torch.equal(torch.cat(found), whole)


def test_negatives_are_uniform_over_what_is_left():
    train = torch.tensor([[0, 0], [0, 1]])
    sampler = sampling.negatives(train, candidates=torch.arange(6), n_items=6)
    drawn = torch.cat(list(sampler.sample(torch.zeros(40_000, dtype=torch.int64), part=999, generator=_generator())))
    counts = torch.bincount(drawn, minlength=6)
    assert counts[:2].tolist() == [0, 0]
    assert (counts[2:] / 40_000 - 0.25).abs().max() < 0.01  # 4.6 standard deviations


def test_a_user_who_has_every_candidate_can_have_no_negative():
    train = torch.tensor([[0, 0], [0, 1], [1, 0]])
    assert sampling.can_have_negative(train, candidates=torch.tensor([0, 1]), n_items=3).tolist() == [False, False, True]


def test_an_epoch_visits_every_interaction_once_in_an_order_of_its_own():
    train = torch.cartesian_prod(torch.arange(10), torch.arange(5))
    sampler = sampling.negatives(train, candidates=torch.arange(5, 20), n_items=20)
    generator = _generator()
    first, second = (list(sampling.epoch(train, sampler, batch_size=16, generator=generator)) for _ in range(2))
    assert [len(batch.users) for batch in first] == [16, 16, 16, 2]
    for batches in (first, second):
        seen = sorted((u, i) for b in batches for u, i in zip(b.users.tolist(), b.positives.tolist(), strict=True))
        assert seen == sorted(map(tuple, train.tolist()))
    assert first[0].positives.tolist() != second[0].positives.tolist()


def test_nothing_to_train_on_is_refused():
    with pytest.raises(BadValue, match="Training needs interactions"):
        sampling.negatives(torch.empty(0, 2, dtype=torch.int64), candidates=torch.arange(3), n_items=3)


def test_marks_leave_out_no_pair_and_the_exact_look_no_stranger(monkeypatch):
    """A hundred users, half of all pairs: with chunks of 64 rows and marks that nearly all collide, what is found is what a set finds."""
    monkeypatch.setattr(sampling, "ROWS_PER_CHUNK", 64)
    generator = torch.Generator().manual_seed(3)
    train = (torch.rand(100, 40, generator=generator) < 0.5).nonzero()
    pairs = set(map(tuple, train.tolist()))
    asked = torch.cartesian_prod(torch.arange(100), torch.arange(40))
    expected = [row for row, pair in enumerate(asked.tolist()) if tuple(pair) in pairs]
    for each in (8, 1):
        monkeypatch.setattr(sampling, "MARKS_EACH", each)
        sampler = sampling.negatives(train, candidates=torch.arange(40), n_items=40)
        assert sampler._seen_rows(*asked.unbind(1)).tolist() == expected
    assert len(sampler.marks) == 2048
    assert not sampler._seen_rows(asked[:0, 0], asked[:0, 1]).tolist()


def test_keys_beyond_two_to_the_forty_are_told_apart():
    train = torch.tensor([[3_000_000, 5], [2_999_999, 7]])
    sampler = sampling.negatives(train, candidates=torch.arange(10), n_items=900_000)
    assert sampler._seen_rows(torch.tensor([3_000_000, 3_000_000, 2_999_999]), torch.tensor([5, 7, 7])).tolist() == [0, 2]
