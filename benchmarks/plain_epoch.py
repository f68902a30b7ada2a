"""The yardstick: one training epoch of MILK written the plain way, as published research code tends to do it.

Negatives are drawn one by one in Python, every item is projected anew in each environment, and each environment gathers its
own scores. It computes the same losses as `milktrain.models.milk`; only the amount of work differs.
"""

import random
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def epoch(
    user_table: nn.Embedding, maps: nn.ModuleList, features: list[Tensor], pairs: np.ndarray, *, n_items: int, batch_size: int,
    alpha: float, beta: float, lam: float, reg: float, optimizer: torch.optim.Optimizer,
) -> float:  # fmt: skip
    """Train one epoch in place.

    Args:
        user_table: (U, D) embeddings.
        maps: M linear maps.
        features: M matrices (V, d_m).
        pairs: (n, 2) user, item.
        n_items: V.
        batch_size: triples a step.
        alpha: concentration of the Dirichlet draw.
        beta: weight of the variance over environments.
        lam: weight of the alignment.
        reg: weight of the regularisation.
        optimizer: over user_table and maps.

    Returns:
        Sum of the losses.
    """
    total = 0.0
    triples = _triples(pairs, n_items)
    for start in range(0, len(triples), batch_size):
        user, positive, negative = torch.tensor(triples[start : start + batch_size]).unbind(1)
        draw = np.random.default_rng().dirichlet([alpha] * len(features))
        environments = [np.full(len(features), 1 / len(features)), *(np.roll(draw, shift) for shift in range(len(features)))]
        losses = []
        for environment in environments:
            items = sum(float(weight) * project(matrix) for weight, project, matrix in zip(environment, maps, features, strict=True))
            u, z_pos, z_neg = user_table(user), items[positive], items[negative]
            losses.append(-torch.log(torch.sigmoid((u * z_pos).sum(1) - (u * z_neg).sum(1))).mean())
            if len(losses) == 1:
                norm = (u.square().sum(1) + z_pos.square().sum(1) + z_neg.square().sum(1)).mean()
        distinct = torch.unique(positive)
        projected = [project(matrix)[distinct] for project, matrix in zip(maps, features, strict=True)]
        alignment = sum(F.mse_loss(a, b) for i, a in enumerate(projected) for b in projected[i + 1 :])
        stacked = torch.stack(losses)
        loss = stacked.sum() + beta * torch.var(stacked) + lam * alignment + reg * norm
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


def _triples(pairs: np.ndarray, n_items: int) -> list[list[int]]:
    seen = defaultdict(set)
    for user, item in pairs.tolist():
        seen[user].add(item)
    triples = []
    for user, item in pairs.tolist():
        negative = random.randrange(n_items)
        while negative in seen[user]:
            negative = random.randrange(n_items)
        triples.append([user, item, negative])
    random.shuffle(triples)
    return triples
