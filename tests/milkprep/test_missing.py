"""Simulated loss of one modality."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milkprep.splitting import missing
from schemas.errors import DataError

masks = hnp.arrays(bool, st.tuples(st.integers(0, 40), st.integers(1, 4)))


@given(present=masks, rate=st.floats(0, 1), seed=st.integers(0, 1000))
def test_each_item_loses_at_most_one_it_had_and_keeps_one(present, rate, seed):
    lost = missing.lose_one(present, rate=rate, generator=np.random.default_rng(seed))
    assert not (lost & ~present).any()
    assert (lost.sum(axis=1) <= 1).all()
    assert ((present & ~lost).any(axis=1) == present.any(axis=1)).all()
    able = (present.sum(axis=1) >= 2).sum()
    assert lost.sum() == np.floor(rate * able + 0.5)


def test_items_and_modalities_are_lost_evenly():
    present = np.ones((30_000, 3), dtype=bool)
    lost = missing.lose_one(present, rate=0.5, generator=np.random.default_rng(0))
    assert np.abs(lost.sum(axis=0) / 15_000 - 1 / 3).max() < 0.02  # 5 standard deviations
    assert abs(lost[:15_000].sum() / 7_500 - 1) < 0.05


def test_only_modalities_an_item_has_can_be_lost():
    present = np.tile([True, False, True], (100, 1))
    lost = missing.lose_one(present, rate=1.0, generator=np.random.default_rng(0))
    assert lost.sum() == 100
    assert not lost[:, 1].any()
    assert lost[:, 0].any()
    assert lost[:, 2].any()


def keeps_the_promises(present, lost):
    assert not (lost & ~present).any()
    assert ((present & ~lost).any(axis=1) == present.any(axis=1)).all()


@given(present=masks, cuts=st.lists(st.floats(0, 1), min_size=3, max_size=3), seed=st.integers(0, 1000))
def test_levels_are_exact_where_items_have_enough_and_as_many_as_possible_elsewhere(present, cuts, seed):
    ends = [0.0, *sorted(cuts), 1.0]
    shares = [b - a for a, b in pairwise(ends)][: present.shape[1]]
    shares[0] += 1 - sum(shares)
    lost = missing.lose_levels(present, shares=shares, generator=np.random.default_rng(seed))
    keeps_the_promises(present, lost)
    wanted, got = missing.counts(shares, len(present)), np.bincount(lost.sum(axis=1), minlength=len(shares)).tolist()
    for level in range(1, len(shares)):  # at least so much: as many as want it, or as have enough
        assert sum(got[level:]) == min(sum(wanted[level:]), (present.sum(axis=1) > level).sum())


@given(shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=4), n=st.integers(0, 10_000))
def test_counts_sum_up_and_are_less_than_one_from_their_shares(shares, n):
    shares = [share / sum(shares) for share in shares]
    found = missing.counts(shares, n)
    assert sum(found) == n
    assert all(abs(count - share * n) < 1 + 1e-9 for count, share in zip(found, shares, strict=True))


def can_be_lost(present, wanted):
    """Whether a flow of these numbers exists, by its smallest cut: a set of modalities cannot lose more than its items can."""
    several = present[present.sum(axis=1) >= 2]
    for size in range(1, len(wanted) + 1):
        for some in combinations(range(len(wanted)), size):
            room = np.minimum(several[:, some].sum(axis=1), several.sum(axis=1) - 1).sum()
            if sum(wanted[m] for m in some) > room:
                return False
    return True


@given(present=masks, shares=st.lists(st.sampled_from([0, 0.3, 0.5, 0.66, 0.9, 1]), min_size=4, max_size=4), seed=st.integers(0, 1000))
def test_shares_are_exact_for_each_modality_or_refused_where_no_draw_could_be(present, shares, seed):
    shares = shares[: present.shape[1]]
    several = present.sum(axis=1) >= 2
    wanted = [int(np.floor(share * (present[:, m] & several).sum() + 0.5)) for m, share in enumerate(shares)]
    if not can_be_lost(present, wanted):
        with pytest.raises(DataError, match="an item keeps one"):
            missing.lose_shares(present, shares=shares, generator=np.random.default_rng(seed))
        return
    lost = missing.lose_shares(present, shares=shares, generator=np.random.default_rng(seed))
    keeps_the_promises(present, lost)
    assert lost.sum(axis=0).tolist() == wanted


def test_the_chance_of_the_first_draw_is_proportional_to_the_weight():
    generator, able = np.random.default_rng(0), np.arange(3)
    first = [int(missing.chosen(able, 1, generator=generator, weights=np.array([1.0, 2.0, 3.0]))[0]) for _ in range(3000)]
    assert np.abs(np.bincount(first) / 3000 - np.array([1, 2, 3]) / 6).max() < 0.04  # 4 standard deviations
