"""CCFCRec's contrasts and rankings against ones written out, and its draws by what they may draw."""

import math

import numpy as np
import pytest
import small_tasks
import torch

from milktrain.models import ccfcrec
from milktrain.models._histories import Histories
from milktrain.models._layers import TrainingItems
from milktrain.models.ccfcrec import CoOccurring
from milktrain.recommender import Batch, Content, Task

#: Items 0, 1, 2 with user 0, and 2, 3 with user 1; item 4 with user 2, who has nothing else; items 5 and 6 are new.
TRAIN = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 2], [1, 3], [2, 4]])
IS_TRAIN = torch.arange(7) < 5


def _known(train=TRAIN):
    return Histories(train, TrainingItems(IS_TRAIN, train), n_users=3, device=torch.device("cpu"))


def test_what_occurs_with_an_item_is_another_item_of_one_of_its_users():
    drawn, there = CoOccurring(_known()).draw(torch.arange(5), 300, generator=np.random.default_rng(0))
    assert there.tolist() == [True, True, True, True, False]
    assert [set(row.tolist()) for row in drawn[:4]] == [{1, 2}, {0, 2}, {0, 1, 3}, {2}]
    # Of item 2: the user is drawn first, so item 3 is a half and the others a quarter each.
    assert torch.bincount(drawn[2], minlength=4).tolist() == pytest.approx([75, 75, 0, 150], abs=30)


def test_where_nothing_occurs_with_anything_nothing_is_there():
    _, there = CoOccurring(_known(torch.tensor([[0, 0], [1, 2]]))).draw(torch.tensor([0, 1]), 3, generator=np.random.default_rng(0))
    assert not there.any()


def _tiny(**changes):
    features = (torch.randn(7, 4, generator=torch.Generator().manual_seed(0)),)
    task = Task(Content(features, torch.ones(7, 1, dtype=torch.bool), IS_TRAIN), 3, TRAIN)
    return small_tasks.build("ccfcrec", task, **changes)


def test_a_user_who_has_not_is_drawn_for_an_item_and_left_out_if_everybody_has():
    model = _tiny()
    rows = torch.tensor([2] * 50 + [4] * 50)
    users, usable = model._who_has_not(rows, np.random.default_rng(0))
    assert usable.all()
    assert set(users[:50].tolist()) == {2}
    assert set(users[50:].tolist()) == {0, 1}
    model.active = torch.tensor([0, 1])  # who both have item 2
    assert not model._who_has_not(rows[:50], np.random.default_rng(0))[1].any()


def test_the_loss_is_the_one_written_out():
    """Item 3 of user 1: item 2 alone occurs with it; items 0, 1, 4 are others; user 2 is made the only one who has not."""
    reg, weight, t, n = 0.1, 0.7, 0.5, 2000
    model = _tiny(
        reg=str(reg), contrast_weight=str(weight), temperature=str(t), n_others=str(n), n_self_others=str(n), n_co_occurring="2"
    )  # fmt: skip
    model.active = torch.tensor([2])
    with torch.no_grad():
        q, ids, users = model.encode(torch.tensor([3]))[0], model.ids.weight.clone(), model.users.weight.clone()
    near = [math.exp(torch.cosine_similarity(q, ids[row], dim=0).item() / t) for row in range(5)]
    # A pool of 5 items, of which 2 are the user's and drop out: n draws have each of the 3 others n / 5 times.
    others = n / 5 * (near[0] + near[1] + near[4])
    contrast, self_contrast = (-math.log(near[row] / (near[row] + others)) for row in (2, 3))
    by_ids, by_content = (math.log1p(math.exp(((users[2] - users[1]) @ item).item())) for item in (ids[3], q))
    norm = sum(each.square().sum().item() for each in (users[1], users[2], ids[3], q))
    found = model.losses(Batch(*torch.tensor([[1], [3], [0]])), generator=np.random.default_rng(0))
    parts = {"contrast": contrast, "self_contrast": self_contrast, "by_ids": by_ids, "by_content": by_content, "regularisation": norm}
    assert {name: part.item() for name, part in found.parts.items()} == pytest.approx(parts, rel=1e-2)
    total = weight * (found.parts["contrast"] + found.parts["self_contrast"]) + (1 - weight) * (by_ids + by_content) + reg * norm
    assert found.total.item() == pytest.approx(total.item(), rel=1e-5)


def test_items_can_be_ranked_for_a_user_as_elsewhere_by_the_negatives_of_the_batch():
    model = _tiny(ranked="items", reg="0.1")
    found = model.losses(Batch(*torch.tensor([[1], [3], [0]])), generator=np.random.default_rng(0)).parts
    with torch.no_grad():
        u, ids, q = model.users.weight[1], model.ids.weight, model.encode(torch.tensor([3, 0]))
    by_ids, by_content = (math.log1p(math.exp((u @ gap).item())) for gap in (ids[0] - ids[3], q[1] - q[0]))
    assert (found["by_ids"].item(), found["by_content"].item()) == pytest.approx((by_ids, by_content), rel=1e-5)
    assert found["regularisation"].item() == pytest.approx(sum(each.square().sum().item() for each in (u, ids[0], ids[3], *q)), rel=1e-5)


def test_losses_are_summed_over_the_batch_so_that_decay_weighs_as_published():
    model = _tiny(n_co_occurring="1", n_others="1")
    triple = torch.tensor([[2], [4], [0]])  # nothing occurs with it
    one, many = (model.losses(Batch(*triple.expand(3, n)), generator=np.random.default_rng(0)) for n in (1, 6))
    assert one.parts["contrast"].item() == many.parts["contrast"].item() == 0
    by_parts = 0.5 * (many.parts["self_contrast"] + many.parts["by_ids"] + many.parts["by_content"])
    assert many.total.item() == pytest.approx(6 * by_parts.item(), rel=1e-5)


def test_adam_decays_all_weights():
    model = _tiny(weight_decay="0.4")
    (adam,) = model.optimizers(learning_rate=0.02)
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.param_groups[0]["weight_decay"], adam.param_groups[0]["lr"]) == (0.4, 0.02)
    assert len(adam.param_groups[0]["params"]) == len(list(model.parameters()))


def test_others_that_the_user_has_weigh_nothing():
    cosines = torch.tensor([[-torch.inf, 0.0]])
    found = ccfcrec._drawn_cross_entropy(torch.zeros(1, 1), cosines, 1, np.random.default_rng(1), temperature=1.0)
    assert found.item() in (0.0, pytest.approx(math.log(2)))
