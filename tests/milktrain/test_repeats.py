"""Repeats over seeds and splits: the runs that would be made alone, and the spread of their metrics."""

import math
from pathlib import Path

import planted
import pytest

from milkprep import splits
from milktrain import config, recipe, repeats
from milktrain.recipe import Run
from schemas.contracts import Setting
from schemas.errors import BadValue, SplitMissing, TrainingDiverged
from schemas.reporting import Silent

CHANGES = {"max_epochs": "3", "evaluate_every": "3", "batch_size": "128", "dim": "8", "learning_rate": "0.01"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("repeats") / "planted.duckdb")
    for setting, seed in ((Setting.FTMT, 0), (Setting.FTMT, 1), (Setting.MTMT, 0)):
        splits.build(path, setting=setting, seed=seed)
    return path


class Recorded:
    """Stands in for training: metrics by split and seed, and what it was asked."""

    def __init__(self, found):
        self.found, self.asked, self.labels = found, [], []

    def __call__(self, *, split, config, reporter):
        self.asked.append((split, config.seed))
        with reporter.progress("train", total=1, unit="epochs"):
            value = self.found[split, config.seed]
        if value is None:
            raise TrainingDiverged("The loss became nan.")
        return _run(split, config.seed, value)

    def progress(self, label, *, total, unit):
        self.labels.append(label)
        return Silent().progress(label, total=total, unit=unit)


def _run(split, seed, value, *, reused=False):
    metrics = {"val": {"ndcg@10": value / 2, "map@10": 0.5}, "test": {"ndcg@10": value, "map@10": 0.5}}
    manifest = {"split": split, "seed": seed, "epochs": 7, "best_epoch": 5, "metrics": metrics}
    return Run(f"{split}-{seed}", Path("runs") / f"{split}-{seed}", replaced=False, manifest=manifest, reused=reused)


def _settings(**changes):
    return config.load(changes=CHANGES | {name: str(value) for name, value in changes.items()})


def test_seeds_follow_one_another_from_the_first_and_spread_divides_by_n_less_one():
    recorded = Recorded({("s", 3): 0.1, ("s", 4): 0.2, ("s", 5): 0.6})
    found = repeats.run(recorded, splits=["s"], config=_settings(seed=3), n_seeds=3, reporter=recorded)
    assert recorded.asked == [("s", 3), ("s", 4), ("s", 5)]
    assert recorded.labels == ["train s seed 3 (1 of 3)", "train s seed 4 (2 of 3)", "train s seed 5 (3 of 3)"]
    assert (found.over, found.n) == ("seeds", 3)
    assert found.mean["test"]["ndcg@10"] == pytest.approx(0.3)
    # Deviations -0.2, -0.1, 0.3: squares sum to 0.14, halved 0.07.
    assert found.sd["test"]["ndcg@10"] == pytest.approx(math.sqrt(0.07))
    assert found.sd["val"]["ndcg@10"] == pytest.approx(math.sqrt(0.07) / 2)
    assert found.sd["test"]["map@10"] == 0


def test_seeds_of_a_split_are_averaged_before_the_spread_over_splits_is_taken():
    recorded = Recorded({("a", 0): 0.1, ("a", 1): 0.3, ("b", 0): 0.5, ("b", 1): 0.7})
    found = repeats.run(recorded, splits=["a", "b"], config=_settings(), n_seeds=2, reporter=Silent())
    assert (found.over, found.n, len(found.runs)) == ("splits", 2, 4)
    assert found.mean["test"]["ndcg@10"] == pytest.approx(0.4)
    assert found.sd["test"]["ndcg@10"] == pytest.approx(math.sqrt(0.08))  # of 0.2 and 0.6, not of four numbers
    assert found.in_words()[0] == "Mean and standard deviation (divisor n - 1) over n = 2 splits, each the mean of its 2 seeds."


def test_one_repeat_has_a_mean_and_no_spread():
    found = repeats.summed_up([_run("s", 0, 0.25, reused=True)])
    assert found.mean["test"]["ndcg@10"] == 0.25
    assert found.sd is None
    assert "no standard deviation" in found.in_words()[0]
    assert found.in_words()[1] == "1 of 1 run had been finished before, and not trained again."


def test_the_table_has_a_row_a_run_then_mean_and_deviation_of_the_metrics_asked_for():
    found = repeats.summed_up([_run("s", 0, 0.25), _run("s", 1, 0.75)])
    table = repeats.table(found, part="test", metrics=["ndcg"])
    assert table.columns == ["split", "seed", "epochs", "best", "ndcg@10"]
    assert table["split"].to_list() == ["s", "s", "mean", "sd"]
    assert table["ndcg@10"].to_list() == pytest.approx([0.25, 0.75, 0.5, math.sqrt(0.125)])


def test_a_loss_that_diverges_says_in_which_run():
    recorded = Recorded({("s", 0): 0.1, ("s", 1): None})
    with pytest.raises(TrainingDiverged, match=r"^s, seed 1: The loss became nan"):
        repeats.run(recorded, splits=["s"], config=_settings(), n_seeds=2, reporter=Silent())


def test_seeds_that_leave_the_range_are_refused_before_anything_is_trained():
    recorded = Recorded({})
    with pytest.raises(BadValue, match="the last would be too large"):
        repeats.run(recorded, splits=["s"], config=_settings(seed=2**63 - 1), n_seeds=2, reporter=Silent())
    assert recorded.asked == []


def test_patterns_become_the_names_they_fit_each_once(path):
    assert repeats.matching(path, ["ftmt-*"]) == ["ftmt-0", "ftmt-1"]
    assert repeats.matching(path, ["mtmt-0", "*-0", "ftmt-1"]) == ["mtmt-0", "ftmt-0", "ftmt-1"]
    for name in ("mtft-*", "ftmt-2"):
        with pytest.raises(SplitMissing, match=r"It has: ftmt-0, ftmt-1, mtmt-0"):
            repeats.matching(path, ["ftmt-0", name])


def test_repeats_are_the_runs_that_their_seeds_alone_give_and_are_not_trained_twice(path, tmp_path):
    def train(folder, *, again=False):
        def one(*, split, config, reporter):
            return recipe.train(path, split=split, config=config, runs_folder=tmp_path / folder, reporter=reporter, again=again)

        return one

    together = repeats.run(train("together"), splits=["ftmt-0"], config=_settings(seed=0), n_seeds=2, reporter=Silent())
    for seed, run in enumerate(together.runs):
        alone = train("alone", again=True)(split="ftmt-0", config=_settings(seed=seed), reporter=Silent())
        assert alone.run_id == run.run_id
        assert alone.manifest["metrics"] == run.manifest["metrics"]
        assert (alone.folder / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()
    assert together.runs[0].manifest["metrics"] != together.runs[1].manifest["metrics"]
    more = repeats.run(train("together"), splits=["ftmt-0"], config=_settings(seed=0), n_seeds=3, reporter=Silent())
    assert [run.reused for run in more.runs] == [True, True, False]
    assert [run.manifest for run in more.runs[:2]] == [run.manifest for run in together.runs]
