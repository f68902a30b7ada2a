"""The benchmarks still run; what they measure is for people to read."""

import sys
from pathlib import Path

import numpy as np
import planted
import pytest
import tiny_transformer
import torch
from torch import nn

from milkprep import splits
from milkprep.encoder import EncoderOptions
from milktrain import config, recipe
from milktrain.using.trained import open_run
from schemas.contracts import Modality, Part, Setting
from schemas.reporting import Silent

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def _on_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.mark.usefixtures("_on_path")
def test_the_epoch_benchmark_measures_both_ways():
    import epoch

    found = epoch.measure(epoch.Size(300, 200, 2_000, (16, 8)), rounds=1)
    assert found["times_faster"] == pytest.approx(found["plain"] / found["milktrain"])


@pytest.mark.usefixtures("_on_path")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")
def test_the_benchmark_of_memory_goes_through_a_whole_training(tmp_path):
    import train_memory

    path = planted.fill(tmp_path / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    found = train_memory.measure(path, split="ftmt-0", steps=1, users=7)
    assert {"bundle.read", "loop._one_epoch", "Unfinished.save", "groups.frame"} < set(found)
    assert found["all"] == max(found.values()) > 0


@pytest.mark.usefixtures("_on_path")
def test_the_benchmark_of_scale_counts_what_an_interaction_costs():
    import scale

    found = scale.measure(scale.epoch.Size(3_000, 200, 5_000, (16, 8)))
    assert 4_000 < found["interactions"] <= 5_000
    assert found["us_large"] == pytest.approx(found["seconds"] / found["interactions"] * 1e6)


@pytest.mark.usefixtures("_on_path")
def test_the_bootstrap_benchmark_draws_what_the_plain_way_draws():
    import bootstrap

    found = bootstrap.measure(n_users=2_000, n_series=3, resamples=400, plain=400)
    assert found["deviation_to_plain"] == pytest.approx(1, abs=0.15)
    assert found["memory_mb"] > 0


@pytest.mark.usefixtures("_on_path")
def test_the_plain_epoch_learns_what_it_is_the_yardstick_of():
    import plain_epoch

    torch.manual_seed(0)
    pairs = np.array([(u, i) for u in range(20) for i in range(20) if u % 2 == i % 2])
    features = [torch.eye(20), torch.eye(20)]
    users, maps = nn.Embedding(20, 4), nn.ModuleList(nn.Linear(20, 4) for _ in features)
    optimizer = torch.optim.Adam([*users.parameters(), *maps.parameters()], lr=0.05)
    settings = {"n_items": 20, "batch_size": 50, "alpha": 1.0, "beta": 1.0, "lam": 0.1, "reg": 1e-4, "optimizer": optimizer}
    losses = [plain_epoch.epoch(users, maps, features, pairs, **settings) for _ in range(30)]
    assert losses[-1] < losses[0] / 2


@pytest.mark.usefixtures("_on_path")
@pytest.mark.parametrize("release", [2014, 2018, 2023])
def test_the_pull_benchmark_measures_both_ways(tmp_path, release):
    import pull

    found = pull.measure(tmp_path, release=release, n_items=200, n_reviews=3_000, short=True, rounds=1, keep_all=False)
    assert found["ratio"] == pytest.approx(found["loop"] / found["pull"])
    assert found["raw_mb"] > 0.5


@pytest.mark.usefixtures("_on_path")
def test_generated_dumps_are_the_same_for_the_same_seed(tmp_path):
    import raw_dumps

    dumps = [raw_dumps.write(tmp_path / name, release=2018, n_items=300, n_reviews=500, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    contents = [(dump.metadata.read_bytes(), dump.reviews.read_bytes()) for dump in dumps]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@pytest.mark.usefixtures("_on_path")
def test_the_core_benchmark_finds_the_same_core_both_ways():
    import k_core

    found = k_core.measure(60_000)
    assert 0 < found["left"] < found["pairs"]


@pytest.mark.usefixtures("_on_path")
def test_the_benchmark_of_fetching_measures_both_ways(monkeypatch):
    import fetch_media

    monkeypatch.setattr(fetch_media, "ROUNDS", 1)
    found = fetch_media.measure(40)
    assert found["ratio"] == pytest.approx(found["fetch_media"] / max(found["threads"], found["tasks"]))


@pytest.mark.usefixtures("_on_path")
def test_the_benchmark_of_means_measures_both_ways(tmp_path):
    import item_means

    found = item_means.measure(tmp_path, n_items=700, pictures=2, width=16, rounds=1)
    assert found["ratio"] == pytest.approx(found["stored"] / found["computed"])


@pytest.mark.usefixtures("_on_path")
def test_the_extraction_benchmark_measures_three_ways(tmp_path):
    import extract

    (folder := tmp_path / "model").mkdir()
    found = extract.of_texts(tmp_path, n=20, options=EncoderOptions(weights=str(tiny_transformer.write(folder))))
    assert found["n"] == 20
    assert found["to_bare"] == pytest.approx(found["extract"] / found["bare"])
    assert found["to_alone"] == pytest.approx(found["extract"] / found["alone"])


@pytest.mark.usefixtures("_on_path")
def test_the_memory_of_an_extraction_is_measured_over_few_and_many(tmp_path):
    import extract_memory

    found = extract_memory.measure(tmp_path, modality=Modality.VISUAL, n=12, few=3)
    assert found["n"] == 12
    assert found["growth_mb"] == pytest.approx(found["many_mb"] - found["few_mb"])


@pytest.mark.usefixtures("_on_path")
def test_the_benchmark_of_models_sets_each_beside_milk():
    import epoch
    import models

    found = {row["model"]: row for row in models.measure(["duif", "gorec", "gar"], epoch.Size(60, 50, 400, (6, 4)), rounds=1)}
    assert set(found) == {"milk", "duif", "gorec", "gar"}
    assert found["milk"]["times_milk"] == 1
    assert found["duif"]["times_milk"] == pytest.approx(found["duif"]["seconds"] / found["milk"]["seconds"])


@pytest.mark.usefixtures("_on_path")
def test_one_list_for_everybody_is_that_of_the_mean_user_and_no_list_is_better_than_the_best(tmp_path):
    import one_order

    path = planted.fill(tmp_path / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    found = {}
    for model in ("content-popularity", "content-knn"):
        run = recipe.train(path, split="ftmt-0", config=config.load(model=model), runs_folder=tmp_path / "runs", reporter=Silent(), model=model)
        trained = open_run(run.folder, store=path)
        found[model] = one_order.measure(trained.ready(trained.data()), Part.TEST)
        assert found[model]["own"] == pytest.approx(run.manifest["metrics"]["test"]["recall@20"])
        assert found[model]["best_for_all"] >= found[model]["mean_user"]
    assert found["content-popularity"]["mean_user"] == found["content-popularity"]["own"]  # it has one list
    assert found["content-knn"]["mean_user"] < found["content-knn"]["own"]  # tastes are planted
    pairs = torch.tensor([[0, 2], [1, 2], [1, 4], [2, 4], [3, 4]])
    assert one_order.wanted_most(pairs, n_items=6).ranker(torch.tensor([4, 5, 2]))(torch.tensor([9, 9])).tolist() == [[3, 0, 2]] * 2
