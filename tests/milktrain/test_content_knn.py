"""Content neighbours against cosines worked out user by user."""

import pytest
import torch

from milktrain.models import content_knn
from milktrain.models.content_knn import ContentKnn, Settings
from milktrain.recommender import Content

#: Unit vectors at angles in degrees, of items 0 to 4 in training, and of 5 and 6, which are new.
ANGLES = torch.tensor([0.0, 60.0, 90.0, 180.0, 270.0, 30.0, 120.0])
TRAIN = torch.tensor([[0, 0], [0, 1], [0, 3], [2, 2]])  # user 1 has nothing
NEW = torch.tensor([5, 6])


def _model(train=TRAIN, angles=ANGLES, **own):
    radians = torch.deg2rad(angles)
    parts = radians.cos()[:, None] * 3, radians.sin()[:, None] * 3  # two modalities of width 1; length counts for nothing
    is_train = torch.arange(len(angles)) < len(angles) - 2
    return ContentKnn(Content(parts, torch.ones(len(angles), 2, dtype=torch.bool), is_train), train, n_users=3, own=Settings(**own))


def _cosine(a, b):
    return torch.cos(torch.deg2rad(torch.tensor(float(a) - float(b)))).item()


def test_a_profile_is_the_mean_of_what_the_user_has():
    found = _model().ranker(NEW)(torch.tensor([0, 1, 2]))
    # Items at 0, 60 and 180 degrees add up to a vector at 60 degrees.
    assert found[0].tolist() == pytest.approx([_cosine(60, 30), _cosine(60, 120)], abs=1e-6)
    assert found[1].tolist() == [0, 0]
    assert found[2].tolist() == pytest.approx([_cosine(90, 30), _cosine(90, 120)], abs=1e-6)


def test_nearest_is_the_mean_over_those_of_the_users_items_most_like_the_candidate():
    found = _model(likeness="nearest", n_nearest=2).ranker(NEW)(torch.tensor([2, 1, 0]))
    assert found[2].tolist() == pytest.approx([(_cosine(0, 30) + _cosine(60, 30)) / 2, (_cosine(60, 120) + _cosine(180, 120)) / 2], abs=1e-6)
    assert found[1].tolist() == [0, 0]
    assert found[0].tolist() == pytest.approx([_cosine(90, 30), _cosine(90, 120)], abs=1e-6)  # one item is all that this user has


@pytest.mark.parametrize("likeness", ["profile", "nearest"])
def test_blocks_change_no_score(monkeypatch, likeness):
    generator = torch.Generator().manual_seed(0)
    train = (torch.rand(3, 40, generator=generator) < torch.tensor([[0.8], [0.1], [0.4]])).nonzero()
    model = _model(train, torch.rand(42, generator=generator) * 360, likeness=likeness, n_nearest=3)
    users, items = torch.tensor([2, 0, 1, 2]), torch.arange(42)
    whole = model.ranker(items)(users)
    for cells in (1, 50, 300):
        monkeypatch.setattr(content_knn, "CELLS", cells)
        torch.testing.assert_close(model.ranker(items)(users), whole, rtol=1e-6, atol=1e-6)


def test_the_nearest_of_one_are_the_best_cosine_written_out():
    generator = torch.Generator().manual_seed(1)
    train = (torch.rand(3, 40, generator=generator) < 0.3).nonzero()
    angles = torch.rand(42, generator=generator) * 360
    found = _model(train, angles, likeness="nearest", n_nearest=1).ranker(torch.arange(42))(torch.arange(3))
    for user in range(3):
        mine = train[train[:, 0] == user, 1]
        expected = torch.deg2rad(angles[mine, None] - angles).cos().amax(dim=0)
        torch.testing.assert_close(found[user], expected, rtol=0, atol=1e-5)
