"""Which runs are gathered, and what their labels say."""

import json

import pytest
from small_runs import write

from milktrain import runs as run_folders
from milktrain.comparing import of_experiment
from milktrain.comparing.labelled import gather, unsaid
from schemas.errors import BadValue, DataError, UnknownName

METRIC = {"recall@20": [0.5]}


def labels(*folders, **given):
    return sorted({run.label for run in gather(folders, **given)})


def test_a_model_with_one_configuration_is_labelled_by_its_name(tmp_path):
    for seed in (0, 1):
        write(tmp_path, METRIC, seed=seed)
        write(tmp_path, METRIC, split="mtmt-0", seed=seed)
    write(tmp_path, METRIC, model="popularity")
    assert labels(tmp_path) == ["milk", "popularity"]


def test_settings_that_differ_on_the_same_data_are_said(tmp_path):
    write(tmp_path, METRIC, settings={"lam": 0.5, "gorec": {"clusters": 8}})
    write(tmp_path, METRIC, settings={"lam": 0.5, "gorec": {"clusters": 16}})
    assert labels(tmp_path) == ["milk (gorec.clusters=16)", "milk (gorec.clusters=8)"]
    assert unsaid(gather([tmp_path])) == []


def test_settings_that_differ_between_datasets_alone_make_no_two_methods(tmp_path):
    write(tmp_path, METRIC, settings={"lam": 0.5})
    write(tmp_path, METRIC, settings={"lam": 5.0}, store="b.duckdb")
    write(tmp_path, METRIC, settings={"lam": 50.0}, split="mtmt-0")
    assert labels(tmp_path) == ["milk"]


def test_the_name_of_a_preset_stands_for_what_it_says(tmp_path):
    write(tmp_path, METRIC, settings={"preset": "default", "lam": 0.5, "beta": 1})
    write(tmp_path, METRIC, settings={"preset": "published", "lam": 10.0, "beta": 9})
    write(tmp_path, METRIC, settings={"preset": "published", "lam": 5.0, "beta": 9})
    assert labels(tmp_path) == ["milk (default)", "milk (published, lam=10)", "milk (published, lam=5)"]


def test_of_many_settings_that_differ_those_are_said_that_are_not_as_in_most(tmp_path):
    usual = {"alpha": 1, "beta": 2, "gamma": 3}
    for changed in ({}, {"alpha": 9}, {"beta": 9}, {"gamma": 9, "beta": 8}):
        write(tmp_path, METRIC, settings=usual | changed)
    assert labels(tmp_path) == ["milk", "milk (alpha=9)", "milk (beta=8, gamma=9)", "milk (beta=9)"]
    assert unsaid(gather([tmp_path])) == ["Where a label of milk does not say otherwise: alpha=1, beta=2, gamma=3."]


def test_modalities_profiles_devices_and_vectors_make_labels_too(tmp_path):
    write(tmp_path, METRIC)
    write(tmp_path, METRIC, modalities="visual", feature_sets={"visual": {"encoder": "imported", "fingerprint": "visual", "contents": "x"}})
    assert labels(tmp_path) == ["milk (modalities=visual)", "milk (modalities=visual,audio)"]
    write(tmp_path, METRIC, model="duif", profile="milk")
    write(tmp_path, METRIC, model="duif", profile="test-only")
    assert "duif (profile=test-only)" in labels(tmp_path)


def test_labels_say_what_is_asked_for(tmp_path):
    run = write(tmp_path, METRIC, settings={"lam": 5.0})
    write(tmp_path, METRIC, model="duif")
    assert labels(tmp_path, by=["model"]) == ["duif", "milk"]
    assert labels(tmp_path, by=["lam", "dim"]) == ["duif (dim=64)", "milk (lam=5, dim=64)"]
    of_run = run_folders.frame(tmp_path).filter(run_id=run.name)["configuration"].item()
    assert f"milk ({of_run})" in labels(tmp_path, by=["configuration"])
    with pytest.raises(UnknownName, match="Did you mean 'lam'"):
        labels(tmp_path, by=["lamm"])


def test_text_of_records_cannot_steer_a_terminal(tmp_path):
    write(tmp_path, METRIC, model="\x1b[31mred\n|" + "x" * 100)
    (label,) = labels(tmp_path)
    assert label.isprintable()
    assert label.startswith("?[31mred?|xxx")
    assert len(label) <= 60


def test_runs_of_other_stores_and_what_is_under_way_are_left_out(tmp_path):
    write(tmp_path, METRIC)
    write(tmp_path, METRIC, store="b.duckdb", model="duif")
    write(tmp_path / "hidden", METRIC, model="popularity").rename(tmp_path / ".ftmt-0-popularity.unfinished")
    assert labels(tmp_path) == ["duif", "milk"]
    assert labels(tmp_path, store="b.duckdb") == ["duif"]
    with pytest.raises(DataError, match=r"There is no finished run of c\.duckdb in .*train. makes one"):
        gather([tmp_path], store="c.duckdb")


def test_starts_of_names_and_folders_choose_runs_each_once(tmp_path):
    one, other = write(tmp_path, METRIC), write(tmp_path, METRIC, split="mtmt-0")
    assert [run.folder for run in gather([tmp_path], named=["ftmt", "ftmt-0"])] == [one]
    assert [run.folder for run in gather([tmp_path, other], named=[str(other)])] == [other]
    assert [run.folder for run in gather([one, tmp_path])] == [one, other]
    with pytest.raises(BadValue, match=r"No run is named 'ftft' or begins so\. There are: ftmt-0-milk"):
        gather([tmp_path], named=["ftft"])
    with pytest.raises(BadValue, match="There is no folder of runs at"):
        gather([tmp_path / "nowhere"])


@pytest.mark.parametrize(("text", "words"), [("{", "is not the record of a run"), ("[]", "holds no JSON object"), ('{"store": 3}', "Expected `str`")])
def test_a_damaged_record_is_named(tmp_path, text, words):
    (write(tmp_path, METRIC) / "run.json").write_text(text)
    with pytest.raises(DataError, match=rf"run\.json .*{words}"):
        gather([tmp_path])


@pytest.mark.parametrize(
    "deep", ['{"a": ' * 20 + "1" + "}" * 20, "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000], ids=["groups", "lists", "file"]
)
def test_settings_without_a_bottom_are_refused(tmp_path, deep):
    run = write(tmp_path, METRIC, settings={"x": "deep"})
    record = (run / "run.json").read_text()
    (run / "run.json").write_text(record.replace('"deep"', deep))
    with pytest.raises(DataError, match=r"run\.json is not the record of a"):
        gather([tmp_path])


def _experiment(folder, rows):
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"name": "x", "runs": rows}))
    return folder


def _row(label, run, state="finished"):
    return {"label": label, "state": state, "run_id": run.name, "folder": str(run), "seconds": 1.0}


def test_runs_of_an_experiment_have_the_labels_and_the_order_of_its_plan(tmp_path):
    one, other = write(tmp_path / "runs", METRIC), write(tmp_path / "runs", METRIC, model="duif")
    waiting = {"label": "late", "state": "waiting", "run_id": "", "folder": ""}
    found, left_out = of_experiment.gather(_experiment(tmp_path / "experiments" / "x", [_row("b", one), _row("a\n", other), waiting]))
    assert [(run.label, run.folder) for run in found] == [("b", one), ("a?", other)]
    assert left_out == ["1 of 3 runs of the experiment are not finished, and left out."]


def test_runs_of_an_experiment_that_was_moved_with_its_runs_are_found(tmp_path):
    run = write(tmp_path / "runs", METRIC)
    row = _row("a", run) | {"folder": f"/elsewhere/{run.name}"}
    assert of_experiment.gather(_experiment(tmp_path / "experiments" / "x", [row]))[0][0].folder.resolve() == run


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"folder": "/elsewhere/x"}, DataError, "is not at /elsewhere/x"),
        ({"run_id": "../runs"}, DataError, r"The run '\.\./runs' of .* is not at"),
        ({"state": "failed"}, DataError, "No run of .* is finished"),
        ({"label": 3}, DataError, "is not the record of an experiment"),
    ],
)
def test_records_of_experiments_that_lead_nowhere_are_refused(tmp_path, change, error, words):
    run = write(tmp_path / "other", METRIC)
    with pytest.raises(error, match=words):
        of_experiment.gather(_experiment(tmp_path / "experiments" / "x", [_row("a", run) | change]))


def test_a_folder_of_no_experiment_is_refused(tmp_path):
    with pytest.raises(BadValue, match=r"holds no record\.json"):
        of_experiment.gather(tmp_path)
