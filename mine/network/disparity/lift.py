"""From one disparity map to a multiplane image (MPI).

The scene is a layered depth image of two layers: the visible surface, with the photo's colours, and behind its depth
discontinuities a background layer, which is inpainted from the farther side. Both layers are converted to planes:

- Opacity. A ray that meets a layer at disparity D, between the planes at d_i > D ≥ d_{i+1}, is stopped by plane i with
  opacity α_i = (D - d_{i+1}) / (d_i - d_{i+1}) and by plane i+1 with opacity 1. The expected disparity of the ray is
  then α_i d_i + (1 - α_i) d_{i+1} = D, so that few planes show no steps between them.
- Thickness. Planes behind the visible surface are opaque only until the surface is closed where it is slanted
  (`_shell_back`): a thicker surface would show its outline again when it is seen from the side.
- Density. σ_i = -log(1 - α_i) / Δz_i, with Δz_i the distance in depth from plane i to plane i+1, inverts the
  α_i = 1 - exp(-σ_i Δz_i) of volume rendering (Li et al. 2021, section 3.2).

Shih et al. (2020, "3D Photography using Context-aware Layered Depth Inpainting") inpaint such a background layer with
a network; here it is propagated from the edge of the discontinuity (`mine.scene.inpaint`).
"""

from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mine.network.disparity.quantile import quantile
from mine.render import join
from mine.render.reference import LAST_INTERVAL, OPAQUE
from mine.scene.inpaint import DISCONTINUITY, INPAINT_REACH, Background, neighbours_at, propagated_background

SHELL_RADIUS = 2
"""Radius, in pixels of the planes, of the window whose farthest disparity is the back of a surface."""

FARTHEST_QUANTILE = 0.01
"""Quantile of a map's disparities at which the last plane lies; what is farther is on the last plane."""

FARTHEST_MAXIMUM = 0.9
"""Largest disparity of the last plane: planes stay distinct in front of a scene without depth."""


def plane_disparities(disparity_map: Float[Tensor, "1 1 H W"], planes: int) -> Float[Tensor, " S"]:
    """Spreads planes over the disparities of a map.

    Args:
        disparity_map: Relative disparity in (0, 1], the nearest surface at 1.
        planes: Number S of planes.

    Returns:
        Disparities at even steps from 1 down to the map's quantile `FARTHEST_QUANTILE`.
    """
    farthest = quantile(disparity_map.flatten(1), FARTHEST_QUANTILE).clamp(max=FARTHEST_MAXIMUM)
    return torch.linspace(1, float(farthest), planes, dtype=disparity_map.dtype, device=disparity_map.device)


class LiftedPlanes(NamedTuple):
    """Planes before their opacity becomes density."""

    rgb: Float[Tensor, "B S 3 H W"]
    """Colours in [0, 1]"""
    opacity: Float[Tensor, "B S H W"]
    """Opacity α in [0, 1]; the last plane's is 1"""
    visible: Bool[Tensor, "B S H W"]
    """Whether a plane belongs to the visible surface rather than to the background"""


def lift_to_mpi(
    image: Float[Tensor, "B 3 H W"], disparity_map: Float[Tensor, "B 1 H W"], disparity: Float[Tensor, "B S"]
) -> Float[Tensor, "B S 4 H W"]:
    """Converts photos and their disparity maps to planes; the module docstring has the equations.

    Args:
        image: RGB in [0, 1]; H and W are even.
        disparity_map: Disparity of the surface that each pixel shows, in 1 / scene units.
        disparity: Disparities of the planes in 1 / scene units, strictly descending.

    Returns:
        RGB in [0, 1], then density σ ≥ 0 per scene unit. The last plane is opaque everywhere.
    """
    background = propagated_background(image, disparity_map, INPAINT_REACH)
    return to_planes(lift(image, disparity_map, disparity, background), disparity)


def lift(
    image: Float[Tensor, "B 3 H W"],
    disparity_map: Float[Tensor, "B 1 H W"],
    disparity: Float[Tensor, "B S"],
    background: Background,
) -> LiftedPlanes:
    """Colours and opacities of planes; arguments as those of `lift_to_mpi`, and what lies behind the surface."""
    size = image.shape[-2:]
    behind, colour = (F.interpolate(x, size, mode="bilinear") for x in background)
    behind = torch.minimum(behind, disparity_map)
    previous = torch.cat([disparity.new_full((len(disparity), 1), torch.inf), disparity[:, :-1]], dim=1)
    # Plane i belongs to the visible surface unless the plane before it already lies behind the surface's back.
    visible = previous[:, :, None, None] > _shell_back(disparity_map)
    opacity = torch.maximum(visible * _opacity(disparity_map, disparity), _opacity(behind, disparity))
    return LiftedPlanes(torch.where(visible[:, :, None], image[:, None], colour[:, None]), opacity, visible)


def to_planes(lifted: LiftedPlanes, disparity: Float[Tensor, "B S"]) -> Float[Tensor, "B S 4 H W"]:
    """Planes of colour and density; `disparity` as in `lift_to_mpi`."""
    return join(lifted.rgb, _density(lifted.opacity, disparity)[:, :, None])


def scale_density(planes: Float[Tensor, "B S 4 H W"], unit: float) -> None:
    """Makes the densities of planes at relative disparities those per scene unit, in place.

    Behind the last plane lies an interval of `LAST_INTERVAL` scene units, however long these are: where they are short
    (scenes kilometres away, in metres), that plane keeps the density with which it is opaque.

    Args:
        planes: RGB, then density per relative unit of depth; see `to_planes`.
        unit: Disparity in 1 / scene units that relative disparity 1 stands for.
    """
    planes[:, :-1, 3] *= unit
    planes[:, -1, 3] *= max(unit, 1 / LAST_INTERVAL)


def _shell_back(disparity_map: Tensor) -> Tensor:
    """Disparity (B, 1, H, W) of the back of each surface: its farthest point within `SHELL_RADIUS` pixels."""
    back, steps = disparity_map, range(-SHELL_RADIUS, SHELL_RADIUS + 1)
    for neighbour in neighbours_at(disparity_map, product(steps, steps)):
        same_surface = neighbour > disparity_map / DISCONTINUITY
        back = torch.where(same_surface, torch.minimum(back, neighbour), back)
    return back


def _opacity(layer: Tensor, disparity: Tensor) -> Tensor:
    """Opacity (B, S, H, W) of planes at disparity (B, S) for a layer at disparities (B, 1, H, W), and behind it 1."""
    step = (disparity[:, :-1] - disparity[:, 1:])[:, :, None, None]
    opacity = ((layer - disparity[:, 1:, None, None]) / step).clamp(0, 1)
    return torch.cat([opacity, torch.ones_like(layer)], dim=1)


def _density(opacity: Tensor, disparity: Tensor) -> Tensor:
    """Density σ = -log(1 - α) / Δz of planes with opacity α (B, S, H, W); Δz of the last plane is 1."""
    depth = 1 / disparity
    step = torch.cat([depth[:, 1:] - depth[:, :-1], torch.ones_like(depth[:, :1])], dim=1)
    return -torch.log1p(-opacity.clamp(max=1 - torch.e**-OPAQUE)) / step[:, :, None, None]
