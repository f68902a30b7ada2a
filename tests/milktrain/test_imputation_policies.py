"""The policies of imputation, each on values worked by hand; what holds for all of them is in the contract tests."""

import pytest
import torch

from milktrain import config, preprocessing
from milktrain.imputation import learned_map, mean, nearest, zero
from milktrain.imputation._items import Items
from schemas.contracts import Modality
from schemas.errors import FeatureMissing

FEATURES = torch.tensor([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0], [0.0, 0.0]])
AVAILABLE = torch.tensor([[True], [True], [True], [False]])
IS_TRAIN = torch.tensor([True, True, False, False])


def _impute(policy, features, *, available=AVAILABLE, is_train=IS_TRAIN, **changes):
    features = [matrix.clone() for matrix in features]
    items = Items(features, available, is_train, list(Modality)[: len(features)])
    policy.impute(items, config=config.load(changes={name: str(value) for name, value in changes.items()}))
    return features


def test_a_missing_row_becomes_the_mean_of_the_training_rows_that_are_there():
    assert _impute(mean, [FEATURES])[0].tolist() == [[1, 2], [3, 4], [50, 60], [2, 3]]


def test_zero_writes_zeros_whatever_was_there():
    planted = FEATURES.clone()
    planted[3] = torch.nan
    assert _impute(zero, [planted])[0].tolist() == [[1, 2], [3, 4], [50, 60], [0, 0]]


def test_chunks_change_nothing(monkeypatch):
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    flags = torch.rand(50, generator=torch.Generator().manual_seed(1)) < 0.5
    whole = _impute(mean, [features], available=flags[:, None], is_train=flags)[0]
    monkeypatch.setattr(preprocessing, "CHUNK_ROWS", 7)
    torch.testing.assert_close(_impute(mean, [features], available=flags[:, None], is_train=flags)[0], whole)


def test_a_modality_no_training_item_has_is_an_error():
    with pytest.raises(FeatureMissing, match="No training item has text"):
        Items([FEATURES], ~IS_TRAIN[:, None], IS_TRAIN, [Modality.TEXT]).observed(0)


def _linear():
    """Sixty items whose second modality is a linear function of the first, and of the third; the last ten lack it."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=random)
    y = x @ torch.randn(4, 3, generator=random) + 5
    available = torch.ones(60, 3, dtype=torch.bool)
    available[50:, 1] = False
    return [x, y, 2 * x - 1], available, torch.arange(60) < 50


def test_a_linear_relation_is_learned_exactly_with_hardly_any_penalty():
    features, available, is_train = _linear()
    filled = _impute(learned_map, features, available=available, is_train=is_train, ridge=1e-9)[1]
    torch.testing.assert_close(filled[50:], features[1][50:], rtol=1e-4, atol=1e-4)


def test_a_large_penalty_leaves_the_mean():
    features, available, is_train = _linear()
    filled = _impute(learned_map, features, available=available, is_train=is_train, ridge=1e9)[1]
    torch.testing.assert_close(filled[50:], features[1][:50].mean(dim=0).expand(10, -1), rtol=1e-4, atol=1e-4)


def test_several_maps_are_averaged():
    features, available, is_train = _linear()
    both = _impute(learned_map, features, available=available, is_train=is_train)[1][55]
    alone = []
    for hidden in (0, 2):
        one_less = available.clone()
        one_less[55, hidden] = False
        alone.append(_impute(learned_map, features, available=one_less, is_train=is_train)[1][55])
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


NEAR = [torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [7.0, 0.1]]), torch.tensor([[2.0], [4.0], [100.0], [0.0]])]
NEAR_AVAILABLE = torch.tensor([[True, True], [True, True], [True, True], [True, False]])


@pytest.mark.parametrize(("k", "expected"), [(1, 2), (2, 3), (3, 106 / 3), (99, 106 / 3)])
def test_the_mean_of_the_nearest_stands_in(k, expected):
    is_train = torch.tensor([True, True, True, False])
    found = _impute(nearest, NEAR, available=NEAR_AVAILABLE, is_train=is_train, neighbours=k)[1][3].item()
    assert found == pytest.approx(expected)


def test_nearest_looks_at_training_items_alone():
    is_train = torch.tensor([False, True, True, False])
    assert _impute(nearest, NEAR, available=NEAR_AVAILABLE, is_train=is_train, neighbours=1)[1][3].item() == pytest.approx(4)


def test_chunks_change_no_neighbour(monkeypatch):
    features, available, is_train = _linear()
    whole = _impute(nearest, features, available=available, is_train=is_train, neighbours=5)[1]
    monkeypatch.setattr(nearest, "CHUNK_ITEMS", 3)
    monkeypatch.setattr(nearest, "CHUNK_TRAIN", 4)
    torch.testing.assert_close(_impute(nearest, features, available=available, is_train=is_train, neighbours=5)[1], whole)
