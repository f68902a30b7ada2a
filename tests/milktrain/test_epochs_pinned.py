"""What a seed draws and where training ends, pinned: recorded before training could be interrupted and before epochs were drawn in parts."""

import json

import planted
import pytest
import torch

from milkprep import splits
from milktrain import config, loop, recipe, sampling
from schemas import fingerprint
from schemas.contracts import Setting
from schemas.reporting import Silent

#: Epochs, the best of them, the mean loss of the first and of the last, and test NDCG@10.
ENDS = {
    "default": (40, 10, 2.833937644958496, 0.470597838362058, 0.5244554535106376),
    "published": (40, 20, 2.8350658416748047, 0.4042427788178126, 0.5237558517191145),
    "paper": (40, 10, 2.856803834438324, 0.16161539405584335, 0.5226491827655722),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("pinned") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def test_a_seed_draws_the_epochs_it_always_drew():
    random = torch.Generator().manual_seed(5)
    train = torch.stack([torch.randint(50, (3000,), generator=random), torch.randint(80, (3000,), generator=random)], dim=1).unique(dim=0)
    sampler = sampling.negatives(train, candidates=torch.arange(10, 120), n_items=120)
    generators = loop.Generators.seeded(7)
    drawn = [
        [batch.users.tolist(), batch.positives.tolist(), batch.negatives.tolist()]
        for _ in range(2)
        for batch in sampling.epoch(train, sampler, batch_size=512, generator=generators.triples)
    ]
    assert fingerprint.of_value(drawn) == "ac8cc63913459310bf504e4e010a65481e15c40802e000772bc60aae818f5fe8"
    assert generators.environments.random() == pytest.approx(0.6320442355695731, abs=1e-15)


@pytest.mark.parametrize("preset", ENDS)
def test_a_seed_ends_where_it_always_ended(path, tmp_path, preset):
    changes = {"max_epochs": "40", "batch_size": "128", "learning_rate": "0.01", "dim": "16", "beta": "1"}
    run = recipe.train(path, split="ftmt-0", config=config.load(preset, changes=changes), runs_folder=tmp_path, reporter=Silent())
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    found = (run.manifest["epochs"], run.manifest["best_epoch"], log[0]["loss"], log[-1]["loss"], run.manifest["metrics"]["test"]["ndcg@10"])
    assert found == pytest.approx(ENDS[preset], rel=1e-4)
