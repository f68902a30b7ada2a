"""What every policy of imputation, and every way of scaling, promises: shapes, finite, observed rows untouched, deterministic, leak-free."""

from itertools import product
from typing import get_args

import pytest
import torch

from milktrain import content, loop, preprocessing
from milktrain.config import EnvironmentStrategy, Imputation, Preprocessing, Switch, load
from milktrain.imputation._items import Items
from milktrain.models import milk
from milktrain.recommender import Batch, Task
from schemas import plugins
from schemas.contracts import Modality
from schemas.errors import BadValue, FeatureMissing

N_USERS, N_ITEMS, N_TRAIN, WIDTHS = 9, 60, 40, (5, 7, 4)
POLICIES, SCALINGS = get_args(Imputation), get_args(Preprocessing)
PAIRS = list(product(POLICIES, SCALINGS))
MODALITIES = list(Modality)[:3]
IS_TRAIN = torch.arange(N_ITEMS) < N_TRAIN
#: One training item and one new item have nothing at all; a training item and a new one have everything.
BARE, COMPLETE = (3, 50), (4, 51)


def _available():
    flags = torch.rand(N_ITEMS, 3, generator=torch.Generator().manual_seed(1)) < 0.6
    flags[BARE, :], flags[COMPLETE, :] = False, True
    return flags


AVAILABLE = _available()


def _features(*, missing=torch.nan):
    random = torch.Generator().manual_seed(0)
    features = [torch.randn(N_ITEMS, width, generator=random) * 3 + 2 for width in WIDTHS]
    for m, matrix in enumerate(features):
        matrix[~AVAILABLE[:, m]] = missing
    return features


def _settings(**changes):
    return load(changes={"dim": "6", "neighbours": "3", "pca_width": "3"} | changes)


def _impute(policy, features):
    items = Items(features, AVAILABLE, IS_TRAIN, MODALITIES)
    plugins.load(content.POLICIES, policy.replace("_", "-")).impute(items, config=_settings(imputation=policy))
    return features


def _prepare(features, *, available=AVAILABLE, is_train=IS_TRAIN, **changes):
    return content.prepare(features, available, is_train=is_train, modalities=MODALITIES, config=_settings(**changes))


def test_every_name_is_a_file_and_every_file_a_name():
    assert sorted(POLICIES) == [name.replace("-", "_") for name in plugins.names(content.POLICIES)]


@pytest.mark.parametrize("policy", POLICIES)
def test_shapes_stay_every_row_is_finite_and_observed_rows_are_untouched(policy):
    filled = _impute(policy, _features())
    for m, (before, after) in enumerate(zip(_features(), filled, strict=True)):
        assert after.shape == before.shape
        assert torch.isfinite(after).all()
        assert torch.equal(after[AVAILABLE[:, m]], before[AVAILABLE[:, m]])


@pytest.mark.parametrize("policy", POLICIES)
def test_missing_rows_are_never_read(policy):
    for clean, planted in zip(_impute(policy, _features()), _impute(policy, _features(missing=1e9)), strict=True):
        assert torch.equal(clean, planted)


@pytest.mark.parametrize(("policy", "scaling"), PAIRS)
def test_what_a_model_sees_is_finite_and_the_same_twice(policy, scaling):
    first, second = (_prepare(_features(), imputation=policy, preprocessing=scaling) for _ in range(2))
    for matrix, again, width in zip(first.features, second.features, WIDTHS, strict=True):
        assert matrix.shape == (N_ITEMS, min(width, 3) if scaling.startswith("pca") else width)
        assert torch.isfinite(matrix).all()
        assert torch.equal(matrix, again)


@pytest.mark.parametrize(("policy", "scaling"), PAIRS)
def test_a_new_items_features_reach_nothing_but_itself(policy, scaling):
    """The planted leak: one new item's vectors become enormous; whatever changes elsewhere was fitted on them."""
    leaky = _features()
    for matrix in leaky:
        matrix[COMPLETE[1]] = 1e6
    clean, planted = (_prepare(features, imputation=policy, preprocessing=scaling) for features in (_features(), leaky))
    others = torch.arange(N_ITEMS) != COMPLETE[1]
    for a, b in zip(clean.features, planted.features, strict=True):
        assert torch.equal(a[others], b[others])
        assert not torch.equal(a[~others], b[~others])


@pytest.mark.parametrize(("policy", "scaling"), PAIRS)
def test_the_plant_is_seen_where_the_item_is_one_of_training(policy, scaling):
    """The same plant in a training item does move others wherever anything is fitted, so the leak test can fail."""
    leaky = _features()
    for matrix in leaky:
        matrix[COMPLETE[0]] = 1e6
    clean, planted = (_prepare(features, imputation=policy, preprocessing=scaling) for features in (_features(), leaky))
    others = torch.arange(N_ITEMS) != COMPLETE[0]
    moved = any(not torch.equal(a[others], b[others]) for a, b in zip(clean.features, planted.features, strict=True))
    assert moved == (policy not in ("zero", "average_present") or scaling not in ("none", "row_l2"))


@pytest.mark.parametrize(("policy", "scaling"), PAIRS)
def test_items_appended_behind_the_others_change_nothing_of_them(policy, scaling):
    random = torch.Generator().manual_seed(5)
    longer = [torch.cat([matrix, torch.randn(4, matrix.shape[1], generator=random)]) for matrix in _features()]
    available = torch.cat([AVAILABLE, torch.tensor([[True, True, False]] * 4)])
    is_train = torch.cat([IS_TRAIN, torch.zeros(4, dtype=torch.bool)])
    after = _prepare(longer, available=available, is_train=is_train, imputation=policy, preprocessing=scaling)
    for a, b in zip(_prepare(_features(), imputation=policy, preprocessing=scaling).features, after.features, strict=True):
        torch.testing.assert_close(a, b[:N_ITEMS], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaling_works_in_the_memory_of_the_features(scaling):
    features = _features()
    found = _prepare(features, preprocessing=scaling)
    assert [matrix.data_ptr() for matrix in found.features] == [matrix.data_ptr() for matrix in features]


@pytest.mark.parametrize("scaling", SCALINGS)
def test_chunks_change_nothing_but_rounding(scaling, monkeypatch):
    whole = _prepare(_features(), preprocessing=scaling)
    monkeypatch.setattr(preprocessing, "CHUNK_ROWS", 16)
    for a, b in zip(whole.features, _prepare(_features(), preprocessing=scaling).features, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_modality_that_no_training_item_has_is_named(policy):
    none = AVAILABLE & ~(IS_TRAIN[:, None] & torch.tensor([False, True, False]))
    with pytest.raises(FeatureMissing, match=f"No training item has {MODALITIES[1]}"):
        _prepare(_features(), available=none, imputation=policy)


def _train(**changes):
    settings, generators = _settings(**changes), loop.Generators.seeded(0)
    prepared = _prepare(_features(), imputation=settings.imputation, preprocessing=settings.preprocessing)
    model = milk.build(Task(prepared, N_USERS, torch.zeros(0, 2, dtype=torch.int64)), settings, generator=generators.weights)
    optimizer, random, totals = loop.adam(model, learning_rate=0.01), torch.Generator().manual_seed(2), []
    for _ in range(4):
        batch = Batch(*(torch.randint(n, (16,), generator=random) for n in (N_USERS, N_TRAIN, N_TRAIN)))
        losses = model.losses(batch, generator=generators.environments)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        totals.append(losses.total.item())
    return totals, model.ranker(torch.arange(N_ITEMS))(torch.arange(N_USERS)).detach()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("strategy", get_args(EnvironmentStrategy))
@pytest.mark.parametrize("without", get_args(Switch))
def test_every_combination_trains_to_the_same_finite_numbers_twice(policy, strategy, without):
    first, second = (_train(imputation=policy, environments=strategy, without=without) for _ in range(2))
    assert first[0] == second[0]
    assert torch.isfinite(first[1]).all()
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize(
    ("setting", "value", "known"),
    [
        ("imputation", "median", "average_present"), ("preprocessing", "whiten", "standardise_row_l2"), ("environments", "mixup", "without_uniform"),
        ("without", "everything", "invariance"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_answered_with_the_right_ones(setting, value, known):
    with pytest.raises(BadValue, match=f"{setting}: .*{known}.*got '{value}'"):
        load(changes={setting: value})
