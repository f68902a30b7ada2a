"""The gradient that is written out, against the one torch finds by itself for the same objective put together from its parts."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from milktrain import losses
from milktrain.models._objective import Terms, objective
from milktrain.models.milk import _distinct

N_USERS, DIM, N_BATCH = 6, 4, 9


def _problem(n_modalities, seed, **choices):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(8, (2 * N_BATCH,), generator=generator)
    items, place, counts = _distinct(ids, n=8)
    theta = torch.softmax(torch.randn(choices.pop("n_environments", 3), n_modalities, generator=generator, dtype=torch.double), dim=1)
    flags = torch.rand(2, len(items), n_modalities, generator=generator) < 0.6
    terms = Terms(
        torch.randint(N_USERS, (N_BATCH,), generator=generator), *place.chunk(2), counts.double(), *flags, theta,
        **{"averaged": False, "unbiased": True, "squared_norm": False, "beta": 3.0, "lam": 0.7, "reg": 0.05, "sparse": False} | choices,
    )  # fmt: skip
    table = torch.randn(N_USERS, DIM, generator=generator, dtype=torch.double)
    x = [torch.randn(len(items), 3 + m, generator=generator, dtype=torch.double) for m in range(n_modalities)]
    maps = [torch.randn(*shape, generator=generator, dtype=torch.double) for m in range(n_modalities) for shape in ((DIM, 3 + m), (DIM,))]
    shifts = torch.randn(n_modalities, DIM, generator=generator, dtype=torch.double)
    return table, x, maps, shifts, terms


def _by_parts(table, x, maps, shifts, terms):
    """The same value through the public parts of the objective, one row a triple."""
    c = torch.stack([matrix @ w.T + b for matrix, w, b in zip(x, maps[::2], maps[1::2], strict=True)], dim=1)
    if shifts is not None:
        c = c + terms.missing.double()[..., None] * shifts
    u, positive, negative = table[terms.users], c[terms.positive], c[terms.negative]
    bpr = losses.bpr(torch.einsum("bd,bmd,em->be", u, positive - negative, terms.theta))
    norm = sum(part.square().sum(dim=1) for part in (u, positive.mean(dim=1), negative.mean(dim=1))).mean()
    align = losses.alignment(c, terms.aligned, squared_norm=terms.squared_norm)
    spread = losses.variance(bpr, unbiased=terms.unbiased)
    return (bpr.mean() if terms.averaged else bpr.sum()) + terms.beta * spread + terms.lam * align + terms.reg * norm


def _gradients(how, table, x, maps, shifts, terms, *, factor=1.0):
    leaves = [tensor.clone().requires_grad_() for tensor in (table, *maps, *([] if shifts is None else [shifts]))]
    total = how(leaves[0], x, leaves[1 : 1 + len(maps)], None if shifts is None else leaves[-1], terms)
    total = total[0] if isinstance(total, tuple) else total
    (factor * total).backward()
    return [total.detach(), *(leaf.grad.to_dense() if leaf.grad.is_sparse else leaf.grad for leaf in leaves)]


@settings(max_examples=40, deadline=None)
@given(
    n_modalities=st.integers(1, 4), seed=st.integers(0, 10**6), averaged=st.booleans(), unbiased=st.booleans(), squared_norm=st.booleans(),
    n_environments=st.integers(1, 5), beta=st.sampled_from([0.0, 3.0]), lam=st.sampled_from([0.0, 0.7]), reg=st.sampled_from([0.0, 0.05]),
    sparse=st.booleans(), shifted=st.booleans(), factor=st.sampled_from([1.0, -2.5]),
)  # fmt: skip
def test_value_and_gradient_are_those_torch_finds(n_modalities, seed, shifted, factor, **choices):
    table, x, maps, shifts, terms = _problem(n_modalities, seed, **choices)
    problem = (table, x, maps, shifts if shifted else None, terms)
    for ours, theirs in zip(_gradients(objective, *problem, factor=factor), _gradients(_by_parts, *problem, factor=factor), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_a_wrong_weight_of_alignment_would_be_seen():
    table, x, maps, shifts, terms = _problem(3, 0)
    ours = _gradients(objective, table, x, maps, shifts, terms)
    wrong = _gradients(_by_parts, table, x, maps, shifts, dataclasses.replace(terms, lam=terms.lam * 1.001))
    assert not torch.allclose(ours[1 + 1], wrong[1 + 1], rtol=1e-9)


def test_the_parts_add_up_to_the_total():
    table, x, maps, shifts, terms = _problem(3, 1)
    total, parts = objective(table, x, maps, shifts, terms)
    added = parts["bpr"].sum() + 3.0 * parts["variance"] + 0.7 * parts["alignment"] + 0.05 * parts["regularisation"]
    assert total.item() == pytest.approx(added.item(), rel=1e-12)


def test_distinct_items_are_found_as_sorting_would():
    ids = torch.tensor([7, 2, 7, 0, 2, 2])
    for ours, theirs in zip(_distinct(ids, n=9), torch.unique(ids, return_inverse=True, return_counts=True), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
def test_a_gpu_finds_the_same_gradient():
    table, x, maps, shifts, terms = _problem(2, 2)
    moved = {name: value.cuda() for name in Terms.__slots__ if isinstance(value := getattr(terms, name), torch.Tensor)}
    there = (table.cuda(), [m.cuda() for m in x], [m.cuda() for m in maps], shifts.cuda(), dataclasses.replace(terms, **moved))
    for ours, theirs in zip(_gradients(objective, *there), _gradients(_by_parts, table, x, maps, shifts, terms), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-9, atol=1e-11)
