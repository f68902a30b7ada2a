"""CLCRec's contrasts against ones written out with loops."""

import math

import numpy as np
import pytest
import small_tasks
import torch

from milktrain.recommender import Batch

REG, T, WEIGHT = 0.3, 0.5, 0.7


@pytest.fixture
def given():
    return small_tasks.task("clcrec")


def _batch(given):
    users, items = given.train[[0, 40, 41]].unbind(1)
    return Batch(users, items, torch.zeros_like(items))  # its negatives are not looked at


def _model(given, **changes):
    # All training items are in the pool, so that a draw decides nothing.
    return small_tasks.build("clcrec", given, reg=str(REG), temperature=str(T), content_weight=str(WEIGHT), n_negatives="1000", **changes)


def _encoded(model, given, item):
    content = torch.cat([matrix[item] for matrix in given.content.features])
    hidden = model.inner.weight @ content + model.inner.bias
    return model.outer.weight @ torch.where(hidden > 0, hidden, 0.01 * hidden) + model.outer.bias


def _contrast(score, given, user, item):
    seen = set(map(tuple, given.train.tolist()))
    others = [other for other in range(small_tasks.N_TRAIN) if (user, other) not in seen and other != item]
    exponentials = [math.exp(score(other) / T) for other in [item, *others]]
    return -math.log(exponentials[0] / sum(exponentials))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_loss_is_that_of_two_softmaxes_over_the_item_and_what_the_user_has_not(given, share):
    model = _model(given, content_share=str(share))
    batch = _batch(given)
    triples = list(zip(batch.users.tolist(), batch.positives.tolist(), strict=True))
    ids, users = model.ids.weight.detach(), model.users.weight.detach()
    with torch.no_grad():
        encoded = [_encoded(model, given, item) for item in range(small_tasks.N_TRAIN)]

    def alike(item):
        return lambda other: torch.cosine_similarity(ids[item], encoded[other], dim=0).item()

    def liked(user):
        return lambda other: (users[user] @ (encoded[other] if share else ids[other])).item()

    by_content = sum(_contrast(alike(item), given, user, item) for user, item in triples) / 3
    by_users = sum(_contrast(liked(user), given, user, item) for user, item in triples) / 3
    found = model.losses(batch, generator=np.random.default_rng(0))
    assert found.parts["ids_content"].item() == pytest.approx(by_content, rel=1e-5)
    assert found.parts["users_items"].item() == pytest.approx(by_users, rel=1e-5)
    lengths = sum(ids[item].norm() + small_tasks.N_TRAIN * ids.norm(dim=1).mean() for _, item in triples) / 3 / (1 + small_tasks.N_TRAIN)
    length = (sum(users[user].norm() for user, _ in triples) / 3 + lengths) / 2
    assert found.total.item() == pytest.approx(WEIGHT * by_content + (1 - WEIGHT) * by_users + REG * length.item(), rel=1e-5)


def test_content_stands_for_an_id_in_about_the_share_of_the_pairs(given):
    """Ids score 0 and content 1 for everybody: what the softmax has of either shows in its loss."""
    model, batch = _model(given, content_share="0.5"), _batch(given)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.users.weight[:, 0] = 1
        model.ids.weight[:, 1] = 1
        model.outer.bias[0] = 10
    found = [model.losses(batch, generator=np.random.default_rng(seed)).parts["users_items"].item() for seed in range(40)]
    n_free = sum(1 for user in batch.users.tolist() for item in range(small_tasks.N_TRAIN) if [user, item] not in given.train.tolist()) / 3
    # With content the positive weighs e^20, and without it nothing; of the others about a half weigh as much.
    expected = (math.log(1 + n_free / 2) + math.log(n_free / 2) + 10 / T) / 2
    assert np.mean(found) == pytest.approx(expected, rel=0.15)


def test_a_training_item_lies_at_its_id_and_a_new_one_at_its_encoded_content(given):
    model = _model(given)
    with torch.no_grad():
        places = model.places(torch.tensor([3, 42, 43, 70]))
        torch.testing.assert_close(places[:2], model.ids.weight[[3, 42]])
        torch.testing.assert_close(places[2:], torch.stack([_encoded(model, given, item) for item in (43, 70)]))
