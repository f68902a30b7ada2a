"""MTPR's four losses against ones written out with loops, and its two optimizers."""

import itertools
import math

import numpy as np
import pytest
import small_tasks
import torch

from milktrain.recommender import Batch

REG = 0.3


@pytest.fixture
def given():
    return small_tasks.task("mtpr")


@pytest.fixture
def model(given):
    built = small_tasks.build("mtpr", given, reg=str(REG), map_decay="0.7")
    for number, parameter in enumerate(built.parameters()):
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(number))
    return built


def _score(model, given, user, item, *, normal):
    content = torch.cat([matrix[item] for matrix in given.content.features]).double()
    ids = model.ids.weight[item].double() if normal else torch.zeros(3, dtype=torch.float64)
    representation = torch.cat([ids, model.of_content.weight.double() @ content])
    return (model.of_users.weight.double() @ model.users.weight[user].double()) @ (model.of_items.weight.double() @ representation)


def test_the_loss_sums_over_the_batch_the_four_pairs_of_normal_and_counterfactual_items(given, model):
    triples = [(0, 0, 1), (5, 2, 40), (5, 9, 12)]
    total, apart = 0.0, {}
    for (user, positive, negative), first, second in itertools.product(triples, (True, False), (True, False)):
        gap = _score(model, given, user, positive, normal=first) - _score(model, given, user, negative, normal=second)
        apart[first, second] = apart.get((first, second), 0.0) + math.log1p(math.exp(-gap.item())) / 3
    for user, positive, negative in triples:
        total += REG * sum(each.square().sum().item() for each in (model.users.weight[user], model.ids.weight[positive], model.ids.weight[negative]))
    found = model.losses(Batch(*torch.tensor(triples).unbind(1)), generator=np.random.default_rng(0))
    assert found.parts["bpr"].tolist() == pytest.approx([apart[True, True], apart[True, False], apart[False, True], apart[False, False]], rel=1e-4)
    assert found.total.item() == pytest.approx(total + 3 * sum(apart.values()), rel=1e-5)


def test_a_training_item_is_ranked_with_its_id_and_a_new_one_without(given, model):
    found = small_tasks.scores(model)
    for user, item in ((0, 0), (7, 42), (7, 43), (28, 70)):
        expected = _score(model, given, user, item, normal=item < small_tasks.N_TRAIN).item()
        assert found[user, item].item() == pytest.approx(expected, abs=1e-5)


def test_ids_learn_by_adagrad_and_maps_by_adam_with_decay(model):
    first, second = model.optimizers(learning_rate=0.02)
    assert isinstance(first, torch.optim.Adagrad)
    assert isinstance(second, torch.optim.Adam)
    assert [id(each) for each in first.param_groups[0]["params"]] == [id(model.users.weight), id(model.ids.weight)]
    assert {id(each) for part in (first, second) for each in part.param_groups[0]["params"]} == {id(each) for each in model.parameters()}
    assert (first.param_groups[0]["weight_decay"], second.param_groups[0]["weight_decay"]) == (0, 0.7)
    assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"] == 0.02
