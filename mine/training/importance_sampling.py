"""Where further planes go: where the first ones show something (coarse to fine, after NeRF, section 5.2)."""

import torch
from torch import Tensor

from mine.render.reference import source_points, weights

FLOOR = 1e-5
"""Added to each plane's share, so that there is a distribution where nothing is shown at all."""


@torch.no_grad()
def refined(planes: Tensor, disparity: Tensor, K: Tensor, uniform: Tensor) -> Tensor:
    """disparity (B, S) and F more, drawn from what planes (B, S, 4, H, W) there show: (B, S + F), descending.

    A plane's share is its rendering weight w_k in the source view (eq. 3), the mean over all pixels. K (B, 3, 3) in
    pixels of the planes; uniform (B, F), random numbers in [0, 1).
    """
    points = source_points(disparity, K, (planes.shape[-2], planes.shape[-1]))
    share = weights(planes[:, :, 3], points).mean((2, 3))
    more = drawn_disparity(disparity, share, uniform)
    return torch.cat([disparity, more], dim=1).sort(dim=1, descending=True).values


def drawn_disparity(disparity: Tensor, share: Tensor, uniform: Tensor) -> Tensor:
    """Disparities (B, F), descending, with as much of them near each of disparity (B, S) as its share (B, S) says.

    Each plane's share lies evenly between the middles to its neighbours, the outermost planes' on their inner side
    alone. One draw falls in each of F equal parts of the whole: (i + uniform_i) / F goes through the inverse of the
    cumulative distribution.
    """
    middle = (disparity[:, 1:] + disparity[:, :-1]) / 2
    edges = torch.cat([disparity[:, :1], middle, disparity[:, -1:]], dim=1)
    share = share + FLOOR
    share = share / share.sum(1, keepdim=True)
    below = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(1)], dim=1)
    count = uniform.shape[1]
    place = (torch.arange(count, device=uniform.device) + uniform) / count
    cell = torch.searchsorted(below[:, 1:-1].contiguous(), place, right=True)
    within = ((place - below.gather(1, cell)) / share.gather(1, cell)).clamp(0, 1)
    return torch.lerp(edges.gather(1, cell), edges.gather(1, cell + 1), within)
