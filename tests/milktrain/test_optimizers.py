"""The optimizer that moves rows, against torch's own for sparse gradients and against Adam."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from milktrain.optimizers import RowAdam

N_ROWS, WIDTH = 7, 3


def _moved(optimizer, steps, *, sparse=True):
    """The table after steps over the given rows; a row's pull depends on where it is and on the step."""
    table = nn.Embedding(N_ROWS, WIDTH, sparse=sparse, _weight=torch.linspace(-1, 1, N_ROWS * WIDTH).view(N_ROWS, WIDTH).clone())
    how = optimizer([table.weight], lr=0.05)
    for number, rows in enumerate(steps):
        how.zero_grad()
        (table(torch.tensor(rows)) * (number + 1)).sin().sum().backward()
        how.step()
    return table.weight.detach()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=9), min_size=1, max_size=6))
def test_rows_move_as_torchs_own_optimizer_for_sparse_gradients_moves_them(steps):
    torch.testing.assert_close(_moved(RowAdam, steps), _moved(torch.optim.SparseAdam, steps), rtol=1e-5, atol=1e-6)


def test_where_every_row_is_in_every_step_it_is_adam():
    steps = [list(range(N_ROWS))] * 5
    torch.testing.assert_close(_moved(RowAdam, steps), _moved(torch.optim.Adam, steps, sparse=False), rtol=1e-5, atol=1e-6)


def test_a_row_without_gradient_stays_where_it_is():
    steps = [[0, 1], [1, 2], [2, 2]]
    table = _moved(RowAdam, steps)
    assert torch.equal(table[3:], _moved(RowAdam, [])[3:])
    assert not torch.equal(table[:3], _moved(RowAdam, [])[:3])


def test_its_state_is_put_back_to_go_on_alike():
    table = nn.Parameter(torch.ones(4, 2))

    def pull(how):
        table.grad = torch.zeros(4, 2).index_fill_(0, torch.tensor([1]), 2.0).to_sparse(1)
        how.step()
        return table.detach().clone()

    first = RowAdam([table], lr=0.1)
    pull(first)
    state, place = first.state_dict(), table.detach().clone()
    onwards = pull(first)
    again = RowAdam([table], lr=0.1)
    again.load_state_dict(state)
    with torch.no_grad():
        table.copy_(place)
    assert torch.equal(pull(again), onwards)
    assert onwards[1, 0].item() == pytest.approx(1 - 2 * 0.1, abs=1e-6)  # Adam's first steps have the length of the learning rate
