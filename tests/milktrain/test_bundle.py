"""From store to tensors: keys not positions, stale and missing data refused."""

import numpy as np
import planted
import pytest
import torch

from milkprep import splits
from milktrain import bundle
from schemas.contracts import Modality, Part, Setting
from schemas.errors import FeatureMissing, ShapeError, SplitMissing, Stale, StoreError
from schemas.store import Store


@pytest.fixture
def path(tmp_path):
    return planted.fill(tmp_path / "planted.duckdb")


def _built(path, setting=Setting.FTMT, **options):
    return splits.build(path, setting=setting, seed=0, **options).name


def test_features_are_nan_exactly_where_they_are_not_available(path):
    data = bundle.read(path, split=_built(path))
    assert data.modalities == tuple(Modality)
    for m, matrix in enumerate(data.features):
        assert matrix.shape == (120, planted.WIDTH)
        assert torch.equal(matrix.isnan().any(1), ~data.available[:, m])
        assert torch.equal(matrix.isnan().all(1), ~data.available[:, m])
    assert data.present.all()
    assert (~data.available).sum() == 12  # half of the 24 new items lose one


def test_no_interaction_of_a_new_item_is_in_training(path):
    data = bundle.read(path, split=_built(path))
    assert set(data.pairs[Part.TRAIN][:, 1].tolist()) <= set(data.items[Part.TRAIN].tolist())
    assert not set(data.new_items.tolist()) & set(data.items[Part.TRAIN].tolist())
    assert sum(len(pairs) for pairs in data.pairs.values()) == 60 * 15


def test_the_bundle_is_unchanged_when_rows_are_stored_in_another_order(path, tmp_path):
    order = np.random.default_rng(1).permutation(120)
    other = planted.fill(tmp_path / "shuffled.duckdb", order=order)
    first, second = (bundle.read(each, split=_built(each)) for each in (path, other))
    assert first.split.fingerprint == second.split.fingerprint
    for a, b in zip(first.features, second.features, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    for part in Part:
        assert torch.equal(first.pairs[part], second.pairs[part])


def test_modalities_can_be_chosen(path):
    data = bundle.read(path, split=_built(path), modalities=[Modality.TEXT])
    assert data.modalities == (Modality.TEXT,)
    assert data.available.shape == (120, 1)


def test_an_unknown_split_is_named_with_the_known_ones(path):
    _built(path)
    with pytest.raises(SplitMissing, match=r"no split 'ftmt-7'. It has: ftmt-0"):
        bundle.read(path, split="ftmt-7")


def test_a_modality_without_vectors_names_the_command_that_makes_them(tmp_path):
    path = planted.fill(tmp_path / "two.duckdb", modalities=(Modality.TEXT, Modality.VISUAL))
    name = _built(path)
    with pytest.raises(FeatureMissing, match="extract --modality audio"):
        bundle.read(path, split=name, modalities=[Modality.AUDIO])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM feature_rows WHERE item_idx = 3", r"availability changed.*--setting ftmt --seed 0 --replace"),
        ("UPDATE pulls SET catalogue_fingerprint = 'another'", "catalogue changed"),
    ],
)
def test_a_split_of_another_state_of_the_store_is_stale(path, change, words):
    name = _built(path)
    with Store(path, mode="update") as store:
        store.run(change)
    with pytest.raises(Stale, match=words):
        bundle.read(path, split=name)


def test_a_vector_that_went_missing_is_noticed(path):
    name = _built(path)
    with Store(path, mode="write") as store:
        store.run("DELETE FROM vectors_1 WHERE content_sha256 = 'visual-3'")
    with pytest.raises(ShapeError, match="1 items of the split should have a visual vector"):
        bundle.read(path, split=name)


def test_a_store_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(StoreError, match="There is no store"):
        bundle.read(tmp_path / "none.duckdb", split="ftmt-0")
