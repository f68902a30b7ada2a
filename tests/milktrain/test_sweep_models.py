"""Sweeps of models other than milk: their own settings, their own space, a file of the best that train takes."""

import pytest
import small_sweeps

from milktrain import config, model_settings
from milktrain.sweeping import space, study
from schemas import plugins
from schemas.errors import BadValue

QUICK = {"max_epochs": "2", "evaluate_every": "1", "batch_size": "256", "learning_rate": "0.01"}


@pytest.mark.parametrize("name", plugins.names(model_settings.MODELS))
def test_the_space_of_a_model_is_one_of_settings_that_it_has(name):
    base = config.load(model=name)
    if not space.usual(name):
        with pytest.raises(BadValue, match=f"{name} says nothing of what a search could vary"):
            space.load(None, base=base, model=name)
        return
    found = space.load(None, base=base, model=name)
    known = set(config.TrainConfig.model_fields) | set(model_settings.of(name).model_fields)
    assert {each.name for each in found.dimensions} <= known
    assert found.dimensions


def test_a_setting_that_milk_alone_has_is_none_of_another_models_space():
    with pytest.raises(BadValue, match="alpha: there is no such setting"):
        space.read({"alpha": {"low": 0.1, "high": 1.0}}, told="It", base=config.load(model="duif"), model="duif")


def test_a_sweep_varies_what_the_model_alone_knows_and_its_best_file_is_what_train_takes(tmp_path):
    path = small_sweeps.store(tmp_path)
    base = config.load(model="clcrec", changes=QUICK)
    tables = {"temperature": {"low": 0.5, "high": 4.0}, "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
    plan = study.Plan(["ftmt-0"], space.read(tables, told="It", base=base, model="clcrec"), base, model="clcrec")
    found = study.sweep(path, plan=plan, n_trials=2, sweeps_folder=tmp_path / "sweeps", reporter=small_sweeps.Silent())
    assert len({trial.settings["temperature"] for trial in found.trials}) == 2
    assert found.folder.name.startswith("ftmt-0-clcrec-")
    best = found.best[0]
    loaded = config.load(model="clcrec", file=found.folder / "best.toml")
    assert (loaded.of_model["temperature"], loaded.learning_rate) == (best.settings["temperature"], best.settings["learning_rate"])
    assert loaded == study.with_settings(plan, best.settings)
    before = {file: file.read_bytes() for file in found.folder.rglob("*") if file.is_file()}
    standing = study.standing(path, plan=plan, sweeps_folder=tmp_path / "sweeps")
    assert standing.trials == found.trials
    assert {file: file.read_bytes() for file in found.folder.rglob("*") if file.is_file()} == before


def test_what_trials_of_all_sweeps_start_from_is_learned_once(tmp_path):
    path, sweeps = small_sweeps.store(tmp_path), tmp_path / "sweeps"
    for model in ("gorec", "dropoutnet"):
        base = config.load(model=model, changes=QUICK | {"backbone": "bpr-mf", "backbone_width": "8"})
        tables = {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
        plan = study.Plan(["ftmt-0"], space.read(tables, told="It", base=base, model=model), base, model=model)
        study.sweep(path, plan=plan, n_trials=2, sweeps_folder=sweeps, reporter=small_sweeps.Silent())
    assert [file.parent for file in sweeps.rglob("bpr-mf-*.safetensors")] == [sweeps / "backbones"]
