"""What a batch counts is said of every model that learns; a setting that is without use beside another is refused."""

import pytest
import small_tasks
import torch

from milktrain import config, listing, model_settings
from milktrain.model_settings import FLOORS, MODELS
from milktrain.sweeping import settings_file
from schemas import plugins
from schemas.errors import BadValue

LEARNING = [name for name in plugins.names(MODELS) if name not in FLOORS]


@pytest.mark.parametrize("name", LEARNING)
def test_a_batch_holds_batch_size_of_what_the_model_says_it_counts(name):
    given, chosen = small_tasks.task(name), small_tasks.settings(name, batch_size="5")
    batch = next(iter(small_tasks.batches(small_tasks.build(name, given), given, chosen, torch.Generator().manual_seed(0)).drawn))
    told = {each.name: each.meaning for each in listing.settings(name)}["batch_size"]
    assert told == f"in a step: {model_settings.step(name)}"
    kind = next(kind for kind in ("users", "training items", "training interactions") if told.startswith(f"in a step: {kind}"))
    n_users, n_positives = len(batch.users), len(batch.positives)
    counted = {"users": n_users == 5 != n_positives, "training items": (n_users, n_positives) == (0, 5)}
    assert counted.get(kind, n_users == n_positives == 5)


def test_a_setting_without_use_beside_another_is_refused_and_not_written_down():
    with pytest.raises(BadValue, match="negatives: ccfcrec has no use for it with ranked users"):
        config.load(model="ccfcrec", changes={"negatives": "train"})
    chosen = config.load(model="ccfcrec", changes={"negatives": "all", "ranked": "items"})
    assert chosen.negatives == "all"
    assert "negatives" in settings_file.as_toml(chosen, searched={}, model="ccfcrec", remarks=())
    assert "negatives" not in settings_file.as_toml(config.load(model="ccfcrec"), searched={}, model="ccfcrec", remarks=())
