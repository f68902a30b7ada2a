"""What is ranked and masked under each profile, and that every result says so."""

import json

import planted
import polars as pl
import pytest
import torch

from milkprep import splits
from milktrain import bundle, config, protocol, recipe
from milktrain.profiles import Profile
from schemas.contracts import Part, Setting
from schemas.errors import BadValue
from schemas.reporting import Silent

JUDGED = (Part.VAL, Part.TEST)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("protocol") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


@pytest.fixture(scope="module")
def data(path):
    return bundle.read(path, split="ftmt-0")


def _train(path, folder, *, model="popularity", **how):
    settings = config.load(changes={"max_epochs": "4", "evaluate_every": "2", "dim": "8"})
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), model=model, **how)


@pytest.mark.parametrize("part", JUDGED)
def test_each_profile_ranks_what_it_says_and_masks_only_known_items(data, part):
    items = {name: set(ids.tolist()) for name, ids in data.items.items()}
    pools = {profile: protocol.pool(data, part, profile=profile) for profile in Profile}
    assert set(pools[Profile.MILK].candidates.tolist()) == items[Part.VAL] | items[Part.TEST]
    assert set(pools[Profile.TEST_ONLY].candidates.tolist()) == items[part]
    assert set(pools[Profile.ALL_ITEMS].candidates.tolist()) == items[Part.TRAIN] | items[Part.VAL] | items[Part.TEST]
    assert pools[Profile.MILK].masked is None
    assert pools[Profile.TEST_ONLY].masked is None
    assert pools[Profile.ALL_ITEMS].masked is data.pairs[Part.TRAIN]
    assert all(pool.candidates.tolist() == sorted(set(pool.candidates.tolist())) for pool in pools.values())


def test_a_run_says_how_it_was_judged_and_the_profile_is_part_of_what_it_is(path, data, tmp_path):
    said = {profile: json.loads((_train(path, tmp_path, profile=profile).folder / "run.json").read_text()) for profile in Profile}
    assert len({run["run_id"] for run in said.values()}) == 3
    assert [said[profile]["n_candidates"] for profile in Profile] == [24, 12, 120]
    assert [said[profile]["n_candidates_of_validation"] for profile in Profile] == [24, 12, 120]
    for profile, run in said.items():
        assert run["profile"] == profile.value
        assert run["protocol"] == protocol.words(profile)
        for part in JUDGED:
            n_judged = len(data.pairs[part][:, 0].unique())
            assert run["n_users"][part.value] == n_judged
            assert run["n_users_without_positives"][part.value] == data.n_users - n_judged


def test_the_words_of_a_profile_name_the_seed_of_ties_and_who_is_judged():
    for profile in Profile:
        assert set(protocol.words(profile)) == {"candidates", "masked", "ties", "users"}
        assert "seed 20240714" in protocol.words(profile)["ties"]


def test_nobody_is_shown_what_they_had_in_training_and_popularity_is_worth_nothing_without_it(path, data, tmp_path):
    shown = _train(path, tmp_path, profile=Profile.ALL_ITEMS).manifest["metrics"]["test"]
    # Every training item was had by somebody and no new one was: with 96 of them before the 24 new ones, a list of 20 holds none.
    assert torch.bincount(data.pairs[Part.TRAIN][:, 1], minlength=120)[data.items[Part.TRAIN]].min() > 0
    assert max(torch.bincount(data.pairs[Part.TRAIN][:, 0])) < 76
    assert shown["recall@20"] == 0


def test_memory_and_profile_leave_the_weights_alone_and_memory_the_metrics_too(path, tmp_path):
    runs = {
        name: _train(path, tmp_path / name, model="milk", **how)
        for name, how in {"plain": {}, "little": {"eval_memory": 2**20}, "all": {"profile": Profile.ALL_ITEMS}}.items()
    }
    weights = {name: (run.folder / "model.safetensors").read_bytes() for name, run in runs.items()}
    assert weights["plain"] == weights["little"] == weights["all"]
    assert runs["plain"].run_id == runs["little"].run_id != runs["all"].run_id
    assert runs["plain"].manifest["metrics"] == runs["little"].manifest["metrics"] != runs["all"].manifest["metrics"]
    users = [pl.read_parquet(runs[name].folder / "users_test.parquet") for name in ("plain", "little")]
    assert users[0].equals(users[1])


def test_too_little_memory_is_refused_before_anything_is_trained(path, tmp_path):
    with pytest.raises(BadValue, match="1MB is the least"):
        _train(path, tmp_path, model="milk", eval_memory=1000, watch=lambda _: pytest.fail("an epoch was trained"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
@pytest.mark.parametrize("model", ["milk", "popularity", "random-order"])
@pytest.mark.parametrize("profile", Profile)
def test_every_model_is_judged_on_a_gpu_by_every_profile(path, tmp_path, model, profile):
    here, there = (_train(path, tmp_path / device, model=model, profile=profile, device=device) for device in ("cpu", "cuda"))
    metrics = [run.manifest["metrics"]["test"]["recall@20"] for run in (here, there)]
    assert metrics[0] == pytest.approx(metrics[1], abs=0.1 if model == "milk" else 1e-6)
