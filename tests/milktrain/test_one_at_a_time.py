"""A run is trained by one process at a time; one that is gone holds nothing."""

import fcntl

import planted
import pytest

from milkprep import splits
from milktrain import config, recipe
from schemas.contracts import Setting
from schemas.errors import DataError
from schemas.reporting import Silent

CHANGES = {"max_epochs": "2", "evaluate_every": "2", "batch_size": "128", "dim": "8", "learning_rate": "0.01"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("held") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def _train(path, folder, *, seed=0, watch=None):
    settings = config.load(changes=CHANGES | {"seed": str(seed)})
    return recipe.train(path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), watch=watch)


def test_a_run_under_way_is_not_begun_a_second_time_and_another_seed_is_free(path, tmp_path):
    beside = []

    def watch(row):
        with pytest.raises(DataError, match=r"Another process works on the run .*\(process \d+\)\. Wait for it to finish, or train with"):
            _train(path, tmp_path)
        if not beside:
            beside.append(_train(path, tmp_path, seed=1))

    run = _train(path, tmp_path, watch=watch)
    assert {folder.name for folder in tmp_path.iterdir()} == {run.run_id, beside[0].run_id}
    assert run.manifest["epochs"] == 2


def test_what_a_killed_process_left_of_its_lock_is_in_nobodys_way(path, tmp_path):
    run = _train(path, tmp_path)
    left = tmp_path / f".{run.run_id}.lock"
    left.write_text("4194304")
    assert _train(path, tmp_path).replaced
    assert not left.exists()


def test_a_held_run_is_refused_before_what_is_there_is_touched(path, tmp_path):
    run = _train(path, tmp_path)
    before = {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in run.folder.iterdir()}
    with (tmp_path / f".{run.run_id}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another process works on the run"):
            _train(path, tmp_path)
    assert {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in run.folder.iterdir()} == before


def test_what_a_process_killed_while_writing_left_goes_with_the_next_run_that_ends_well(path, tmp_path):
    run = _train(path, tmp_path)
    others = {f".{run.run_id}x.abcdefgh", ".other-12345678.abcdefgh", "other"}
    for name in (f".{run.run_id}.abcd_123", f".{run.run_id}.abcd_123.old", *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    _train(path, tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {run.run_id, *others}


def test_every_file_of_a_run_can_be_read_by_others(path, tmp_path):
    run = _train(path, tmp_path)
    assert {file.name for file in run.folder.iterdir() if file.stat().st_mode & 0o777 != 0o644} == set()
