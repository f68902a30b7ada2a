"""The parts of the objective, against values worked by hand."""

import math

import pytest
import torch

from milktrain import losses


def test_bpr_of_a_gap_of_log_three_is_log_four_thirds():
    gap = torch.full((5, 2), math.log(3))
    torch.testing.assert_close(losses.bpr(gap), torch.full((2,), math.log(4 / 3)))


def test_bpr_stays_finite_where_a_naive_logarithm_would_not():
    assert losses.bpr(torch.tensor([[-200.0]])).item() == pytest.approx(200.0)


def test_alignment_sums_over_pairs_of_three_modalities():
    c = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]]])  # pairs differ by 1, 3 and 2 in both axes
    everything = torch.ones(1, 3, dtype=torch.bool)
    assert losses.alignment(c, everything).item() == 1 + 9 + 4
    assert losses.alignment(c, everything, squared_norm=True).item() == 2 * (1 + 9 + 4)


def test_alignment_averages_over_the_items_that_have_both():
    c = torch.tensor([[[0.0], [2.0]], [[0.0], [4.0]], [[0.0], [100.0]]])
    available = torch.tensor([[True, True], [True, True], [True, False]])
    assert losses.alignment(c, available).item() == (4 + 16) / 2


def test_an_imputed_modality_receives_no_gradient_from_alignment():
    c = torch.tensor([[[1.0], [5.0]], [[2.0], [3.0]]], requires_grad=True)
    losses.alignment(c, torch.tensor([[True, False], [True, True]])).backward()
    assert c.grad[0].abs().sum() == 0
    assert c.grad[1].abs().sum() > 0


def test_the_two_variances_differ_by_their_divisor():
    found = torch.tensor([1.0, 2.0, 6.0])  # squared deviations 4, 1, 9
    assert losses.variance(found, unbiased=True).item() == 7.0
    assert losses.variance(found, unbiased=False).item() == pytest.approx(14 / 3)
