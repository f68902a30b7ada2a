"""What users have in training, looked up set-wise."""

import numpy as np
import pytest
import torch

from milktrain.models import _histories as histories
from milktrain.models._histories import Histories
from milktrain.models._layers import TrainingItems

#: Items 0, 2, 3, 5 are of training: rows 0, 1, 2, 3. User 2 has nothing.
IS_TRAIN = torch.tensor([True, False, True, True, False, True])
TRAIN = torch.tensor([[1, 5], [0, 3], [1, 0], [3, 2], [1, 3]])


@pytest.fixture
def known():
    return Histories(TRAIN, TrainingItems(IS_TRAIN, TRAIN), n_users=4, device=torch.device("cpu"))


def test_interactions_come_by_user_in_the_order_the_users_are_asked_for(known):
    owner, rows = known.of(torch.tensor([1, 2, 0, 1]))
    assert owner.tolist() == [0, 0, 0, 2, 3, 3, 3]
    assert rows.tolist() == [0, 2, 3, 2, 0, 2, 3]


def test_of_a_pool_that_is_taken_which_the_user_has(known):
    assert known.taken(torch.tensor([1, 3, 2]), torch.tensor([0, 1, 3])).tolist() == [[True, False, True], [False, True, False], [False] * 3]


def test_a_pair_is_found_where_it_was_seen_and_nowhere_else(known):
    expected = [[False, False, True, False], [True, False, True, True], [False] * 4, [False, True, False, False]]
    users, rows = torch.cartesian_prod(torch.arange(4), torch.arange(4)).unbind(1)
    assert known.has(users, rows).view(4, 4).tolist() == expected


def test_a_pool_is_of_distinct_rows_in_order_and_all_where_few_are_there():
    drawn = histories.pool(1000, 50, generator=np.random.default_rng(0), device=torch.device("cpu"))
    assert len(drawn) == 50
    assert (drawn.diff() > 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < 1000
    assert histories.pool(4, 50, generator=np.random.default_rng(0), device=torch.device("cpu")).tolist() == [0, 1, 2, 3]
