"""Tests of paired differences against hand-worked values and scipy; Holm's correction; intervals from draws of users."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from milktrain.comparing import bootstrap
from milktrain.comparing.significance import holm, paired_t, signed_ranks

P = st.one_of(st.none(), st.floats(0, 1))


def test_paired_t_of_three_pairs_is_what_the_t_distribution_of_two_degrees_says():
    # Mean .2, deviation .1, t = .2 / (.1 / sqrt 3) = sqrt 12; with two degrees of freedom p = 1 - t / sqrt(t^2 + 2).
    assert paired_t(np.array([0.1, 0.2, 0.3])) == pytest.approx(1 - math.sqrt(12) / math.sqrt(14))


def test_signed_ranks_of_four_pairs_count_the_signs_that_are_as_extreme():
    # Ranks of the negative sum to 4; of the 16 signs 7 have a sum of at most 4: {}, 1, 2, 3, 4, 1+2, 1+3. Twice that.
    assert signed_ranks(np.array([0.1, 0.2, 0.3, -0.4])) == pytest.approx(14 / 16)


def test_signed_ranks_drop_pairs_without_a_difference():
    assert signed_ranks(np.array([0.1, 0, 0.2, 0.3, 0, -0.4])) == pytest.approx(14 / 16)


def test_differences_that_single_precision_alone_tells_apart_are_ties():
    one, other = np.float32([0.6, 0.2, 0.7, 0.9]).astype(float), np.float32([0.4, 0.0, 0.5, 1.0]).astype(float)
    assert len(set(np.abs(one - other).tolist())) == 4
    assert signed_ranks(one - other) == pytest.approx(stats.wilcoxon([2, 2, 2, -1], method="asymptotic").pvalue)
    assert signed_ranks(np.float32([0.1, 0.2]).astype(float) - [0.1, 0.2]) == 1.0


def test_tests_are_those_of_scipy_on_arrays_with_ties_and_without():
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 40))
    assert paired_t(one - other) == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert signed_ranks(one - other) == pytest.approx(stats.wilcoxon(one, other, method="exact").pvalue, rel=1e-3)
    many, few = generator.integers(0, 5, size=(2, 500))
    assert paired_t((many - few).astype(float)) == pytest.approx(stats.ttest_rel(many, few).pvalue)
    assert signed_ranks((many - few).astype(float)) == pytest.approx(stats.wilcoxon(many, few, method="asymptotic").pvalue)


@pytest.mark.parametrize("test", [paired_t, signed_ranks])
def test_where_there_is_nothing_to_test_nothing_is_claimed(test):
    assert test(np.array([])) is None
    assert test(np.array([0.3])) is None
    assert test(np.zeros(5)) == 1.0


def test_a_difference_that_never_varies_is_certain():
    assert paired_t(np.array([0.25, 0.25])) == 0.0


def test_holm_of_four_tests_by_hand():
    # Ascending .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04, of which the last is raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(P, max_size=12))
def test_holm_lowers_nothing_keeps_the_order_and_leaves_out_what_was_not_tested(raw):
    corrected = holm(raw)
    pairs = sorted((p, q) for p, q in zip(raw, corrected, strict=True) if p is not None)
    assert [q is None for q in corrected] == [p is None for p in raw]
    assert all(p <= q <= 1 for p, q in pairs)
    assert [q for _, q in pairs] == sorted(q for _, q in pairs)
    assert holm([p for p in raw if p is not None]) == [q for q in corrected if q is not None]


@given(st.lists(P, max_size=8), st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_of_the_tests(raw, shuffled):
    order = list(range(len(raw)))
    shuffled.shuffle(order)
    corrected = holm(raw)
    assert holm([raw[at] for at in order]) == [corrected[at] for at in order]


def _drawn(series, *, resamples=2000, seed=0):
    return bootstrap.means(np.array(series, dtype=float), resamples=resamples, generator=np.random.default_rng(seed))


def test_means_of_three_users_drawn_again_are_spread_as_a_binomial():
    drawn = _drawn([[0], [0], [1]], resamples=20_000)[:, 0]
    found = [np.isclose(drawn, k / 3).mean() for k in range(4)]
    assert found == pytest.approx([8 / 27, 12 / 27, 6 / 27, 1 / 27], abs=0.01)


def test_an_interval_of_many_users_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(size=2000)
    low, high = bootstrap.interval(_drawn(values[:, None])[:, 0])
    half = 1.96 * values.std() / math.sqrt(2000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 10)


def test_every_series_is_averaged_over_the_same_draws():
    values = np.random.default_rng(2).normal(size=50)
    drawn = _drawn(np.stack([values, values + 0.25, -values], axis=1))
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(np.full(2000, 0.25))
    assert drawn[:, 2] == pytest.approx(-drawn[:, 0])


def test_a_series_is_averaged_over_the_users_it_has():
    drawn = _drawn([[1, 5], [2, np.nan], [3, 5]], resamples=500)
    assert set(np.round(drawn[~np.isnan(drawn[:, 1]), 1], 9)) == {5.0}
    assert np.isnan(drawn[:, 1]).any()  # nobody but the second was drawn
    assert bootstrap.interval(drawn[:, 1]) is None


def test_draws_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    values = np.random.default_rng(3).normal(size=(30, 2))
    whole = _drawn(values, resamples=100)
    monkeypatch.setattr(bootstrap, "CHUNK", 70)
    assert np.array_equal(_drawn(values, resamples=100), whole)


def _plainly(series, *, resamples, seed):
    """The same by the definition: users drawn one draw after the other, and averaged."""
    generator = np.random.default_rng(seed)
    draws = (series[generator.integers(len(series), size=len(series))] for _ in range(resamples))
    return np.stack([np.nanmean(drawn, axis=0) for drawn in draws])


@pytest.mark.parametrize("block", [7, 64, 1 << 15])
def test_means_by_blocks_of_users_are_spread_as_those_of_users_drawn_plainly(monkeypatch, block):
    monkeypatch.setattr(bootstrap, "BLOCK", block)
    generator = np.random.default_rng(4)
    series = np.stack([generator.exponential(size=200), (generator.random(200) < 0.1) * generator.random(200)], axis=1)
    series[:40, 0] = np.nan  # a series that lacks users of the first blocks
    ours, plain = _drawn(series, resamples=4000), _plainly(series, resamples=4000, seed=5)
    for at in range(2):
        assert stats.ks_2samp(ours[:, at], plain[:, at]).pvalue > 0.01
        assert bootstrap.interval(ours[:, at]) == pytest.approx(bootstrap.interval(plain[:, at]), rel=0.02)
    assert np.corrcoef(ours.T)[0, 1] == pytest.approx(np.corrcoef(plain.T)[0, 1], abs=0.06)


def test_every_draw_has_as_many_users_as_there_are_however_they_are_blocked(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK", 8)
    numbers = np.arange(20.0)[:, None]
    sums = _drawn(np.concatenate([numbers, np.ones((20, 1))], axis=1), resamples=50) * 20
    assert sums[:, 0] == pytest.approx(np.round(sums[:, 0]))
    assert sums[:, 1] == pytest.approx(np.full(50, 20.0))


def test_draws_by_blocks_depend_neither_on_how_many_are_held_nor_on_the_series_beside(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK", 8)
    values = np.random.default_rng(6).normal(size=(30, 2))
    whole = _drawn(values, resamples=60)
    assert _drawn(values[:, :1], resamples=60)[:, 0] == pytest.approx(whole[:, 0])
    monkeypatch.setattr(bootstrap, "CHUNK", 70)
    assert _drawn(values, resamples=60) == pytest.approx(whole)


def test_intervals_of_few_users_are_those_of_before():
    assert _drawn([[0.1], [0.7], [0.2], [0.9]], resamples=3)[:, 0] == pytest.approx([0.5, 0.25, 0.525])
