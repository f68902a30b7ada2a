"""Imputation, and that nothing of a new item reaches it."""

import pytest
import torch

from milktrain import imputation
from schemas.contracts import Modality
from schemas.errors import FeatureMissing

FEATURES = torch.tensor([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0], [0.0, 0.0]])
AVAILABLE = torch.tensor([True, True, True, False])
IS_TRAIN = torch.tensor([True, True, False, False])


def _fill(features):
    return imputation.fill_with_training_mean(features.clone(), AVAILABLE, is_train=IS_TRAIN, modality=Modality.TEXT)


def test_a_missing_row_becomes_the_mean_of_the_training_rows_that_are_there():
    assert _fill(FEATURES).tolist() == [[1, 2], [3, 4], [50, 60], [2, 3]]


def test_a_new_items_features_do_not_move_the_mean():
    planted = FEATURES.clone()
    planted[2] = 1e6
    assert _fill(planted)[3].tolist() == [2, 3]


def test_a_missing_rows_own_content_is_never_read():
    planted = FEATURES.clone()
    planted[3] = torch.nan
    assert _fill(planted)[3].tolist() == [2, 3]


def test_wide_features_are_filled_in_place_and_not_copied():
    features = FEATURES.clone()
    found = imputation.fill_with_training_mean(features, AVAILABLE, is_train=IS_TRAIN, modality=Modality.TEXT)
    assert found.data_ptr() == features.data_ptr()
    assert imputation.normalise_rows(found).data_ptr() == features.data_ptr()


def test_chunks_change_nothing(monkeypatch):
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    flags = torch.rand(50, generator=torch.Generator().manual_seed(1)) < 0.5
    whole = imputation.fill_with_training_mean(features.clone(), flags, is_train=flags, modality=Modality.TEXT)
    monkeypatch.setattr(imputation, "CHUNK_ROWS", 7)
    torch.testing.assert_close(imputation.fill_with_training_mean(features.clone(), flags, is_train=flags, modality=Modality.TEXT), whole)


def test_a_modality_no_training_item_has_is_an_error():
    with pytest.raises(FeatureMissing, match="No training item has text"):
        imputation.fill_with_training_mean(FEATURES, ~IS_TRAIN, is_train=IS_TRAIN, modality=Modality.TEXT)


def test_rows_are_scaled_to_length_one():
    scaled = imputation.normalise_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(scaled, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
