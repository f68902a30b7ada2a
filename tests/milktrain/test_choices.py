"""Environments, modules left out, tokens, averages over what is there, and scalings: each on values worked by hand."""

import numpy as np
import pytest
import torch

from milktrain import environments, losses, preprocessing
from milktrain.config import load
from milktrain.models import _present, milk
from milktrain.recommender import Batch, Content, Task
from schemas.errors import BadValue

ALL = torch.ones(4, dtype=torch.bool)


def _model(available, **changes):
    random = torch.Generator().manual_seed(0)
    features = tuple(torch.randn(8, 3, generator=random) for _ in range(2))
    task = Task(Content(features, available, torch.ones(8, dtype=torch.bool)), 5, torch.zeros(0, 2, dtype=torch.int64))
    return milk.build(task, load(changes={"dim": "4"} | changes), generator=torch.Generator().manual_seed(1))


BATCH = Batch(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5]))
HOLES = torch.tensor([[True, True]] * 4 + [[True, False]] * 4)


@pytest.mark.parametrize(("strategy", "rows"), [("cyclic", 4), ("without_uniform", 3), ("independent", 4), ("fixed", 4)])
def test_environments_of_each_strategy_sum_to_one_and_the_uniform_one_is_first_but_where_left_out(strategy, rows):
    kept = torch.tensor([0.2, 0.3, 0.5])
    theta = environments.of_step(strategy, 3, alpha=1.0, generator=np.random.default_rng(0), kept=kept)
    assert theta.shape == (rows, 3)
    torch.testing.assert_close(theta.sum(dim=1), torch.ones(rows))
    assert torch.allclose(theta[0], torch.full((3,), 1 / 3)) == (strategy != "without_uniform")


def test_independent_draws_are_no_shifts_of_each_other_and_the_fixed_draw_is_the_kept_one():
    theta = environments.of_step("independent", 3, alpha=1.0, generator=np.random.default_rng(0))
    assert not torch.allclose(theta[1].sort().values, theta[2].sort().values)
    kept = torch.tensor([0.2, 0.3, 0.5])
    assert torch.equal(environments.of_step("fixed", 3, alpha=1.0, generator=np.random.default_rng(0), kept=kept)[1], kept)


def test_a_fixed_strategy_without_a_draw_is_refused():
    with pytest.raises(BadValue, match="no draw was kept"):
        environments.of_step("fixed", 3, alpha=1.0, generator=np.random.default_rng(0))


def test_the_variance_of_one_environment_is_zero():
    assert losses.variance(torch.tensor([3.0]), unbiased=True).item() == 0


def test_a_fixed_draw_is_part_of_the_state_and_leaves_the_weights_as_they_are():
    fixed, cyclic = _model(HOLES, environments="fixed"), _model(HOLES)
    assert set(fixed.state_dict()) - set(cyclic.state_dict()) == {"kept"}
    assert torch.equal(fixed.users.weight, cyclic.users.weight)


@pytest.mark.parametrize(("without", "n", "aligned"), [("nothing", 3, True), ("alignment", 3, False), ("invariance", 1, True), ("both", 1, False)])
def test_what_is_left_out_is_not_in_the_objective(without, n, aligned):
    parts = _model(HOLES, without=without).losses(BATCH, generator=np.random.default_rng(0)).parts
    assert parts["bpr"].shape == (n,)
    assert (parts["alignment"].item() > 0) == aligned
    assert (parts["variance"].item() > 0) == (n > 1)


def test_a_token_starts_as_the_row_that_fills_and_moves_missing_items_alone():
    token, mean = _model(HOLES, imputation="token"), _model(HOLES)
    items = torch.arange(8)
    assert torch.equal(token.embed(items), mean.embed(items))
    with torch.no_grad():
        token.tokens[1].fill_(1.0)
    moved = (token.embed(items) - mean.embed(items))[:, 1]
    assert torch.equal(moved[:4], torch.zeros(4, 4))
    torch.testing.assert_close(moved[4:], token.extractors[1].weight.sum(dim=1).expand(4, -1))


def test_an_average_over_what_is_there_ignores_what_is_not():
    model = _model(HOLES, imputation="average_present")
    found = model.ranker(torch.tensor([6]))(torch.tensor([0]))
    torch.testing.assert_close(found, (model.users.weight[0] @ model.embed(torch.tensor([6]))[0, 0]).view(1, 1))


def test_weights_are_scaled_to_what_is_there():
    c, u = torch.tensor([[[2.0], [9.0], [4.0]]]), torch.ones(1, 1)
    theta = torch.tensor([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    found = _present.scores(c, torch.tensor([[True, False, True]]), u, theta)
    torch.testing.assert_close(found, torch.tensor([[(0.2 * 2 + 0.3 * 4) / 0.5, 3.0]]))


def test_columns_are_standardised_by_observed_rows():
    found = preprocessing.standardise(torch.tensor([[1.0, 5.0], [3.0, 5.0], [9.0, 6.0]]), torch.tensor([True, True, False]))
    assert found.tolist() == [[-1, 0], [1, 0], [7, 1]]


def test_a_rotation_finds_the_axis_the_rows_lie_on():
    rows = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])
    found = preprocessing.rotate(rows, ALL, width=1)
    torch.testing.assert_close(found, torch.tensor([[-1.5], [-0.5], [0.5], [1.5]]) * 2**0.5)


def test_a_sketch_finds_the_axes_of_the_whole_covariance(monkeypatch):
    rows = torch.randn(200, 40, generator=torch.Generator().manual_seed(0)) * torch.logspace(1, -2, 40)
    observed = torch.ones(200, dtype=torch.bool)
    exact = preprocessing.rotate(rows.clone(), observed, width=5)
    monkeypatch.setattr(preprocessing, "EXACT_WIDTH", 8)
    torch.testing.assert_close(preprocessing.rotate(rows.clone(), observed, width=5), exact, rtol=1e-3, atol=1e-3)


def test_rows_are_scaled_to_length_one():
    scaled = preprocessing.normalise_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(scaled, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
