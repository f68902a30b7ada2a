"""MILK's objective against one written out environment by environment, pair by pair, for two and three modalities."""

import itertools

import pytest
import torch

from milktrain import environments
from milktrain.models.milk import Milk
from milktrain.recommender import Batch, Content

N_USERS, N_ITEMS, DIM, ALPHA, BETA, LAM, REG = 7, 11, 5, 0.3, 3.0, 0.7, 0.01
VARIANTS = {
    "published": {"reduction": "sum", "unbiased": True, "alignment": "mean_square", "regularisation": "batch"},
    "paper": {"reduction": "mean", "unbiased": False, "alignment": "squared_norm", "regularisation": "parameters"},
}


def _model(n_modalities, variant):
    generator = torch.Generator().manual_seed(n_modalities)
    features = tuple(torch.randn(N_ITEMS, 3 + m, generator=generator) for m in range(n_modalities))
    available = torch.rand(N_ITEMS, n_modalities, generator=generator) < 0.7
    content = Content(features, available, torch.ones(N_ITEMS, dtype=torch.bool))
    return Milk(content, n_users=N_USERS, dim=DIM, alpha=ALPHA, beta=BETA, lam=LAM, reg=REG, generator=generator, **VARIANTS[variant])


def _batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(*(torch.randint(n, (20,), generator=generator) for n in (N_USERS, N_ITEMS, N_ITEMS)))


def _written_out(model, batch, theta, variant):
    """The objective with loops where the model has tensors, in float64."""
    users = model.users.weight.double()
    c = [extract.double()(matrix.double()) for extract, matrix in zip(model.extractors, model.content.features, strict=True)]
    triples = list(zip(batch.users.tolist(), batch.positives.tolist(), batch.negatives.tolist(), strict=True))
    per_environment = []
    for row in theta.double():
        z = sum(weight * part for weight, part in zip(row, c, strict=True))
        per_environment.append(sum(-torch.log(torch.sigmoid(users[u] @ (z[i] - z[j]))) for u, i, j in triples) / len(triples))
    mean = sum(per_environment) / len(per_environment)
    published = variant == "published"
    spread = sum((loss - mean) ** 2 for loss in per_environment) / (len(per_environment) - published)
    align = 0.0
    for a, b in itertools.combinations(range(len(c)), 2):
        both = [i for i in sorted({i for _, i, _ in triples}) if model.content.available[i, a] and model.content.available[i, b]]
        distances = [((c[a][i] - c[b][i]) ** 2).sum() / (DIM if published else 1) for i in both]
        align = align + (sum(distances) / len(distances) if distances else 0.0)
    z = sum(c) / len(c)
    batch_norm = sum((users[u] ** 2).sum() + (z[i] ** 2).sum() + (z[j] ** 2).sum() for u, i, j in triples) / len(triples)
    norm = batch_norm if published else sum((parameter.double() ** 2).sum() for parameter in model.parameters())
    return (sum(per_environment) if published else mean) + BETA * spread + LAM * align + REG * norm


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_modalities", [2, 3])
def test_the_objective_is_the_one_written_out(n_modalities, variant):
    model, batch = _model(n_modalities, variant), _batch()
    theta = environments.cyclic_mixup(torch.softmax(torch.arange(n_modalities).float(), dim=0))
    found = model.losses_in(batch, theta).total.item()
    assert found == pytest.approx(_written_out(model, batch, theta, variant).item(), rel=1e-5)


def test_every_parameter_is_reached_by_a_gradient():
    model = _model(3, "published")
    model.losses_in(_batch(), environments.cyclic_mixup(torch.tensor([0.2, 0.3, 0.5]))).total.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_scores_are_those_of_the_mean_over_modalities():
    model = _model(3, "published").double()
    model.content = Content(tuple(matrix.double() for matrix in model.content.features), model.content.available, model.content.is_train)
    items = torch.tensor([4, 0, 9])
    z = sum(extract(matrix[items]) for extract, matrix in zip(model.extractors, model.content.features, strict=True)) / 3
    torch.testing.assert_close(model.ranker(items)(torch.tensor([2, 5])), model.users.weight[[2, 5]] @ z.T)
