"""Training end to end on a catalogue whose right ranking is known, and what is written of it."""

import json
import shutil
from pathlib import Path

import planted
import polars as pl
import pytest
import torch

from milkprep import splits
from milktrain import bundle, checkpoint, config, loop, recipe, runs
from milktrain.models import milk
from schemas.contracts import Modality, Part, Setting
from schemas.errors import DataError, TrainingDiverged, UnknownName
from schemas.reporting import Silent
from schemas.store import Store

QUICK = {"max_epochs": "40", "batch_size": "128", "learning_rate": "0.01", "dim": "16", "beta": "1"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("recipe") / "planted.duckdb")
    for setting in Setting:
        splits.build(path, setting=setting, seed=0)
    return path


def _train(path, folder, *, model="milk", split="ftmt-0", preset="default", **changes):
    settings = config.load(preset, changes=QUICK | {name: str(value) for name, value in changes.items()})
    return recipe.train(path, split=split, config=settings, runs_folder=folder, reporter=Silent(), model=model)


@pytest.mark.parametrize("preset", config.presets())
@pytest.mark.parametrize("split", [f"{setting}-0" for setting in Setting])
def test_planted_tastes_are_found_in_every_setting(path, tmp_path, preset, split):
    run = _train(path, tmp_path, preset=preset, split=split)
    floor = _train(path, tmp_path, model="random-order", split=split)
    # One new item in four is of a user's theme: chance finds recall@10 of about 10/24, a model that knows the themes all.
    assert run.manifest["metrics"]["test"]["recall@10"] > 0.9
    assert floor.manifest["metrics"]["test"]["recall@10"] < 0.6


def test_popularity_knows_nothing_of_new_items(path, tmp_path):
    run = _train(path, tmp_path, model="popularity")
    assert 0.2 < run.manifest["metrics"]["test"]["recall@10"] < 0.65
    assert run.manifest["epochs"] == 0
    assert not (run.folder / "model.safetensors").exists()


def test_the_same_seed_gives_the_same_weights_and_metrics_to_the_bit(path, tmp_path):
    first, second = (_train(path, tmp_path / name) for name in ("a", "b"))
    assert first.run_id == second.run_id
    assert first.manifest["metrics"] == second.manifest["metrics"]
    assert (first.folder / "model.safetensors").read_bytes() == (second.folder / "model.safetensors").read_bytes()


def test_another_seed_is_another_run(path, tmp_path):
    first, second = (_train(path, tmp_path, seed=seed) for seed in (0, 1))
    assert first.run_id != second.run_id
    assert {folder.name for folder in tmp_path.iterdir()} == {first.run_id, second.run_id}


def test_a_run_folder_holds_what_it_says(path, tmp_path):
    run = _train(path, tmp_path)
    users_and_groups = {"users_val.parquet", "users_test.parquet", "groups.parquet"}
    assert {file.name for file in run.folder.iterdir()} == {"run.json", "log.jsonl", "model.safetensors"} | users_and_groups
    manifest = json.loads((run.folder / "run.json").read_text())
    assert manifest["protocol"]["candidates"].startswith("all new items")
    for part in ("val", "test"):
        users = pl.read_parquet(run.folder / f"users_{part}.parquet")
        assert users.height == manifest["n_users"][part]
        assert users["ndcg@20"].cast(pl.Float64).mean() == pytest.approx(manifest["metrics"][part]["ndcg@20"], abs=1e-12)
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert len(log) == manifest["epochs"]
    assert max(row.get("val_ndcg@10", 0) for row in log) == pytest.approx(manifest["metrics"]["val"]["ndcg@10"], abs=1e-9)


def test_the_saved_state_gives_the_recorded_metrics(path, tmp_path):
    run = _train(path, tmp_path)
    data = bundle.read(path, split="ftmt-0")
    task = recipe.Task(recipe.content_of(data, config.load()), data.n_users, data.pairs[Part.TRAIN])
    model = milk.build(task, config.load(changes=QUICK), generator=torch.Generator().manual_seed(99))
    checkpoint.load(model, run.folder / "model.safetensors")
    found = recipe.evaluate(model, pairs=data.pairs[Part.TEST], candidates=data.new_items, cutoffs=(10, 20))
    assert found.means == run.manifest["metrics"]["test"]


def test_a_state_of_another_shape_is_refused(path, tmp_path):
    run = _train(path, tmp_path)
    with pytest.raises(DataError, match="does not hold a state of this model"):
        checkpoint.load(torch.nn.Linear(2, 2), run.folder / "model.safetensors")


def test_training_stops_when_validation_no_longer_improves(path, tmp_path):
    run = _train(path, tmp_path, max_epochs=400, evaluate_every=2, patience=6)
    assert run.manifest["epochs"] == run.manifest["best_epoch"] + 8  # the first look that is more than 6 epochs late
    assert run.manifest["epochs"] < 400


def test_a_diverging_loss_stops_the_run_and_writes_nothing(path, tmp_path):
    with pytest.raises(TrainingDiverged, match="The loss became"):
        _train(path, tmp_path, learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_answered_with_the_known(path, tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'milk'"):
        _train(path, tmp_path, model="mlik")


def test_negatives_come_from_where_the_preset_says(path):
    data = bundle.read(path, split="ftmt-0")
    default = set(recipe.negative_candidates(data, config.load("default")).tolist())
    published = set(recipe.negative_candidates(data, config.load("published")).tolist())
    assert default == set(data.items[Part.TRAIN].tolist())
    assert published == set(range(120))


def test_one_modality_alone_is_trained_too(path, tmp_path):
    settings = config.load(changes=QUICK)
    run = recipe.train(path, split="ftft-0", config=settings, runs_folder=tmp_path, reporter=Silent(), modalities=[Modality.AUDIO])
    assert run.manifest["modalities"] == "audio"
    assert run.manifest["metrics"]["test"]["recall@10"] > 0.9


def test_runs_are_listed_for_sql(path, tmp_path):
    assert runs.frame(tmp_path).height == 0
    _train(path, tmp_path)
    _train(path, tmp_path, model="popularity")
    found = runs.frame(tmp_path)
    assert set(found["model"]) == {"milk", "popularity"}
    assert set(found["store"]) == {path.name}
    assert {"test_recall_20", "val_ndcg_10"} <= set(found.columns)


def test_a_folder_being_written_is_not_a_run_and_vanishes_on_error(tmp_path):
    def fill_the_disk():
        with runs.writing(tmp_path / "run") as partial:
            (partial / "run.json").write_text("{}")
            assert runs.frame(tmp_path).height == 0
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_of_a_run_is_left_out_with_a_warning(tmp_path, caplog):
    for name, text in (("empty", "{}"), ("cut", '{"metrics": {"te'), ("list", "[]"), ("odd", '{"metrics": {"test": {"ndcg@10": "much"}}}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    assert runs.frame(tmp_path).height == 0
    assert len(caplog.records) == 4


def test_other_vectors_make_another_run(path, tmp_path):
    first = _train(path, tmp_path, model="popularity")
    other = Path(shutil.copy(path, tmp_path / "other.duckdb"))
    with Store(other, mode="update") as store:  # the pictures of two items change places
        store.run("UPDATE feature_rows SET item_idx = 3 - item_idx WHERE feature_set_id = 1 AND item_idx IN (1, 2)")
    second = _train(other, tmp_path, model="popularity")
    assert first.manifest["split_fingerprint"] == second.manifest["split_fingerprint"]
    assert first.run_id != second.run_id


def test_a_new_items_vector_reaches_no_other_items_features(path):
    clean, planted_leak = (bundle.read(path, split="mtmt-0") for _ in range(2))
    for m, matrix in enumerate(planted_leak.features):
        new = planted_leak.new_items[planted_leak.available[planted_leak.new_items, m]]
        matrix[new] = 1e6
    before, after = (recipe.content_of(data, config.load()) for data in (clean, planted_leak))
    for m, (a, b) in enumerate(zip(before.features, after.features, strict=True)):
        untouched = clean.is_train | ~clean.available[:, m]
        assert torch.equal(a[untouched], b[untouched])
        assert not torch.equal(a[~untouched], b[~untouched])


def test_streams_of_randomness_do_not_shift_each_other():
    first, second = loop.Generators.seeded(3), loop.Generators.seeded(3)
    torch.rand(100, generator=first.weights)
    assert torch.equal(torch.rand(5, generator=first.triples), torch.rand(5, generator=second.triples))
