"""Collaborative vectors: of training interactions alone, zero where nothing was learned, kept and checked."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import planted
import pytest
import torch

from milkprep import splits
from milktrain import bundle, collaborative, config, recipe
from milktrain.backbones import bpr_mf
from schemas import durable
from schemas.contracts import Part, Setting
from schemas.errors import DataError, TrainingDiverged
from schemas.reporting import Silent


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("vectors") / "planted.duckdb", per_user=10)
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


@pytest.fixture(scope="module")
def data(path):
    return bundle.read(path, split="ftmt-0")


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch):
    monkeypatch.setattr(collaborative, "TRAINING", collaborative.TRAINING | {"max_epochs": "10", "batch_size": "256"})


def _settings(backbone="bpr-mf", *, seed=0, width=8):
    return config.load(changes={"seed": str(seed)}).model_copy(update={"of_model": {"backbone": backbone, "backbone_width": width}})


def _of_run(data, folder, **changes):
    return collaborative.of_run(data, config=_settings(**changes), folder=folder, reporter=Silent())


def _only(folder):
    (file,) = folder.glob("*.safetensors")
    return file


@pytest.mark.parametrize("backbone", ["bpr-mf", "lightgcn"])
def test_what_users_like_is_found_and_rows_of_new_items_and_idle_users_are_zero(data, tmp_path, backbone, monkeypatch):
    monkeypatch.setattr(collaborative, "TRAINING", collaborative.TRAINING | {"max_epochs": "40", "batch_size": "64"})
    idle = int(data.pairs[Part.TRAIN][0, 0])
    train = data.pairs[Part.TRAIN]
    fewer = replace(data, pairs=data.pairs | {Part.TRAIN: train[train[:, 0] != idle]})
    found = _of_run(fewer, tmp_path, backbone=backbone)
    users, items = found.vectors.users, found.vectors.items
    assert (users.shape, items.shape) == ((data.n_users, 8), (data.n_items, 8))
    assert not users[idle].any()
    assert not items[data.new_items].any()
    seen = fewer.pairs[Part.TRAIN].unbind(1)
    assert users[seen[0]].ne(0).any(dim=1).all()
    assert items[seen[1]].ne(0).any(dim=1).all()
    # Theme i % 4 of an item is liked by users u % 4 alone: scores within a theme are above those across, which no draw would give.
    inside = torch.arange(data.n_users)[:, None] % 4 == torch.arange(data.n_items) % 4
    scores, warm = users @ items.T, data.is_train & items.ne(0).any(dim=1)
    assert scores[inside & warm].mean() > scores[~inside & warm].mean() + 0.2


def test_nothing_of_validation_test_or_content_changes_a_number(data, tmp_path):
    """Planted: new items are liked by everybody, and features are no numbers."""
    everybody = torch.cartesian_prod(torch.arange(data.n_users), data.new_items)
    nan = tuple(torch.full_like(each, torch.nan) for each in data.features)
    leaky = replace(data, pairs=data.pairs | {Part.VAL: everybody, Part.TEST: everybody}, features=nan)
    clean, other = _of_run(data, tmp_path / "clean"), _of_run(leaky, tmp_path / "leaky")
    assert clean.fingerprint == other.fingerprint
    assert not other.reused
    assert torch.equal(clean.vectors.users, other.vectors.users)
    assert torch.equal(clean.vectors.items, other.vectors.items)


def test_a_training_item_that_nobody_interacted_with_is_in_nothing_that_is_learned(data, tmp_path):
    idle = int(data.items[Part.TRAIN][3])
    kept = data.pairs[Part.TRAIN][data.pairs[Part.TRAIN][:, 1] != idle]
    with_it = replace(data, pairs=data.pairs | {Part.TRAIN: kept})
    without = replace(with_it, items=data.items | {Part.TRAIN: with_it.warm_items})
    assert with_it.warm_items.tolist() == [item for item in data.items[Part.TRAIN].tolist() if item != idle]
    assert recipe.negative_candidates(with_it, config.load()).tolist() == with_it.warm_items.tolist()
    found, other = _of_run(with_it, tmp_path), _of_run(without, tmp_path / "other")
    assert found.fingerprint == other.fingerprint
    assert torch.equal(found.vectors.users, other.vectors.users)
    assert not found.vectors.items[idle].any()


def test_vectors_are_found_again_by_what_they_were_learned_from_and_how(data, tmp_path):
    first, again = _of_run(data, tmp_path), _of_run(data, tmp_path)
    assert (first.reused, again.reused, again.seconds) == (False, True, 0.0)
    assert torch.equal(first.vectors.users, again.vectors.users)
    assert torch.equal(first.vectors.items, again.vectors.items)
    fewer = replace(data, pairs=data.pairs | {Part.TRAIN: data.pairs[Part.TRAIN][:-1]})
    without_one = replace(data, items=data.items | {Part.TRAIN: data.items[Part.TRAIN][:-1]})
    others = [
        _of_run(data, tmp_path, seed=1), _of_run(data, tmp_path, width=6), _of_run(data, tmp_path, backbone="lightgcn"), _of_run(fewer, tmp_path),
        _of_run(without_one, tmp_path),
    ]  # fmt: skip
    assert not any(each.reused for each in others)
    assert len({each.fingerprint for each in [first, *others]}) == 6


def test_what_is_damaged_or_renamed_is_refused(data, tmp_path):
    _of_run(data, tmp_path)
    file = _only(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + bytes(byte ^ 1 for byte in whole[-4:]))
    with pytest.raises(DataError, match=r"its checksum does not fit its content\. Delete it"):
        _of_run(data, tmp_path)
    file.write_bytes(whole[:100])
    with pytest.raises(DataError, match=r"is damaged: .* Delete it"):
        _of_run(data, tmp_path)
    _of_run(data, tmp_path / "other", seed=1)
    file.write_bytes(_only(tmp_path / "other").read_bytes())
    with pytest.raises(DataError, match="holds other vectors than its name says"):
        _of_run(data, tmp_path)
    file.unlink()
    assert not _of_run(data, tmp_path).reused


def test_who_is_killed_while_writing_leaves_nothing_half(data, tmp_path, monkeypatch):
    real = durable.rename

    def killed(partial, target):
        if target.parent != tmp_path:  # states of training
            return real(partial, target)
        partial.write_bytes(partial.read_bytes()[:50])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(durable, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            _of_run(data, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    assert not _of_run(data, tmp_path).reused
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


CHILD = """
import sys
from pathlib import Path
from milktrain import bundle, collaborative, config
from schemas.reporting import Silent
collaborative.TRAINING |= {"max_epochs": "20", "batch_size": "32", "patience": "100"}
chosen = config.load(changes={"seed": "0"}).model_copy(update={"of_model": {"backbone": "bpr-mf", "backbone_width": 8}})
data = bundle.read(Path(sys.argv[1]), split="ftmt-0")
collaborative.of_run(data, config=chosen, folder=Path(sys.argv[2]), reporter=Silent(), save_every_s=0.0)
"""


class Labels(Silent):
    """Keeps what is begun."""

    def __init__(self):
        self.begun = []

    def progress(self, label, *, total, unit):
        self.begun.append(label)
        return super().progress(label, total=total, unit=unit)


def test_learning_that_is_killed_in_either_training_goes_on_to_the_same_vectors(path, data, tmp_path, monkeypatch):
    monkeypatch.setattr(collaborative, "TRAINING", collaborative.TRAINING | {"max_epochs": "20", "batch_size": "32", "patience": "100"})
    alone = _of_run(data, tmp_path / "alone")
    for training in ("epochs", "all"):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(tmp_path / "killed")], cwd=Path(__file__).parents[2])
        deadline = time.monotonic() + 120
        while not list((tmp_path / "killed").glob(f".*.unfinished/{training}/last.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.001)
        child.kill()
        assert child.wait() == -signal.SIGKILL  # it was under way
    assert not list((tmp_path / "killed").glob("*.safetensors"))
    labels = Labels()
    found = collaborative.of_run(data, config=_settings(), folder=tmp_path / "killed", reporter=labels)
    assert not found.reused
    assert "from epoch 21" in labels.begun[0]  # the first training was over
    assert len(labels.begun) == 2
    assert torch.equal(found.vectors.users, alone.vectors.users)
    assert torch.equal(found.vectors.items, alone.vectors.items)
    assert [file.suffix for file in (tmp_path / "killed").iterdir() if file.suffix != ".lock"] == [".safetensors"]


def test_states_of_learning_that_are_damaged_or_of_other_vectors_are_refused(data, tmp_path, monkeypatch):
    real = collaborative.loop.fit

    def killed(model, **others):
        real(model, **others)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(collaborative.loop, "fit", killed)
        for seed in (0, 1):
            with pytest.raises(KeyboardInterrupt):
                _of_run(data, tmp_path / str(seed), seed=seed)
    one, other = (next((tmp_path / seed).glob(".*.unfinished/epochs/last.safetensors")) for seed in "01")
    other.write_bytes(one.read_bytes())
    with pytest.raises(DataError, match=r"cannot go on: last\.safetensors is not of this run.*Delete the folder"):
        _of_run(data, tmp_path / "1", seed=1)
    one.write_bytes(one.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"last\.safetensors is damaged"):
        _of_run(data, tmp_path / "0")


def test_learning_that_stops_being_finite_leaves_nothing_behind(data, tmp_path, monkeypatch):
    monkeypatch.setattr(bpr_mf, "TRAINING", bpr_mf.TRAINING | {"learning_rate": "1e30"})
    with pytest.raises(TrainingDiverged, match="Lower learning_rate"):
        _of_run(data, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not list(tmp_path.glob(".*.unfinished"))


def test_of_two_runs_at_once_one_learns_and_the_other_waits_for_it(data, tmp_path):
    with ThreadPoolExecutor(2) as pool:  # the lock is of the open file, so two of one process are as two processes are
        found = list(pool.map(lambda _: _of_run(data, tmp_path), range(2)))
    assert sorted(each.reused for each in found) == [False, True]
    assert torch.equal(found[0].vectors.users, found[1].vectors.users)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


def test_a_model_without_a_backbone_learns_no_vectors(data, tmp_path):
    chosen = config.load(model="duif")
    assert collaborative.of_run(data, config=chosen, folder=tmp_path / "none", reporter=Silent()) is None
    assert collaborative.unlearned(data, chosen) is None
    assert not (tmp_path / "none").exists()


def test_how_many_epochs_are_best_is_found_on_a_tenth_and_all_is_trained_on_in_the_end(data, monkeypatch):
    given = []
    real = collaborative.loop.fit

    def fit(model, *, train, validation, config, **others):
        found = real(model, train=train, validation=validation, config=config, **others)
        given.append((train, validation, config.max_epochs, found))
        return found

    monkeypatch.setattr(collaborative.loop, "fit", fit)
    train, items = data.pairs[Part.TRAIN], data.items[Part.TRAIN]
    how = collaborative.training_of("bpr-mf", width=4, seed=0)
    collaborative.learn("bpr-mf", train, items=items, n_users=data.n_users, n_items=data.n_items, config=how, reporter=Silent())
    (kept, looked, _, tried), (whole, _, epochs, last) = given
    assert len(looked.pairs) == len(train) // 10
    together = torch.cat([kept, looked.pairs])
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, train.tolist())) == sorted(map(tuple, whole.tolist()))
    assert torch.equal(looked.masked, kept)
    assert torch.equal(looked.candidates, items)
    assert epochs == tried.best_epoch == last.best_epoch == last.epochs
