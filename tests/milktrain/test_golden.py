"""The recorded run of the authors' code, replayed step by step in both of its modes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from milktrain import config, content, environments, loop, metrics, ranking
from milktrain.imputation import mean
from milktrain.imputation._items import Items
from milktrain.models.milk import Milk
from milktrain.recommender import Batch
from schemas.contracts import Modality

BATCH = 128


@pytest.fixture(scope="module")
def golden(real_data: Path):
    with np.load(real_data.parent / "golden" / "published_milk.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _availability(golden, mode):
    available = torch.from_numpy(golden["available"])
    is_train = torch.ones(80, dtype=torch.bool)
    is_train[torch.from_numpy(golden["cold"])] = False
    if mode == "fm":
        available = available | is_train[:, None]
    return available, is_train


def _content(golden, mode):
    available, is_train = _availability(golden, mode)
    raw = [torch.tensor(golden["raw_image"]), torch.tensor(golden["raw_text"])]
    return content.prepare(raw, available, is_train=is_train, modalities=(Modality.VISUAL, Modality.TEXT), config=config.load("published"))


def _model(golden, mode, state):
    model = Milk(
        _content(golden, mode), n_users=60, dim=8, alpha=0.3, beta=50.0, lam=0.05, reg=1e-4,
        reduction="sum", unbiased=True, alignment="mean_square", regularisation="batch", generator=torch.Generator(),
    )  # fmt: skip
    names = {
        "users.weight": "user_emb.weight", "extractors.0.weight": "image_linear.weight", "extractors.0.bias": "image_linear.bias",
        "extractors.1.weight": "text_linear.weight", "extractors.1.bias": "text_linear.bias",
    }  # fmt: skip
    model.load_state_dict({ours: torch.from_numpy(golden[f"{mode}.{state}.{theirs}"]) for ours, theirs in names.items()})
    return model


@pytest.mark.parametrize("mode", ["fm", "mm"])
def test_the_six_recorded_steps_are_replayed(golden, mode):
    model, target = _model(golden, mode, "init"), _model(golden, mode, "final")
    optimizer = loop.adam(model, learning_rate=1e-3)
    triples = torch.from_numpy(golden[f"{mode}.triples"])
    batches = [part for epoch in triples for part in epoch.split(BATCH)]
    for step, part in enumerate(batches):
        draw = torch.from_numpy(golden[f"{mode}.dirichlet"][step]).float()
        losses = model.losses_in(Batch(*part.unbind(1)), environments.cyclic_mixup(draw))
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        np.testing.assert_allclose(losses.parts["bpr"].numpy(), golden[f"{mode}.env_bpr"][step], rtol=1e-5)
        np.testing.assert_allclose(losses.total.item(), golden[f"{mode}.loss"][step], rtol=1e-5)
    assert len(batches) == 6
    for (name, ours), theirs in zip(model.named_parameters(), target.parameters(), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("mode", ["fm", "mm"])
@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("k", [5, 10])
def test_the_recorded_metrics_are_reproduced(golden, mode, part, k):
    model = _model(golden, mode, "final")
    ranked = ranking.rank(model, pairs=torch.from_numpy(golden[part]), candidates=torch.from_numpy(golden["cold"]), k=k)
    ours = [metrics.METRICS[name](ranked.hits, n_relevant=ranked.n_relevant, k=k).double().mean().item() for name in ("hr", "recall", "ndcg")]
    np.testing.assert_allclose(ours, golden[f"{mode}.{part}@{k}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("mode", "suffix"), [("fm", "test"), ("mm", "all")])
def test_mean_imputation_agrees_with_the_recorded_features(golden, mode, suffix):
    available, is_train = _availability(golden, mode)
    ours = [torch.tensor(golden[f"raw_{name}"]) for name in ("image", "text")]
    mean.impute(Items(ours, available, is_train, (Modality.VISUAL, Modality.TEXT)), config=config.load("published"))
    for name, matrix in zip(("image", "text"), ours, strict=True):
        np.testing.assert_allclose(matrix.numpy(), golden[f"{name}_missing_{suffix}"], rtol=0, atol=1e-6)
