"""Environments of cyclic mixup."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from milktrain import environments
from schemas.errors import BadValue


def test_three_modalities_give_the_uniform_row_and_three_shifts():
    rows = environments.cyclic_mixup(torch.tensor([0.5, 0.3, 0.2]))
    expected = [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]]
    torch.testing.assert_close(rows, torch.tensor(expected))


@given(n=st.integers(2, 6), alpha=st.sampled_from([0.01, 0.1, 1.0, 100.0]), seed=st.integers(0, 1000))
def test_every_modality_carries_every_weight_once_over_the_shifts(n, alpha, seed):
    draw = environments.draw_weights(n, alpha=alpha, generator=np.random.default_rng(seed))
    rows = environments.cyclic_mixup(draw)
    assert torch.isfinite(rows).all()
    torch.testing.assert_close(rows.sum(1), torch.ones(n + 1))
    for column in rows[1:].T:
        torch.testing.assert_close(column.sort().values, draw.sort().values)


def test_a_small_alpha_lets_one_modality_dominate_and_a_large_one_none():
    def largest(alpha):
        generator = np.random.default_rng(0)
        return np.mean([environments.draw_weights(3, alpha=alpha, generator=generator).max().item() for _ in range(300)])

    assert largest(0.01) > 0.95
    assert largest(100) < 0.4


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(BadValue, match="must be above 0"):
        environments.draw_weights(2, alpha=alpha, generator=np.random.default_rng(0))
