"""From a surface to planes: what the photo shows, and behind its edges what it must hide.

A surface of disparity D becomes two planes of every ray: the one just behind it, opaque, and the one just before it,
as opaque as it takes for their mean disparity to be D. So no step between planes shows, however few there are. A
surface is as thick as it takes to be closed where it slopes, and no thicker: seen from the side, thickness repeats its
edges. Behind a jump of depth there must be something too: the farther side, continued under the nearer one
(`inpaint_background`).
"""

from collections.abc import Iterable, Iterator
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.render import join

JUMP = 1.1
"""Ratio of neighbouring disparities from which on one surface hides another."""

SLOPE = 2
"""Distance, in pixels, to which neighbours on the same surface make it thicker."""

REACH = 16
"""How far, in pixels of half the planes' resolution, a hidden surface goes on under what hides it."""

PATIENCE = 4
"""For how many such pixels more one waits for a side that is still farther: as wide as a chimney, not as a lake."""

OPAQUE = 12.0
"""Optical depth of a plane that nothing passes."""

FARTHEST_SHARE = 0.01
"""Share of a photo's pixels that may lie behind the last plane, and are drawn on it."""


def plane_disparities(surface: Tensor, planes: int) -> Tensor:
    """Disparities (S,) of planes at even steps over those of a surface (1, 1, H, W), the nearest at 1."""
    farthest = torch.quantile(surface.flatten(), FARTHEST_SHARE).clamp(max=0.9)
    return torch.linspace(1, float(farthest), planes, device=surface.device)


def lift_to_mpi(image: Tensor, surface: Tensor, disparity: Tensor) -> Tensor:
    """Planes (B, S, 4, H, W), RGB in [0, 1], then σ ≥ 0, at disparity (B, S), descending.

    image (B, 3, H, W); surface (B, 1, H, W), the disparity of what each pixel shows. Planes farther than all of the
    surface stay empty but for the last one, which is opaque.
    """
    half = (image.shape[-2] // 2, image.shape[-1] // 2)
    below, colour = inpaint_background(
        F.interpolate(surface, half, mode="area"), F.interpolate(image, half, mode="area")
    )
    size = image.shape[-2:]
    colour = F.interpolate(colour, size, mode="bilinear")
    below = torch.minimum(F.interpolate(below, size, mode="bilinear"), surface)
    nearer = torch.cat([disparity.new_full((len(disparity), 1), torch.inf), disparity[:, :-1]], dim=1)
    front = nearer[:, :, None, None] > _back(surface)
    opacity = torch.maximum(front * _opacity(surface, disparity), _opacity(below, disparity))
    rgb = torch.where(front[:, :, None], image[:, None], colour[:, None])
    return join(rgb, _density(opacity, disparity)[:, :, None])


def _back(surface: Tensor) -> Tensor:
    """Disparity (B, 1, H, W) of the farthest neighbours that belong to the same surface (B, 1, H, W)."""
    back, steps = surface, range(-SLOPE, SLOPE + 1)
    for neighbour in _neighbours(surface, product(steps, steps)):
        back = torch.where(neighbour > surface / JUMP, torch.minimum(back, neighbour), back)
    return back


def _neighbours(x: Tensor, offsets: Iterable[tuple[int, int]]) -> Iterator[Tensor]:
    """x (B, C, H, W) as seen from each pixel at some `offsets` (down, across), of at most SLOPE pixels."""
    padded = F.pad(x, [SLOPE] * 4, mode="replicate")
    for dy, dx in offsets:
        yield padded[..., SLOPE + dy :, SLOPE + dx :][..., : x.shape[-2], : x.shape[-1]]


def _opacity(surface: Tensor, disparity: Tensor) -> Tensor:
    """Opacity (B, S, H, W) of planes at disparity (B, S) in front of and behind a surface (B, 1, H, W)."""
    step = (disparity[:, :-1] - disparity[:, 1:])[:, :, None, None]
    opacity = ((surface - disparity[:, 1:, None, None]) / step).clamp(0, 1)
    return torch.cat([opacity, torch.ones_like(surface)], dim=1)


def _density(opacity: Tensor, disparity: Tensor) -> Tensor:
    """σ of planes with this opacity along their normal: 1 - exp(-σ Δz), Δz to the next plane."""
    depth = 1 / disparity
    step = torch.cat([depth[:, 1:] - depth[:, :-1], torch.ones_like(depth[:, :1])], dim=1)
    return -torch.log1p(-opacity.clamp(max=1 - torch.e**-OPAQUE)) / step[:, :, None, None]


def inpaint_background(surface: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Disparity (B, 1, H, W) and colour (B, 3, H, W) of what lies behind, within REACH of a jump of depth.

    Each pixel next to one that shows or hides something farther by JUMP takes that over, then the pixels next to it in
    their turn, and so on; of several, the farthest counts, if it comes from hardly farther away. Elsewhere nothing is
    hidden, and both are the surface's own. surface (B, 1, H, W), image (B, 3, H, W).
    """
    nearest = F.max_pool2d(surface, 3, 1, 1)
    # At an edge a photo's pixels are a mixture of both sides: those on the far side count as hidden too.
    clear = nearest <= JUMP * surface
    known = torch.cat([surface, image, clear.to(surface)], dim=1)
    reached = torch.full_like(surface, REACH)
    for distance in range(REACH):
        neighbours = torch.stack([*_neighbours(known, ((-1, 0), (1, 0), (0, -1), (0, 1)))])
        farther = (neighbours[:, :, :1] < nearest / JUMP) & (neighbours[:, :, 4:] > 0)
        farthest = JUMP * torch.where(farther, neighbours[:, :, :1], torch.inf).amin(0)
        chosen = (farther & (neighbours[:, :, :1] <= farthest)).to(known)
        new = (chosen.sum(0) > 0) & ((farthest < known[:, :1]) | (known[:, 4:] == 0)) & (distance <= reached + PATIENCE)
        reached = torch.where(new, reached.clamp(max=distance), reached)
        known = torch.where(new, (chosen * neighbours).sum(0) / chosen.sum(0).clamp(min=1), known)
    return known[:, :1], known[:, 1:4]
