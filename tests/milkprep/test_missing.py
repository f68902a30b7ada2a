"""Simulated loss of one modality."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milkprep.splitting import missing

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
