"""Runs side by side: hand-worked means, tests as scipy makes them, planted differences, and what may not be compared."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_runs import labelled, write

from milktrain.comparing import comparison
from schemas.contracts import Part
from schemas.errors import DataError

METRIC = "recall@20"
GENERATOR_SEED = 7


def compare(runs, *metrics, **given):
    return comparison.compare(runs, metrics=metrics or [METRIC], **({"resamples": 200} | given))


def cells(found, metric=METRIC):
    return {cell.label: cell for cell in found.cells if cell.metric == metric}


@pytest.fixture
def two_by_two(tmp_path):
    """One label on two splits with two seeds each."""
    values = {("ftmt-0", 0): [0, 0.25], ("ftmt-0", 1): [0.25, 0.5], ("ftmt-1", 0): [0.5, 0.5], ("ftmt-1", 1): [0.5, 1]}
    return [labelled("ours", write(tmp_path, {METRIC: each}, split=split, seed=seed)) for (split, seed), each in values.items()]


def test_seeds_are_averaged_before_the_mean_and_the_deviation_over_splits_are_taken(two_by_two):
    (cell,) = compare(two_by_two).cells
    # Means of runs .125, .375, .5, .75; of splits .25, .625; their deviations from .4375 are .1875 each.
    assert (cell.label, cell.dataset, cell.setting, cell.metric) == ("ours", "a.duckdb", "ftmt", METRIC)
    assert (cell.mean, cell.n, cell.over) == (pytest.approx(0.4375), 2, "splits")
    assert cell.sd == pytest.approx(math.sqrt(2 * 0.1875**2))


def test_of_one_split_the_deviation_is_over_seeds(two_by_two):
    (cell,) = compare(two_by_two[2:]).cells
    assert (cell.mean, cell.n, cell.over) == (pytest.approx(0.625), 2, "seeds")
    assert cell.sd == pytest.approx(math.sqrt(2) / 8)
    (alone,) = compare(two_by_two[:1]).cells
    assert (alone.mean, alone.sd, alone.n) == (pytest.approx(0.125), None, 1)


def test_an_interval_of_a_mean_draws_the_users_of_each_split_on_their_own(tmp_path):
    generator = np.random.default_rng(GENERATOR_SEED)
    values = [generator.random(n) for n in (400, 100)]
    runs = [labelled("ours", write(tmp_path, {METRIC: each}, split=f"ftmt-{at}")) for at, each in enumerate(values)]
    (cell,) = compare(runs, resamples=4000).cells
    half = 1.96 * math.sqrt(sum(each.var() / len(each) for each in values)) / 2
    mean = np.mean([each.mean() for each in values])
    assert (cell.low, cell.high) == pytest.approx((mean - half, mean + half), abs=half / 10)
    assert compare(runs, resamples=0).cells[0].low is None


@pytest.fixture
def planted(tmp_path):
    """Three labels on three splits: `same` differs from `base` by noise, `better` by a tenth more; users come in another order each time."""
    generator = np.random.default_rng(GENERATOR_SEED)
    arrays, runs = {}, []
    for at in range(3):
        hard = generator.random(300)
        for label, gain in (("base", 0), ("same", 0), ("better", 0.1)):
            values = np.float32(np.clip(hard * 0.6 + gain + generator.normal(scale=0.1, size=300), 0, 1))
            arrays[label, at] = values.astype(float)
            order = generator.permutation(300)
            runs.append(labelled(label, write(tmp_path, {METRIC: values[order]}, users=order.tolist(), model=label, split=f"ftmt-{at}")))
    return runs, arrays


def test_tests_are_those_of_scipy_on_the_users_in_order(planted):
    runs, arrays = planted
    found = {test.label: test for test in compare(runs, against="base").tests}
    one, other = (np.concatenate([arrays[label, at] for at in range(3)]) for label in ("same", "base"))
    means = [[arrays[label, at].mean() for at in range(3)] for label in ("same", "base")]
    assert set(found) == {"same", "better"}
    assert (found["same"].n_users, found["same"].n_splits) == (900, 3)
    assert found["same"].difference == pytest.approx(one.mean() - other.mean())
    assert found["same"].t == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert found["same"].wilcoxon == pytest.approx(stats.wilcoxon(one, other).pvalue, rel=1e-3)
    assert found["same"].splits_t == pytest.approx(stats.ttest_rel(*means).pvalue)


def test_a_planted_difference_is_found_and_a_planted_equal_is_not(planted):
    found = {test.label: test for test in compare(planted[0], against="base").tests}
    assert found["better"].difference == pytest.approx(0.1, abs=0.02)
    assert max(found["better"].t_holm, found["better"].wilcoxon_holm) < 1e-6
    assert found["better"].splits_t_holm < 0.05
    half = 1.96 * math.sqrt(sum(np.var(planted[1]["better", at] - planted[1]["base", at]) / 300 for at in range(3))) / 3
    assert found["better"].high - found["better"].low == pytest.approx(2 * half, rel=0.15)
    assert found["better"].low < found["better"].difference < found["better"].high
    assert min(found["same"].t_holm, found["same"].wilcoxon_holm, found["same"].splits_t_holm) > 0.05
    assert found["same"].low < 0 < found["same"].high


def test_p_values_of_a_column_are_corrected_for_each_other(planted):
    found = {test.label: test for test in compare(planted[0], against="base").tests}
    assert found["better"].t_holm == pytest.approx(2 * found["better"].t)  # the smaller of two
    assert found["same"].t_holm == found["same"].t


def test_without_a_label_to_test_against_it_is_the_best_of_each_column(planted):
    found = compare(planted[0])
    assert {test.against for test in found.tests} == {"better"}
    assert cells(found)["better"].rank == 1
    assert sorted(cell.rank for cell in found.cells) == [1, 2, 3]
    assert all(test.difference < 0 for test in found.tests)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_order_of_the_runs_changes_nothing(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    generator = np.random.default_rng(GENERATOR_SEED)
    runs = [
        labelled(label, write(folder, {METRIC: generator.random(20)}, model=label, split=split, seed=seed))
        for label in ("a", "b", "c") for split in ("ftmt-0", "mtmt-0", "mtmt-1") for seed in (0, 1)
        if (label, split) != ("c", "mtmt-1")
    ]  # fmt: skip
    assert compare(data.draw(st.permutations(runs)), resamples=20) == compare(runs, resamples=20)


def test_seeds_of_a_split_are_averaged_before_users_are_paired(tmp_path):
    runs, values = [], np.random.default_rng(GENERATOR_SEED).random((4, 30)).astype(np.float32)
    for at, each in enumerate(values):
        label, seed = ("one", "other")[at // 2], at % 2
        runs.append(labelled(label, write(tmp_path, {METRIC: each}, model=label, seed=seed)))
    (test,) = compare(runs, against="other").tests
    expected = stats.ttest_rel(values[:2].astype(float).mean(axis=0), values[2:].astype(float).mean(axis=0))
    assert (test.n_users, test.t) == (30, pytest.approx(expected.pvalue))
    assert (test.n_splits, test.splits_t) == (1, None)


def test_labels_are_tested_on_the_seeds_that_both_have(tmp_path):
    generator = np.random.default_rng(GENERATOR_SEED)
    one, other, more = np.float32(generator.random((3, 30)))
    runs = [labelled("floor", write(tmp_path, {METRIC: one}, model="floor"))]
    runs += [labelled("ours", write(tmp_path, {METRIC: each}, seed=seed)) for seed, each in enumerate((other, more))]
    found = compare(runs, against="floor")
    assert found.tests[0].t == pytest.approx(stats.ttest_rel(other.astype(float), one.astype(float)).pvalue)
    assert found.tests[0].difference == pytest.approx(float(other.mean() - one.mean()), abs=1e-6)
    assert found.tests[0].low < found.tests[0].difference < found.tests[0].high
    assert any("Other training seeds on a.duckdb ftmt than 0,1: floor 0." in line for line in found.remarks)


def test_labels_without_a_seed_in_common_are_averaged_over_their_own(tmp_path):
    one, other, more = np.float32(np.random.default_rng(GENERATOR_SEED).random((3, 30))).astype(float)
    runs = [labelled("floor", write(tmp_path, {METRIC: one}, model="floor", seed=9))]
    runs += [labelled("ours", write(tmp_path, {METRIC: each}, seed=seed)) for seed, each in enumerate((other, more))]
    (test,) = compare(runs, against="floor").tests
    assert test.t == pytest.approx(stats.ttest_rel((other + more) / 2, one).pvalue)
    assert test.low < test.difference < test.high


def test_a_seed_a_split_is_nothing_to_remark_on(tmp_path):
    runs = [labelled(label, write(tmp_path, {METRIC: [0.5]}, model=label, split=f"ftmt-{at}", seed=at)) for label in "ab" for at in (0, 1)]
    assert compare(runs).remarks == ()
    assert compare(runs[:3]).remarks == ("† b on a.duckdb ftmt: without ftmt-1, so that the mean is over other items than the others'.",)
    more = labelled("a", write(tmp_path, {METRIC: [0.5]}, model="a", split="ftmt-1", seed=0))
    assert "a on a.duckdb ftmt has more training seeds on some splits than on others." in compare([*runs, more]).remarks


def _on(folder, label, splits, value, **record):
    return [labelled(label, write(folder, {METRIC: [value, 0]}, model=label, split=split, **record)) for split in splits]


def test_a_label_over_other_splits_is_marked_said_and_not_ranked(tmp_path):
    three = ["ftmt-0", "ftmt-1", "ftmt-2"]
    found = compare([*_on(tmp_path, "a", three, 0.5), *_on(tmp_path, "b", three, 0.25), *_on(tmp_path, "c", three[:1], 1)])
    by_label = cells(found)
    assert [(by_label[name].rank, by_label[name].comparable) for name in "abc"] == [(1, True), (2, True), (None, False)]
    assert by_label["c"].lacks == ("ftmt-1", "ftmt-2")
    assert "† c on a.duckdb ftmt: without ftmt-1, ftmt-2, so that the mean is over other items than the others'." in found.remarks
    (test,) = [test for test in found.tests if test.label == "c"]
    assert (test.against, test.n_splits, test.n_users) == ("a", 1, 2)  # on the split that both have


def test_a_label_over_more_splits_than_most_is_marked_too(tmp_path):
    found = compare([*_on(tmp_path, "a", ["ftmt-0"], 0.5), *_on(tmp_path, "b", ["ftmt-0"], 0.25), *_on(tmp_path, "c", ["ftmt-0", "ftmt-1"], 1)])
    assert not cells(found)["c"].comparable
    assert any(line.startswith("† c on a.duckdb ftmt: with ftmt-1 besides") for line in found.remarks)


def test_splits_of_one_name_and_other_content_are_other_splits(tmp_path):
    runs = [
        *_on(tmp_path, "a", ["ftmt-0"], 0.5),
        *_on(tmp_path, "b", ["ftmt-0"], 0.25),
        *_on(tmp_path, "c", ["ftmt-0"], 1, split_fingerprint="other"),
    ]
    found = compare(runs)
    assert [cells(found)[name].comparable for name in "abc"] == [True, True, False]
    assert {test.label for test in found.tests} == {"b"}


def test_other_profiles_are_neither_ranked_nor_tested(tmp_path):
    found = compare(
        [*_on(tmp_path, "a", ["ftmt-0"], 0.5), *_on(tmp_path, "b", ["ftmt-0"], 0.25), *_on(tmp_path, "c", ["ftmt-0"], 1, profile="test-only")]
    )
    assert cells(found)["c"].rank is None
    assert {test.label for test in found.tests} == {"b"}
    assert "† c on a.duckdb ftmt was judged by the profile test-only, the others by milk." in found.remarks


def test_devices_modalities_and_vectors_that_differ_are_said(tmp_path):
    other = {"visual": {"encoder": "open-clip", "fingerprint": "y", "contents": "x"}}
    runs = [*_on(tmp_path, "a", ["ftmt-0"], 0.5), *_on(tmp_path, "b", ["ftmt-0"], 0.5)]
    runs += _on(tmp_path, "c", ["ftmt-0"], 0.25, device="cuda", modalities="visual", feature_sets=other)
    found = compare(runs)
    assert cells(found)["c"].rank == 3
    said = " ".join(found.remarks)
    assert "Other devices on a.duckdb ftmt than cpu: c cuda." in said
    assert "Other modalities on a.duckdb ftmt than visual,audio: c visual." in said
    assert "Other visual vectors on a.duckdb ftmt than imported" in said


def test_datasets_and_settings_are_columns_of_their_own(tmp_path):
    places = [("a.duckdb", "ftmt-0"), ("a.duckdb", "mtmt-0"), ("b.duckdb", "ftmt-0")]
    runs = [labelled("ours", write(tmp_path, {METRIC: [0.5]}, split=split, store=store)) for store, split in places]
    assert compare(runs).columns == [("a.duckdb", "ftmt", METRIC), ("a.duckdb", "mtmt", METRIC), ("b.duckdb", "ftmt", METRIC)]


def test_settings_that_differ_between_columns_are_said(tmp_path):
    runs = [write(tmp_path, {METRIC: [0.5]}, split=split, settings={"lam": lam}) for split, lam in (("ftmt-0", 1.0), ("mtmt-0", 2.0))]
    found = compare([labelled("ours", run) for run in runs])
    assert found.remarks == ("ours was trained with other settings for one column than for another: lam.",)


def test_equal_means_are_equally_good(tmp_path):
    found = compare([*_on(tmp_path, "a", ["ftmt-0"], 0.5), *_on(tmp_path, "b", ["ftmt-0"], 0.5), *_on(tmp_path, "c", ["ftmt-0"], 0.25)])
    assert [cells(found)[name].rank for name in "abc"] == [1, 1, 3]


def test_what_is_measured_of_all_lists_is_tested_over_splits_alone(tmp_path):
    runs = [
        labelled(label, write(tmp_path, {METRIC: [0.5]}, model=label, split=f"ftmt-{at}", of_lists={"coverage@20": value}))
        for label, values in {"a": (0.5, 0.75), "b": (0.25, 0.25)}.items() for at, value in enumerate(values)
    ]  # fmt: skip
    found = compare(runs, "coverage@20", against="b")
    (test,) = found.tests
    assert (test.difference, test.n_users, test.n_splits, test.t, test.wilcoxon) == (pytest.approx(0.375), 0, 2, None, None)
    assert test.splits_t == pytest.approx(stats.ttest_rel([0.5, 0.75], [0.25, 0.25]).pvalue)
    assert {(cell.rank, cell.low) for cell in found.cells} == {(None, None)}


def test_the_frame_has_a_row_a_label_and_column_with_its_test(planted):
    frame = compare(planted[0], against="base").frame()
    assert frame.columns[:7] == ["label", "dataset", "setting", "metric", "mean", "sd", "n"]
    assert {"ci_low", "ci_high", "difference", "p_t", "p_t_holm", "p_wilcoxon_holm", "p_splits_t"} <= set(frame.columns)
    assert frame.height == 3
    assert frame.filter(label="base").select("against", "p_t").row(0) == (None, None)
    assert frame.filter(label="better")["against"].item() == "base"


def test_of_the_same_run_twice_the_one_finished_last_counts(tmp_path):
    old = write(tmp_path, {METRIC: [0.25]}, finished_at="2020-01-01")
    new = write(tmp_path, {METRIC: [0.75]}, finished_at="2020-01-02")
    found = compare([labelled("ours", new), labelled("ours", old)])
    assert found.cells[0].mean == 0.75
    assert "ours on a.duckdb ftmt: 1 run is there again from before; of each the one finished last counts." in found.remarks


def test_runs_judged_on_another_part_are_left_out_and_said(tmp_path):
    runs = [labelled("a", write(tmp_path, {METRIC: [0.5]})), labelled("a", write(tmp_path, {METRIC: [0.5]}, part="val", seed=1))]
    found = compare(runs)
    assert (len(found.cells), found.cells[0].n, found.remarks[0]) == (1, 1, "1 run is left out, not judged on test.")
    assert compare(runs, part=Part.VAL).part is Part.VAL
    with pytest.raises(DataError, match="Of 1 run none was judged on test"):
        compare(runs[1:])


def test_a_label_without_a_metric_has_an_empty_cell(tmp_path):
    runs = [labelled("a", write(tmp_path, {METRIC: [0.5], "ndcg@10": [0.5]})), labelled("b", write(tmp_path, {METRIC: [0.5]}, model="b"))]
    found = compare(runs, METRIC, "ndcg@10")
    assert set(cells(found, "ndcg@10")) == {"a"}
    assert "b on a.duckdb ftmt has runs that did not measure ndcg@10: its cell is empty." in found.remarks
