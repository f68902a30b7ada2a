"""Models that learn nothing: settings that make no difference to them make no other run."""

from types import SimpleNamespace

import planted
import pytest
import small_runs
import small_tasks
import torch
from torch import nn

from milkprep import splits
from milktrain import config, manifest, model_settings, recipe, runs
from milktrain.comparing import comparison, facts, labelled
from milktrain.model_settings import FLOORS, MODELS
from milktrain.sweeping import space
from schemas import plugins
from schemas.contracts import Modality, Setting
from schemas.errors import BadValue
from schemas.reporting import Silent

SETS = [
    SimpleNamespace(modality=each, identity=SimpleNamespace(encoder="planted", weights="none"), fingerprint=f"of {each.value}") for each in Modality
]
SPLIT = SimpleNamespace(name="ftmt-0", setting=Setting.FTMT, seed=0, fingerprint="of ftmt-0")
DATA = SimpleNamespace(feature_sets=SETS[:2], contents=["a", "b"], modalities=[each.modality for each in SETS[:2]], split=SPLIT, has_cold_items=False)
#: Common settings, all other than any preset has them.
MOVED = {
    "dim": "3", "alpha": "0.7", "lam": "7", "reg": "0.3", "negatives": "all", "batch_size": "9", "learning_rate": "0.5", "optimizer": "sparse_adam",
    "max_epochs": "2", "evaluate_every": "2", "patience": "3", "stop_metric": "map@7",
}  # fmt: skip


def _id(model, preset="default", **changes):
    # Settings that milk alone has are refused beside other models when named, but not in a configuration.
    settings = config.load(preset, model=model).model_dump() | {name: config._typed(value) for name, value in changes.items()}
    return manifest.identity(DATA, model=model, config=config.checked(settings, model=model))["run_id"]


@pytest.mark.parametrize(("model", "preset", "changes", "run_id"), [
    ("milk", "default", {}, "ftmt-0-milk-default-848a25dd"),
    ("milk", "published", {"beta": "1000", "seed": "3"}, "ftmt-0-milk-published-bf2ad223"),
    ("milk", "paper", {}, "ftmt-0-milk-paper-a74b4b2a"),
    ("duif", "default", {}, "ftmt-0-duif-default-8c93dd7a"),
    ("dropoutnet", "published", {}, "ftmt-0-dropoutnet-published-36bb368f"),
    ("gorec", "default", {"learning_rate": "0.01"}, "ftmt-0-gorec-default-51919835"),
    ("mtpr", "default", {"negatives": "all"}, "ftmt-0-mtpr-default-95073c6b"),
    ("popularity", "default", {}, "ftmt-0-popularity-default-ae03f95c"),
    ("random-order", "default", {"seed": "1"}, "ftmt-0-random-order-default-90507010"),
    ("content-knn", "published", {}, "ftmt-0-content-knn-published-e9fcfa1d"),
])  # fmt: skip
def test_names_of_runs_are_those_of_before(monkeypatch, model, preset, changes, run_id):
    monkeypatch.setattr(manifest, "__version__", "0.1.0")  # which is part of the fingerprint
    assert _id(model, preset, **changes) == run_id


def test_runs_with_training_items_that_nobody_has_are_not_taken_for_those_of_before():
    settings = config.load()
    cold = SimpleNamespace(**vars(DATA) | {"has_cold_items": True})
    one, other = (manifest.identity(data, model="milk", config=settings)["fingerprint"] for data in (cold, DATA))
    assert one != other


@pytest.mark.parametrize("model", sorted(FLOORS))
def test_settings_that_make_no_difference_to_a_floor_make_no_other_run(model):
    assert _id(model, **MOVED) == _id(model)
    assert _id("milk", **MOVED) != _id("milk")
    assert len({_id(model, **each) for each in ({}, {"seed": "1"}, {"cutoffs": "[5]"})}) == 3


def test_what_shapes_a_floor_makes_another_run_of_it():
    assert _id("content-knn", imputation="zero") != _id("content-knn")
    assert _id("content-knn", n_nearest="9") != _id("content-knn")
    assert _id("popularity", imputation="zero") == _id("popularity")


@pytest.mark.parametrize("name", plugins.names(MODELS))
def test_floors_are_the_models_that_learn_nothing_and_score_the_same_whatever_is_said_of_the_rest(name):
    task, built = small_tasks.task(name), []
    for changes in ({}, MOVED):
        settings = small_tasks.settings(name).model_dump() | {each: config._typed(value) for each, value in changes.items()}
        generator = torch.Generator().manual_seed(0)
        built.append(plugins.load(MODELS, name).build(task, config.checked(settings, model=name), generator=generator))
    assert isinstance(built[0], nn.Module) == (name not in FLOORS)
    if name in FLOORS:
        assert FLOORS[name] <= set(config.TrainConfig.model_fields)
        one, other = (each.ranker(torch.arange(small_tasks.N_ITEMS))(torch.arange(small_tasks.N_USERS)) for each in built)
        assert torch.equal(one, other)


def test_a_floor_under_another_learning_rate_is_the_run_that_is_there_and_its_record_says_what_is_usual(tmp_path):
    path = planted.fill(tmp_path / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)

    def train(**changes):
        settings = config.load(model="popularity", changes=changes)
        return recipe.train(path, split="ftmt-0", config=settings, runs_folder=tmp_path / "runs", reporter=Silent(), model="popularity", again=False)

    first, second = train(learning_rate="0.5"), train()
    assert (first.run_id, first.reused, second.reused) == (second.run_id, False, True)
    assert first.manifest["config"]["learning_rate"] == config.load().learning_rate
    (row,) = runs.frame(tmp_path / "runs").to_dicts()
    assert (row["learning_rate"], row["lam"], row["cutoffs"]) == (None, None, "10,20")


def test_floors_of_before_that_differ_in_what_they_make_nothing_of_are_one_row(tmp_path):
    values = {"recall@20": [0.0, 0.5]}
    old = [small_runs.write(tmp_path, values, model="popularity", settings={"learning_rate": rate}) for rate in (0.1, 0.2)]
    ours = [small_runs.write(tmp_path, values, model="duif", settings={"learning_rate": rate}) for rate in (0.1, 0.2)]
    assert len({runs.configuration(facts.read(run)) for run in old}) == 1
    assert len({runs.configuration(facts.read(run)) for run in ours}) == 2
    found = comparison.compare(labelled.gather([tmp_path]), metrics=["recall@20"])
    assert found.labels == ["duif (learning_rate=0.1)", "duif (learning_rate=0.2)", "popularity"]
    assert len(found.tests) == 2


def test_a_search_does_not_vary_what_makes_no_difference():
    with pytest.raises(BadValue, match="learning_rate: there is no such setting"):
        space.read({"learning_rate": {"low": 0.1, "high": 1.0}}, told="it", base=config.load(model="content-knn"), model="content-knn")


def test_a_model_that_nobody_knows_is_told_with_all_its_settings():
    assert model_settings.told("of-tomorrow", {"dim": 3, "of_model": {"own": 1}}) == {"dim": 3, "own": 1}
