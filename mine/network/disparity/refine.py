"""Refinement of a predicted log-disparity map, guided by the photo: three filters in a row.

Networks blur depth at its discontinuities, and predict relief where a flat surface is merely textured.

1. `snap_edges` replaces the ramps between two surfaces by steps at the photo's edges (weighted median filter, Ma et al.
   2013, "Constant Time Weighted Median Filtering for Stereo Matching and Beyond").
2. `flatten_relief` smooths variations that are too small to be a discontinuity (`guided_filter`, He et al. 2013).
3. `dilate_foreground` extends the nearer side of each discontinuity by one pixel, over the photo's mixed pixels.

All maps are log-disparities (B, 1, H, W): a ratio of depths is a difference of values, whatever the photo's scale.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.scene.inpaint import DISCONTINUITY

RAMP_RANGE = 0.05
"""Range (largest minus smallest) of log-disparity within `RAMP_RADIUS` from which on a pixel is on a ramp."""

RAMP_RADIUS = 2
"""Pixels from the centre of the window of `RAMP_RANGE` to its sides."""

MEDIAN_RADIUS = 4
"""Pixels from the centre of the median's window to its sides."""

MEDIAN_STRIDE = 2
"""Pixels between two samples of the median: 25 samples fill the window."""

MEDIAN_ITERATIONS = 2
"""Applications of the median; the second starts from the ramps that are left."""

COLOUR_SIGMA = 0.3
"""Standard deviation, in units of RGB in [0, 1]³, of the Gaussian weight of a difference in colour."""

STEEPNESS_SCALE = 0.5
"""Scale of the exponential weight of a sample's own steepness, relative to the range of the ramp."""

RELIEF_SIGMA = 0.06
"""Standard deviation of log-disparity below which `flatten_relief` smooths."""

GUIDED_RADIUS = 24
"""Pixels from the centre of the guided filter's window to its sides."""

GUIDED_STRIDE = 4
"""Factor of subsampling in the guided filter (He and Sun 2015, "Fast Guided Filter")."""


def refine(log_disparity: Float[Tensor, "B 1 H W"], image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Applies the three filters of this module.

    Args:
        log_disparity: Predicted map.
        image: RGB in [0, 1].

    Returns:
        The refined map.
    """
    return dilate_foreground(flatten_relief(snap_edges(log_disparity, image)))


def snap_edges(log_disparity: Float[Tensor, "B 1 H W"], image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Turns ramps into steps where the photo has edges: a weighted median filter at the pixels on a ramp.

    With r(q) the range of the map in the 3x3 window of q, and R(p) its range within `RAMP_RADIUS` of p, the median at p
    has the weights

        w(p, q) = exp(-|I(p) - I(q)|² / (2 COLOUR_SIGMA²)) exp(-r(q) / (STEEPNESS_SCALE R(p))):

    a sample q counts if it has the colour of p and is not on a ramp itself. Other pixels keep their values.

    Args:
        log_disparity: Predicted map.
        image: RGB I in [0, 1].

    Returns:
        The filtered map.
    """
    for _ in range(MEDIAN_ITERATIONS):
        ramp_range, steepness = _range(log_disparity, RAMP_RADIUS), _range(log_disparity, 1)
        ramp = (ramp_range > RAMP_RANGE).nonzero(as_tuple=True)
        if len(ramp[0]):
            medians = _weighted_medians(log_disparity, image, steepness, ramp_range[ramp], ramp)
            log_disparity = log_disparity.index_put(ramp, medians)
    return log_disparity


def flatten_relief(log_disparity: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Smooths relief and keeps discontinuities: a guided filter of a map that is its own guide."""
    return guided_filter(log_disparity, log_disparity, RELIEF_SIGMA)


def guided_filter(
    guide: Float[Tensor, "B 1 H W"], log_disparity: Float[Tensor, "B 1 H W"], sigma: float
) -> Float[Tensor, "B 1 H W"]:
    """Gives a map the edges of another one: the guided filter (He et al. 2013, eq. 5, 6 and 8).

    The output is a D + b, with a and b the box means of cov / (var + sigma²) and of the mean of D' less a times
    that of D, from the variance of D and its covariance with D' in each window: where D has an edge, a line through the
    values of D' on both sides of it, and elsewhere their mean. Windows are computed at 1 / `GUIDED_STRIDE` of the
    resolution.

    Args:
        guide: Map D that has the edges.
        log_disparity: Map D' that has the values.
        sigma: Standard deviation of D in a window below which it has no edge there: the square root of the filter's ε.

    Returns:
        The filtered map.
    """
    radius = GUIDED_RADIUS // GUIDED_STRIDE
    products = torch.cat([guide, log_disparity, guide**2, guide * log_disparity], 1)
    guide_mean, mean, square, product = box(F.avg_pool2d(products, GUIDED_STRIDE), radius).split(1, dim=1)
    variance = (square - guide_mean**2).clamp(min=0)
    slope = (product - guide_mean * mean) / (variance + sigma**2)
    line = box(torch.cat([slope, mean - slope * guide_mean], 1), radius)
    slope, offset = F.interpolate(line, guide.shape[-2:], mode="bilinear").split(1, dim=1)
    return slope * guide + offset


def dilate_foreground(log_disparity: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Dilates the nearer side of each discontinuity by one pixel (3x3 morphological dilation).

    A photo's pixels at an edge mix both sides. On the farther side they would be a ghost of the foreground's outline.

    Args:
        log_disparity: Map.

    Returns:
        The largest value of each 3x3 window where it is larger by log `DISCONTINUITY`, elsewhere the map.
    """
    nearest = F.max_pool2d(log_disparity, 3, 1, 1)
    return torch.where(nearest - log_disparity > math.log(DISCONTINUITY), nearest, log_disparity)


def box(x: Float[Tensor, "B C H W"], radius: int) -> Float[Tensor, "B C H W"]:
    """Box filter, padded by replication.

    Args:
        x: Maps.
        radius: Pixels from the centre of the square window to its sides.

    Returns:
        The mean of each window.
    """
    return F.avg_pool2d(F.pad(x, [radius] * 4, mode="replicate"), 2 * radius + 1, 1)


def _weighted_medians(
    log_disparity: Tensor, image: Tensor, steepness: Tensor, ramp_range: Tensor, pixels: tuple[Tensor, ...]
) -> Tensor:
    """Weighted medians (N,) around `pixels`, N indices into (B, 1, H, W), on ramps of range `ramp_range` (N,)."""
    batch, _, row, column = pixels
    height, width = log_disparity.shape[-2:]
    offset = torch.arange(-MEDIAN_RADIUS, MEDIAN_RADIUS + 1, MEDIAN_STRIDE, device=log_disparity.device)
    dy, dx = (x.flatten() for x in torch.meshgrid(offset, offset, indexing="ij"))
    rows, columns = (row[:, None] + dy).clamp(0, height - 1), (column[:, None] + dx).clamp(0, width - 1)
    colours, batch = image.movedim(1, -1), batch[:, None]
    distance = (colours[batch, rows, columns] - colours[batch, row[:, None], column[:, None]]).square().sum(-1)
    relative_steepness = steepness[batch, 0, rows, columns] / (STEEPNESS_SCALE * ramp_range[:, None])
    weight = torch.exp(-distance / (2 * COLOUR_SIGMA**2) - relative_steepness).clamp(min=1e-6)
    value, order = log_disparity[batch, 0, rows, columns].sort(1)
    cumulative = weight.gather(1, order).cumsum(1)
    median = torch.searchsorted(cumulative, cumulative[:, -1:] / 2).clamp(max=value.shape[1] - 1)
    return value.gather(1, median)[:, 0]


def _range(x: Tensor, radius: int) -> Tensor:
    """Largest minus smallest value within `radius` pixels, (B, 1, H, W)."""
    side = 2 * radius + 1
    return F.max_pool2d(x, side, 1, radius) + F.max_pool2d(-x, side, 1, radius)
