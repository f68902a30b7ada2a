"""VBPR's score and loss against ones written out with loops."""

import math

import numpy as np
import pytest
import small_tasks
import torch

from milktrain.recommender import Batch

REG = 0.3


@pytest.fixture
def given():
    return small_tasks.task("vbpr")


@pytest.fixture
def model(given):
    built = small_tasks.build("vbpr", given, reg=str(REG))
    torch.nn.init.normal_(built.biases.weight, generator=torch.Generator().manual_seed(3))
    torch.nn.init.normal_(built.ids.weight, generator=torch.Generator().manual_seed(4))
    return built


def _score(model, given, user, item):
    content = torch.cat([matrix[item] for matrix in given.content.features]).double()
    own = model.users.weight[user].double()
    visual = own[3:] @ (model.to_users.weight.double() @ content) + model.to_bias.weight[0].double() @ content
    if item >= small_tasks.N_TRAIN:
        return visual
    return visual + own[:3] @ model.ids.weight[item].double() + model.biases.weight[item, 0].double()


def test_a_score_adds_ids_content_and_what_an_item_has_for_everybody_and_a_new_item_has_content_alone(given, model):
    found = small_tasks.scores(model)
    for user, item in ((0, 0), (7, 42), (7, 43), (28, 70)):
        assert found[user, item].item() == pytest.approx(_score(model, given, user, item).item(), abs=1e-6)


def test_the_loss_is_that_of_the_gaps_and_of_lengths_without_the_maps_of_content(given, model):
    triples = [(0, 0, 1), (5, 2, 40), (5, 9, 12)]
    total = 0.0
    for user, positive, negative in triples:
        gap = (_score(model, given, user, positive) - _score(model, given, user, negative)).item()
        own = [model.users.weight[user], *(table.weight[item] for item in (positive, negative) for table in (model.ids, model.biases))]
        total += math.log1p(math.exp(-gap)) + REG * sum(each.double().square().sum().item() for each in own)
    found = model.losses(Batch(*torch.tensor(triples).unbind(1)), generator=np.random.default_rng(0))
    assert found.total.item() == pytest.approx(total / 3, rel=1e-5)
