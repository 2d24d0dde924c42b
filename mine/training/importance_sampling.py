"""Coarse-to-fine importance sampling of plane disparities: fine planes where the coarse ones have rendering weight.

NeRF's hierarchical volume sampling (Mildenhall et al. 2020, section 5.2), applied to the planes of an MPI.
"""

import torch
from torch import Tensor

from mine.render.reference import source_points, weights

FLOOR = 1e-5
"""Added to every plane's weight, so that the distribution exists where no plane has any."""


@torch.no_grad()
def add_fine_planes(planes: Tensor, disparity: Tensor, K: Tensor, uniform: Tensor) -> Tensor:
    """Adds fine plane disparities, sampled by the rendering weights of the coarse planes.

    A plane's weight is its rendering weight w_k in the source view (Li et al. 2021, eq. 3), averaged over all pixels.

    Args:
        planes: Coarse planes (B, S, 4, H, W).
        disparity: Their disparities (B, S), descending.
        K: Intrinsics (B, 3, 3) in pixels of the planes.
        uniform: Uniform random numbers (B, F) in [0, 1).

    Returns:
        Coarse and fine disparities (B, S + F), descending.
    """
    points = source_points(disparity, K, (planes.shape[-2], planes.shape[-1]))
    weight = weights(planes[:, :, 3], points).mean((2, 3))
    fine = sample_disparities(disparity, weight, uniform)
    return torch.cat([disparity, fine], dim=1).sort(dim=1, descending=True).values


def sample_disparities(disparity: Tensor, weight: Tensor, uniform: Tensor) -> Tensor:
    """Stratified inverse transform sampling of a piecewise constant distribution over disparity.

    The bin of a plane reaches half-way to its neighbours; the bins of the first and the last plane end at the plane.
    Sample i of F is the quantile (i + uniform_i) / F.

    Args:
        disparity: Disparities (B, S) of the planes, descending.
        weight: Non-negative weights (B, S) of the planes, of any sum.
        uniform: Uniform random numbers (B, F) in [0, 1).

    Returns:
        Sampled disparities (B, F), descending.
    """
    middle = (disparity[:, 1:] + disparity[:, :-1]) / 2
    edges = torch.cat([disparity[:, :1], middle, disparity[:, -1:]], dim=1)
    weight = weight + FLOOR
    probability = weight / weight.sum(1, keepdim=True)
    cdf = torch.cat([torch.zeros_like(probability[:, :1]), probability.cumsum(1)], dim=1)
    count = uniform.shape[1]
    quantile = (torch.arange(count, device=uniform.device) + uniform) / count
    index = torch.searchsorted(cdf[:, 1:-1].contiguous(), quantile, right=True)
    within = ((quantile - cdf.gather(1, index)) / probability.gather(1, index)).clamp(0, 1)
    return torch.lerp(edges.gather(1, index), edges.gather(1, index + 1), within)
