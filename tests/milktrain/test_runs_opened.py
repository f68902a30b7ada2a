"""A finished run opened again: whole or refused with a reason, scores as in training to the bit, nothing counted as new that is not."""

import json
import shutil

import planted
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from milkprep import splits
from milktrain import config, recipe
from milktrain.profiles import Profile
from milktrain.using import judging, likeness, recommending, trained
from schemas import feature_sets, fingerprint
from schemas.contracts import EncoderIdentity, Modality, Part, Setting
from schemas.errors import BadValue, DataError, SplitMissing, Stale, UnknownName
from schemas.reporting import Silent
from schemas.store import Store

QUICK = {"max_epochs": "2", "batch_size": "256", "learning_rate": "0.01", "dim": "8", "evaluate_every": "1"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("opened") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    splits.build(path, setting=Setting.MTMT, seed=0)
    splits.build(path, setting=Setting.FTMT, seed=1)
    return path


def _train(path, folder, *, model="milk", profile=Profile.MILK, **changes):
    settings = config.load(changes=QUICK | {name: str(value) for name, value in changes.items()})
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), model=model, profile=profile).folder


@pytest.fixture(scope="module")
def folder(path):
    return _train(path, path.parent / "runs")


@pytest.fixture
def copied(folder, path, tmp_path):
    """The run folder once more, to be damaged."""
    return shutil.copytree(folder, tmp_path / "runs" / folder.name)


def _altered(copied, **fields):
    record = json.loads((copied / "run.json").read_text()) | fields
    (copied / "run.json").write_text(json.dumps({name: value for name, value in record.items() if value is not None}))


@pytest.mark.parametrize(
    ("preprocessing", "imputation"), [("none", "learned_map"), ("standardise_row_l2", "nearest"), ("pca", "token"), ("row_l2", "average_present")]
)
def test_a_run_judged_again_gives_the_recorded_metrics_to_the_bit(path, tmp_path, preprocessing, imputation):
    run = trained.open_run(_train(path, tmp_path, preprocessing=preprocessing, imputation=imputation), store=path)
    found = judging.judge(run)
    assert {part: judged.means for part, judged in found.parts.items()} == dict(run.record.metrics)
    assert found.reproduced is True


@pytest.mark.parametrize("model", ["popularity", "random-order"])
def test_a_model_that_learns_nothing_is_judged_again_too(path, tmp_path, model):
    assert judging.judge(trained.open_run(_train(path, tmp_path, model=model), store=path)).reproduced is True


def test_a_run_is_judged_by_its_own_profile_unless_another_is_named(path, tmp_path):
    run = trained.open_run(_train(path, tmp_path, profile=Profile.TEST_ONLY), store=path)
    assert judging.judge(run).profile is Profile.TEST_ONLY
    other = judging.judge(run, profile=Profile.ALL_ITEMS)
    assert other.reproduced is None
    assert other.parts[Part.TEST].n_candidates == 120


def test_a_run_whose_numbers_come_out_otherwise_says_so(copied, path):
    record = json.loads((copied / "run.json").read_text())
    record["metrics"]["test"]["recall@10"] += 1e-9
    (copied / "run.json").write_text(json.dumps(record))
    assert judging.judge(trained.open_run(copied, store=path)).reproduced is False


def test_another_missing_pattern_of_the_same_parts_leaves_nothing_out(path, folder):
    run = trained.open_run(folder)
    found = judging.judge(run, split="mtmt-0")
    assert not found.own
    assert {part: (out.n_trained_on, out.n_interactions) for part, out in found.left_out.items()} == {Part.VAL: (0, 0), Part.TEST: (0, 0)}
    assert found.parts[Part.TEST].per_user["user_idx"].to_list() == judging.judge(run).parts[Part.TEST].per_user["user_idx"].to_list()


def test_statistics_stay_those_of_training_whatever_another_split_takes_away(path, folder):
    """In mtmt-0 training items lose modalities; the run was trained on whole ones, and their features stay as they were."""
    run = trained.open_run(folder)
    mine, theirs = run.data(), run.data(split="mtmt-0")
    before = [matrix[mine.is_train].clone() for matrix in mine.features]
    assert not torch.equal(mine.available[mine.is_train], theirs.available[mine.is_train])
    seen, _ = judging.as_known_to(mine, theirs)
    assert all(torch.equal(matrix[seen.is_train], old) for matrix, old in zip(seen.features, before, strict=True))
    new = seen.new_items
    assert torch.equal(seen.available[new], theirs.available[new])
    assert all(torch.equal(a[new].isnan(), b[new].isnan()) for a, b in zip(seen.features, theirs.features, strict=True))


def test_items_the_run_was_trained_on_are_not_new_in_another_split(path, folder):
    run = trained.open_run(folder)
    mine, theirs = run.data(), run.data(split="ftmt-1")
    known = set(mine.items[Part.TRAIN].tolist())
    expected = [item for item in theirs.items[Part.TEST].tolist() if item not in known]
    seen, left_out = judging.as_known_to(mine, theirs)
    assert seen.items[Part.TEST].tolist() == expected
    assert left_out[Part.TEST].n_trained_on == len(theirs.items[Part.TEST]) - len(expected) > 0
    assert set(seen.pairs[Part.TEST][:, 1].tolist()) <= set(expected)
    assert left_out[Part.TEST].n_interactions == len(theirs.pairs[Part.TEST]) - len(seen.pairs[Part.TEST])
    new = seen.new_items
    assert not torch.equal(run.data().available[new], theirs.available[new])  # else what follows would show nothing
    assert torch.equal(seen.available[new], theirs.available[new])
    assert all(torch.equal(a[new].nan_to_num(), b[new].nan_to_num()) for a, b in zip(seen.features, theirs.features, strict=True))
    assert left_out[Part.TEST].n_chosen_by == len(set(expected) & set(run.data().items[Part.VAL].tolist()))


def test_a_split_of_which_nothing_is_new_to_the_run_is_refused(path, folder, monkeypatch):
    run = trained.open_run(folder)
    nothing_new = run.data()
    nothing_new.items.update(dict.fromkeys(judging.JUDGED, nothing_new.items[Part.TRAIN][:3]))
    nothing_new.pairs.update(dict.fromkeys(judging.JUDGED, nothing_new.pairs[Part.TRAIN][:0]))
    seen, left_out = judging.as_known_to(run.data(), nothing_new)
    assert left_out[Part.VAL].n_trained_on == 3
    monkeypatch.setattr(run, "data", lambda split=None: nothing_new if split else seen)
    with pytest.raises(DataError, match="trained on every new item of split 'ftmt-1'"):
        judging.judge(run, split="ftmt-1")


def test_a_split_that_is_not_there_is_answered_with_those_that_are(folder):
    with pytest.raises(SplitMissing, match="It has: ftmt-0"):
        judging.judge(trained.open_run(folder), split="ftmt-7")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not the record of a finished run"),
        (b"{", "is not the record of a finished run"),
        (b"[1]", "the file: Input should be an object"),
        (b'{"run_id": "x"}', "model: Field required"),
        (b"\xff\xfe", "is not the record of a finished run"),
        (b'{"a":' * 5000, "is not the record of a finished run"),
        (b" " * (5 << 20), "more than 4 MiB"),
    ],
    ids=["empty", "cut", "list", "lacking", "not utf-8", "deep", "huge"],
)
def test_what_is_no_record_is_refused_in_words(copied, path, content, says):
    (copied / "run.json").write_bytes(content)
    with pytest.raises(DataError, match=says):
        trained.open_run(copied, store=path)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"model": "../milk"}, UnknownName, "There is no model named '../milk'"),
        ({"config": {"dim": 8}}, DataError, "config.preset: Field required"),
        ({"modalities": "visual"}, DataError, "contradicts itself"),
        ({"store": "../../etc/passwd"}, DataError, "is no plain file name. Name the store with --store"),
        ({"store": "nowhere.duckdb"}, DataError, "which is not at .*nowhere.duckdb. Name the store"),
        ({"metrics": {"test": {"recall@10": "0.5"}}}, DataError, "metrics.test.recall@10: Input should be a valid number"),
        ({"split_fingerprint": "0" * 64}, Stale, "is not the one that .* was trained on"),
        ({"weights_sha256": "0" * 64}, DataError, "its digest is another"),
    ],
    ids=["model", "config", "modalities", "path", "store", "metrics", "split", "weights"],
)
def test_a_record_that_says_otherwise_is_refused_in_words(copied, path, fields, error, says):
    _altered(copied, **fields)
    with pytest.raises(error, match=says):
        judging.judge(trained.open_run(copied, store=None if "store" in fields else path))


def _break(copied, how):
    weights = copied / "model.safetensors"
    if how == "absent":
        weights.unlink()
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-8])
    else:
        state = load_file(weights)
        name = next(iter(state))
        state[name] = state[name][:1].contiguous() if how == "another shape" else torch.full_like(state[name], torch.nan)
        save_file(state, weights)
    _altered(copied, weights_sha256=fingerprint.of_file(weights) if weights.exists() and how != "cut" else None)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("absent", "holds no model.safetensors"),
        ("cut", "does not hold a state of this model"),
        ("another shape", "does not hold a state of this model"),
        ("not finite", "not finite"),
    ],
)
def test_weights_that_are_not_the_runs_are_refused(copied, path, how, says):
    _break(copied, how)
    with pytest.raises(DataError, match=says):
        judging.judge(trained.open_run(copied, store=path))


def test_a_store_that_shows_other_vectors_is_refused_with_the_way_back(folder, path, tmp_path):
    store = shutil.copy(path, tmp_path / "changed.duckdb")
    with Store(tmp_path / "changed.duckdb", mode="write") as opened:
        old = feature_sets.current(opened)[Modality.TEXT].feature_set_id
        other = feature_sets.register(opened, Modality.TEXT, EncoderIdentity("another", "none", "", planted.WIDTH, "none"))
        feature_sets.finish(opened, other, n_failed=0, seconds=0.0, as_default=True)
    with pytest.raises(Stale, match=rf"trained on text vectors by planted, and .* shows those by another now. .*feature-sets --use {old}"):
        trained.open_run(folder, store=store).data()


def test_a_run_is_found_by_the_start_of_its_name_and_by_its_record(folder, path):
    for named in (folder, folder / "run.json", folder.parent / "ftmt-0"):
        assert trained.open_run(named).folder == folder
    for named in (folder.name, "ftmt-0-milk"):
        assert trained.open_run(named, store=path).folder == folder
        assert trained.open_run(named, runs=folder.parent).store == path


@pytest.mark.parametrize(
    ("named", "says"),
    [("mtft", "There is no run mtft in .*It holds ftmt-0-milk"), ("ftmt-0", "is the start of 2 runs"), ("", "folder of runs. Name one")],
)
def test_a_run_that_is_not_there_or_not_the_only_one_is_answered_with_those_that_are(folder, tmp_path, named, says):
    for name in (folder.name, folder.name + "-2"):
        shutil.copytree(folder, tmp_path / name)
    with pytest.raises(BadValue, match=says):
        trained.open_run(tmp_path / named)


def test_of_runs_whose_names_begin_alike_those_of_the_named_store_are_meant(folder, path, tmp_path):
    for name, store in ((folder.name, path.name), (folder.name + "-2", "other.duckdb")):
        shutil.copytree(folder, tmp_path / name)
        record = json.loads((tmp_path / name / "run.json").read_text())
        (tmp_path / name / "run.json").write_text(json.dumps(record | {"store": store}))
    assert trained.open_run("ftmt-0", runs=tmp_path, store=path).folder == tmp_path / folder.name


def test_what_was_judged_is_written_into_a_new_folder_as_a_run_folder_has_it(folder, tmp_path):
    found = judging.judge(trained.open_run(folder))
    judging.write(found, tmp_path / "judged")
    for name in ("users_val.parquet", "users_test.parquet", "groups.parquet"):
        assert pl.read_parquet(tmp_path / "judged" / name).equals(pl.read_parquet(folder / name))
    with pytest.raises(BadValue, match="is there already"):
        judging.write(found, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
def test_a_run_used_on_a_gpu_scores_as_on_the_processor(folder):
    there, here = (judging.judge(trained.open_run(folder, device=device)).parts[Part.TEST].means for device in ("cuda", "cpu"))
    assert there["recall@20"] == pytest.approx(here["recall@20"], abs=0.02)
    near, scored = (trained.open_run(folder, device="cuda") for _ in range(2))
    assert likeness.similar(near, "i7", k=3).items.height == recommending.recommend(scored, "u3", k=3).items.height == 3
