"""Quantiles of maps of any size."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MOST_VALUES = 1 << 24
"""Values of a map of which torch computes quantiles."""


def quantile(maps: Float[Tensor, "B N"], q: float) -> Float[Tensor, " B"]:
    """Quantile q in [0, 1] of each row, interpolated linearly as by `torch.quantile`."""
    count = maps.shape[1]
    if count <= MOST_VALUES:
        return torch.quantile(maps, q, dim=1)
    rank = q * (count - 1)
    below = maps.kthvalue(math.floor(rank) + 1, 1).values
    above = maps.kthvalue(math.ceil(rank) + 1, 1).values
    return torch.lerp(below, above, rank - math.floor(rank))
