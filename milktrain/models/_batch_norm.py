"""Batch normalisation that is told whether it learns, and that knows what to do with a batch of one row.

In torch's own, the mode of the whole module decides. Models that learn in turns run a part as it will be used while another part learns.
Shapes: N rows, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.Module):
    """Each column to mean 0 and variance 1, then scaled and shifted by what is learned.

    Args:
        width: D.
        affine: whether a scale and a shift are learned.
        momentum: how much of a batch's mean and variance goes into the running ones.
        epsilon: added to the variance.

    Source:
        Ioffe & Szegedy 2015.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, *, affine: bool = True, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor, *, learning: bool) -> Tensor:
        """Normalise (N, D) by its own mean and variance, which go into the running ones, where it learns; else by the running ones.

        One row has no variance of its own, so it is normalised by the running ones in any case.
        """
        own = learning and len(x) > 1
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, training=own, momentum=self.momentum, eps=self.epsilon)
