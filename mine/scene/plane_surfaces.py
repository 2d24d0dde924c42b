"""The surfaces that planes show: the visible one of each pixel, and the one hidden behind it.

Along each source pixel's normal, volume rendering gives plane k the weight w_k = T_k (1 - exp(-σ_k Δz_k)). A surface is
where half of the light is lost: at its median plane. Its disparity and colour are means, by these weights, of the
planes around that one, so that a pixel in which two surfaces mix has the disparity of one of them, and not one in
between. For planes that were lifted from a disparity map, it is that map. The hidden surface is the next one, behind a
gap.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mine.render.reference import LAST_INTERVAL
from mine.scene.inpaint import DISCONTINUITY

HALF = math.log(2)
"""Optical depth that half of the light passes."""

LEAST_OPACITY = 0.9
"""Share of a pixel's colour that is of the visible surface, from which on what is behind counts as hidden: with less,
planes there have the photo's colour (`mine.render.blend_source`), and with it that of the visible surface."""

LEAST_SHARE = 0.5
"""Share of a view's colour that is of visible surfaces: with less, planes are fog, and are rendered as they are."""

RAMP_RADIUS = 2
"""Pixels within which the farther one of two hidden surfaces is taken."""


class Surfaces(NamedTuple):
    """What the source camera sees through each pixel of the planes, and what is behind it."""

    disparity: Float[Tensor, "1 H W"]
    """Disparity of the visible surface"""
    background: Float[Tensor, "4 H W"] | None
    """Disparity and RGB of the surface behind it; those of the visible one where none is known. None without any"""
    share: float
    """Share of the pixels' colour that is of the visible surface, 1 if it is opaque"""

    @property
    def are_fog(self) -> bool:
        """Whether no surfaces describe the planes, on average."""
        return self.share < LEAST_SHARE


def known_surfaces(disparity: Float[Tensor, "1 H W"], background: Float[Tensor, "4 H W"] | None = None) -> Surfaces:
    """An opaque visible surface, and what is known of its background."""
    return Surfaces(disparity, background, 1.0)


def find_surfaces(planes: Float[Tensor, "S 4 H W"], disparity: Float[Tensor, " S"]) -> Surfaces:
    """Finds the visible surface of planes, and the one it hides.

    Args:
        planes: RGB and density σ ≥ 0, near to far.
        disparity: Disparities of the planes, strictly descending.

    Returns:
        The surfaces. Hidden ones are farther than the visible one by at least `DISCONTINUITY`, and planes between the
        two are transparent.
    """
    nothing = torch.full_like(planes[0, 3], -1, dtype=torch.long)
    median, _ = _median_plane(planes, disparity, nothing)
    visible, colour, share = _mean_around(planes, disparity, median, nothing)
    gap = torch.full_like(median, len(disparity))
    for k in range(len(disparity) - 1, -1, -1):
        transparent = _optical_depth(planes, disparity, k) < HALF
        separate = (k > median) & (disparity[k] * DISCONTINUITY < visible)
        gap = torch.where(transparent & separate, k, gap)
    median, found = _median_plane(planes, disparity, gap)
    hidden, rgb, _ = _mean_around(planes, disparity, median, gap)
    found &= (hidden * DISCONTINUITY < visible) & (share > LEAST_OPACITY)
    # Beside a farther one, what is hidden may be a ramp between two surfaces.
    nearness = torch.where(found, -hidden, -torch.inf)[None, None]
    farthest = -F.max_pool2d(nearness, 2 * RAMP_RADIUS + 1, 1, RAMP_RADIUS)[0, 0]
    found &= hidden < DISCONTINUITY * farthest
    background = torch.where(found, torch.cat([hidden[None], rgb]), torch.cat([visible[None], colour]))
    return Surfaces(visible[None], background, float(share.mean()))


def _optical_depth(planes: Tensor, disparity: Tensor, k: int) -> Tensor:
    """Optical depth σ_k Δz_k (H, W) of plane k along the planes' normal."""
    last = k + 1 == len(disparity)
    return planes[k, 3] * (LAST_INTERVAL if last else 1 / disparity[k + 1] - 1 / disparity[k])


def _median_plane(planes: Tensor, disparity: Tensor, gap: Int[Tensor, "H W"]) -> tuple[Tensor, Tensor]:
    """The plane at which half of the light is lost that starts behind plane `gap`, and whether it is lost at all."""
    passed, median = torch.zeros_like(planes[0, 3]), torch.full_like(gap, len(disparity) - 1)
    for k in range(len(disparity)):
        before = passed
        passed = passed + torch.where(k > gap, _optical_depth(planes, disparity, k), 0)
        median = torch.where((before < HALF) & (passed >= HALF), k, median)
    return median, passed >= HALF


def _mean_around(
    planes: Tensor, disparity: Tensor, median: Int[Tensor, "H W"], gap: Int[Tensor, "H W"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean disparity (H, W) and colour (3, H, W) of the planes around `median`, of light that starts behind `gap`.

    These are its two neighbours, and all whose disparities are those of one surface.

    Returns:
        Disparity, colour and the sum of the weights.
    """
    remaining, middle = torch.ones_like(planes[0, 3]), disparity[median]
    total, mean, rgb = (torch.zeros_like(planes[0, channel]) for channel in (3, 3, slice(0, 3)))
    for k in range(len(disparity)):
        depth = torch.where(k > gap, _optical_depth(planes, disparity, k), 0)
        same = (disparity[k] < DISCONTINUITY * middle) & (disparity[k] * DISCONTINUITY > middle)
        transmitted = torch.exp(-depth)
        weight = remaining * (1 - transmitted) * (same | ((k - median).abs() <= 1))
        total += weight
        mean += weight * disparity[k]
        rgb += weight * planes[k, :3]
        remaining = remaining * transmitted
    some = total.clamp(min=1e-6)
    return torch.where(total > 0, mean / some, middle), (rgb / some).clamp(0, 1), total
