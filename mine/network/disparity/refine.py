"""Edges of a drawn surface where those of the photo are, and nothing made up between them.

Networks blur depth where it jumps, and see relief in what is only painted. So pixels on a ramp between two surfaces
take over the depth of pixels nearby that look like them (`snap_edges`), steps too small to be a jump are evened out
(`flatten_relief`), and pixels that show some of both sides go with the nearer one
(`dilate_foreground`). All work on log-disparities (B, 1, H, W).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.network.disparity.lift import JUMP

RAMP = 0.05
"""Range of log-disparity within `NEAR` pixels from which on a pixel may lie on a ramp."""

NEAR = 2
REACH = 4
"""Distance, in pixels, over which a pixel on a ramp asks others."""

SPARSE = 2
"""Every so many pixels one is asked."""

LIKENESS = 0.3
"""Distance of colours, as a vector in [0, 1]³, up to which pixels look alike."""

STEEP = 0.5
"""Range among its own neighbours, relative to the ramp's, up to which a pixel is believed."""

RELIEF = 0.06
"""Standard deviation of log-disparity within the window of `flatten_relief` up to which it is evened out."""

WINDOW = 24
"""Pixels from the middle of that window to its edges."""

COARSE = 4
"""Every so many pixels the window is looked at."""


def refine(drawn: Tensor, image: Tensor) -> Tensor:
    """`drawn` with edges and surfaces put in order, as this file says."""
    return dilate_foreground(flatten_relief(snap_edges(drawn, image)))


def snap_edges(drawn: Tensor, image: Tensor, rounds: int = 2) -> Tensor:
    """`drawn` with steps in the place of ramps, where `image` (B, 3, H, W) in [0, 1] has them.

    Each pixel on a ramp takes the weighted median of those around it; weights are high for pixels of its colour that
    are not on a ramp themselves (a weighted median filter after Ma et al. 2013, over the ramps alone).
    """
    for _ in range(rounds):
        spread, steep = _range(drawn, NEAR), _range(drawn, 1)
        ramp = (spread > RAMP).nonzero(as_tuple=True)
        if len(ramp[0]):
            drawn = drawn.index_put(ramp, _medians(drawn, image, steep, spread[ramp], ramp))
    return drawn


def flatten_relief(drawn: Tensor) -> Tensor:
    """`drawn` with only the large shapes and the jumps: a guided filter (He et al. 2013) that it guides itself."""
    small, squares, radius = F.avg_pool2d(drawn, COARSE), F.avg_pool2d(drawn**2, COARSE), WINDOW // COARSE
    mean = box(small, radius)
    variance = (box(squares, radius) - mean**2).clamp(min=0)
    slope = variance / (variance + RELIEF**2)
    offset = mean - slope * mean
    size = drawn.shape[-2:]
    slope, offset = (F.interpolate(box(x, radius), size, mode="bilinear") for x in (slope, offset))
    return slope * drawn + offset


def dilate_foreground(drawn: Tensor) -> Tensor:
    """`drawn` with what is nearer by a jump one pixel wider.

    The pixels beside it are a mixture of both sides: left behind, they would be its outline on what it hides.
    """
    nearest = F.max_pool2d(drawn, 3, 1, 1)
    return torch.where(nearest - drawn > math.log(JUMP), nearest, drawn)


def _medians(drawn: Tensor, image: Tensor, steep: Tensor, spread: Tensor, pixels: tuple[Tensor, ...]) -> Tensor:
    """Weighted medians (N,) around `pixels`, as indices into (B, 1, H, W), on ramps of ranges `spread` (N,)."""
    picture, _, row, column = pixels
    height, width = drawn.shape[-2:]
    offset = torch.arange(-REACH, REACH + 1, SPARSE, device=drawn.device)
    down, across = (x.flatten() for x in torch.meshgrid(offset, offset, indexing="ij"))
    rows, columns = (row[:, None] + down).clamp(0, height - 1), (column[:, None] + across).clamp(0, width - 1)
    colours, picture = image.movedim(1, -1), picture[:, None]
    unlike = (colours[picture, rows, columns] - colours[picture, row[:, None], column[:, None]]).square().sum(-1)
    doubt = steep[picture, 0, rows, columns] / (STEEP * spread[:, None])
    weight = torch.exp(-unlike / (2 * LIKENESS**2) - doubt).clamp(min=1e-6)
    value, place = drawn[picture, 0, rows, columns].sort(1)
    below = weight.gather(1, place).cumsum(1)
    middle = torch.searchsorted(below, below[:, -1:] / 2).clamp(max=value.shape[1] - 1)
    return value.gather(1, middle)[:, 0]


def _range(x: Tensor, radius: int) -> Tensor:
    """Largest less smallest within `radius` pixels."""
    side = 2 * radius + 1
    return F.max_pool2d(x, side, 1, radius) + F.max_pool2d(-x, side, 1, radius)


def box(x: Tensor, radius: int) -> Tensor:
    """Means of x (B, C, H, W) within `radius` pixels, in a square."""
    return F.avg_pool2d(F.pad(x, [radius] * 4, mode="replicate"), 2 * radius + 1, 1)
