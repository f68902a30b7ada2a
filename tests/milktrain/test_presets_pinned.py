"""What the presets compute, pinned: five steps on forty made-up items, recorded before settings for other choices were there."""

import pytest
import torch

from milktrain import content, loop
from milktrain.config import load
from milktrain.models import milk
from milktrain.recommender import Batch, Task
from schemas.contracts import Modality

N_USERS, N_ITEMS, N_TRAIN = 20, 40, 30
PUBLISHED = [3.030076981, 3.218606949, 2.988512754, 3.137439966, 2.95556283, -1.899147749]
#: The total loss of each step, then the sum of three users' scores; `default` differs from `published` in who may be a negative alone.
TOTALS = {
    "default": PUBLISHED,
    "published": PUBLISHED,
    "paper": [18.535219193, 16.992082596, 15.825201988, 13.597107887, 12.176260948, -0.933407366],
}


def _content(settings):
    random = torch.Generator().manual_seed(0)
    available = torch.rand(N_ITEMS, 3, generator=random) < 0.7
    features = [torch.randn(N_ITEMS, 6 + m, generator=random) for m in range(3)]
    is_train = torch.arange(N_ITEMS) < N_TRAIN
    return content.prepare(features, available, is_train=is_train, modalities=list(Modality)[:3], config=settings)


@pytest.mark.parametrize("preset", ["default", "published", "paper"])
def test_a_preset_computes_what_it_always_did(preset):
    settings, generators = load(preset), loop.Generators.seeded(0)
    model = milk.build(Task(_content(settings), N_USERS, torch.zeros(0, 2, dtype=torch.int64)), settings, generator=generators.weights)
    optimizer, random, totals = loop.adam(model, learning_rate=0.01), torch.Generator().manual_seed(1), []
    for _ in range(5):
        batch = Batch(*(torch.randint(n, (16,), generator=random) for n in (N_USERS, N_TRAIN, N_ITEMS)))
        losses = model.losses(batch, generator=generators.environments)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        totals.append(losses.total.item())
    scores = model.ranker(torch.arange(N_ITEMS))(torch.arange(3)).sum().item()
    assert [*totals, scores] == pytest.approx(TOTALS[preset], rel=1e-5)
