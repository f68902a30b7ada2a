"""Rankers of very many users and candidates: what each of them needs is there once, or in parts, and scores are the same."""

import weakref

import pytest
import small_tasks
import torch

from milktrain import config
from milktrain.models import content_knn

USERS = torch.arange(small_tasks.N_USERS)
PARTS = torch.arange(small_tasks.N_ITEMS).split(10)


def _scores(rankers):
    with torch.inference_mode():
        return torch.cat([ranker(USERS) for ranker in rankers], dim=1).clone()


def test_rankers_of_parts_of_the_candidates_share_one_propagation_of_all_users(monkeypatch):
    model, walks = small_tasks.build("micro", small_tasks.task("micro")).eval(), []
    real = model._walked
    monkeypatch.setattr(model, "_walked", lambda: walks.append(1) or real())
    with torch.inference_mode():
        rankers = [model.ranker(part) for part in PARTS]
    assert len(walks) == 1
    kept = weakref.ref(model._last_walk())
    before = _scores(rankers)
    torch.testing.assert_close(before, small_tasks.scores(model), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        model.users.weight.mul_(-1)
    after = small_tasks.scores(model)
    torch.testing.assert_close(after, small_tasks.scores(model), rtol=0, atol=0)
    assert not torch.allclose(after, before, atol=1e-4)  # of the weights as they are now
    assert torch.equal(_scores(rankers), before)  # of those they were made of
    assert kept() is not None
    del rankers
    assert kept() is None  # for as long as any of them is there


def test_a_ranker_shares_its_propagation_with_one_made_where_gradients_are_kept():
    model = small_tasks.build("micro", small_tasks.task("micro")).eval()
    with torch.inference_mode():
        kept = model.ranker(PARTS[0])
        whole = model.ranker(PARTS[1])(USERS).clone()
    found = model.ranker(PARTS[1])(USERS)
    assert not found.requires_grad
    assert torch.equal(found, whole)
    assert kept(USERS).shape == (len(USERS), len(PARTS[0]))


@pytest.mark.parametrize("likeness", ["profile", "nearest"])
def test_content_of_very_many_users_is_joined_in_parts(monkeypatch, likeness):
    given = small_tasks.task("content-knn")
    model = content_knn.build(given, config.load(model="content-knn", changes={"likeness": likeness}), generator=torch.Generator())
    whole, joined = _scores([model.ranker(part) for part in PARTS]), []
    rankers = [model.ranker(part) for part in PARTS]
    name = "_profiles" if likeness == "profile" else "places"
    real = getattr(model, name)
    monkeypatch.setattr(model, name, lambda rows: joined.append(len(rows)) or real(rows))
    monkeypatch.setattr(content_knn, "CELLS_OF_CONTENT", 5 * sum(small_tasks.WIDTHS))
    torch.testing.assert_close(_scores(rankers), whole, rtol=1e-5, atol=1e-6)
    assert max(joined) <= 5
