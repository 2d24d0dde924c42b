"""Inpainting of the background layer: disparity and colour of what the photo hides behind depth discontinuities.

Disparity and mean colour are propagated from the discontinuity, pixel by pixel; `mine.scene.mirror` adds texture.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.render.reference import pixel_grid

DISCONTINUITY = 1.1
"""Least ratio of the disparities of neighbouring pixels that belong to two surfaces, one occluding the other."""

RELIEF_SHARE = 0.25
"""Share of the log-ratio of disparities around a pixel up to which a step is relief, and no discontinuity."""

MOST_RELIEF = 1.25
"""Ratio of disparities from which on a step is a discontinuity, whatever is around it."""

RELIEF_RADIUS = 16
"""Pixels of a disparity map from a pixel within which larger steps make smaller ones relief."""

INPAINT_REACH = 16
"""Width of the inpainted background behind a discontinuity, in pixels of half the planes' resolution."""

INPAINT_PATIENCE = 4
"""Iterations, of one such pixel each, for which a farther surface may still replace what was inpainted: behind a thin
foreground lies the farther of its two sides, behind each edge of a wide one that edge's own side."""

REACH = 28
"""`INPAINT_REACH` of learned backgrounds and of large views: as wide as what the default camera path uncovers in a view
1920 pixels wide."""

LEAST_STEP = 1.05
"""Ratio of disparities from which on what is inpainted behind a surface counts as another surface."""

ADJACENT = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Offsets of the four neighbours of a pixel."""

MAX_OFFSET = 3
"""Largest offset of a neighbour, in pixels."""


class Background(NamedTuple):
    """The surface behind the visible one; where there is none, the visible one."""

    disparity: Float[Tensor, "B 1 H W"]
    """In 1 / scene units, at most that of the visible surface"""
    rgb: Float[Tensor, "B 3 H W"]
    """Colours in [0, 1]"""


class Propagated(NamedTuple):
    """A background, and where it was propagated from."""

    disparity: Float[Tensor, "B 1 H W"]
    """In 1 / scene units, at most that of the visible surface"""
    rgb: Float[Tensor, "B 3 H W"]
    """Colours in [0, 1]"""
    source: Float[Tensor, "B 2 H W"]
    """Visible pixel (x, y) that a pixel's background comes from; its own where nothing is inpainted"""


def propagated_background(
    image: Float[Tensor, "B 3 H W"], disparity_map: Float[Tensor, "B 1 H W"], reach: int
) -> Background:
    """`propagate_background` at half the resolution of a photo and its disparity map.

    Args:
        image: RGB in [0, 1]; H and W are even.
        disparity_map: Disparity of the visible surface.
        reach: Width of the inpainted background, in pixels of half the resolution.

    Returns:
        The background, (B, C, H / 2, W / 2).
    """
    half = (image.shape[-2] // 2, image.shape[-1] // 2)
    shrunk_map, shrunk = (F.interpolate(x, half, mode="area") for x in (disparity_map, image))
    found = propagate_background(shrunk_map, shrunk, reach)
    return Background(found.disparity, found.rgb)


def propagate_background(
    disparity_map: Float[Tensor, "B 1 H W"], image: Float[Tensor, "B 3 H W"], reach: int = INPAINT_REACH
) -> Propagated:
    """Inpaints what lies behind the visible surface, within `reach` pixels of a depth discontinuity.

    In each of `reach` iterations, a pixel takes over the background of those of its four neighbours that are
    farther than the surface in front of it by `least_discontinuity`: the mean of the farthest one and of those within
    the ratio `DISCONTINUITY` of it, and the nearest of their sources. A background that is farther still may replace
    one that was found at most `INPAINT_PATIENCE` iterations before.

    Args:
        disparity_map: Disparity of the visible surface, at half the resolution of a network's map.
        image: RGB in [0, 1].
        reach: Width of the inpainted background, in pixels.

    Returns:
        Disparity and colour of the background. Where nothing is inpainted they are those of the visible surface.
    """
    # In front of a pixel is the nearest surface in its 3x3 window: at an edge, a photo's pixels mix both sides.
    foreground = F.max_pool2d(disparity_map, 3, 1, 1)
    ratio = least_discontinuity(disparity_map, RELIEF_RADIUS // 2)
    unmixed = foreground <= ratio * disparity_map
    layer = torch.cat([disparity_map, image, unmixed.to(disparity_map)], dim=1)  # disparity, RGB, whether it is usable
    found = torch.full_like(disparity_map, reach)  # iteration in which a pixel was first inpainted
    size = (disparity_map.shape[-2], disparity_map.shape[-1])
    pixels = pixel_grid(size, disparity_map)[:2].expand(len(disparity_map), -1, -1, -1)
    source = pixels
    visible, front, own = (torch.stack([*neighbours_at(x, ADJACENT)]) for x in (layer, foreground, pixels))
    beyond = (front * ratio < foreground) & (visible[:, :, 4:] > 0)
    for iteration in range(reach):
        # From a usable pixel beyond a discontinuity comes what it shows, and not what was inpainted behind it.
        neighbours = torch.where(beyond, visible, torch.stack([*neighbours_at(layer, ADJACENT)]))
        occluded = (neighbours[:, :, :1] < foreground / ratio) & (neighbours[:, :, 4:] > 0)
        limit = DISCONTINUITY * torch.where(occluded, neighbours[:, :, :1], torch.inf).amin(0)
        chosen = (occluded & (neighbours[:, :, :1] <= limit)).to(layer)
        farther = (limit < layer[:, :1]) | (layer[:, 4:] == 0)
        replaced = (chosen.sum(0) > 0) & farther & (iteration <= found + INPAINT_PATIENCE)
        found = torch.where(replaced, found.clamp(max=iteration), found)
        sources = torch.where(beyond, own, torch.stack([*neighbours_at(source, ADJACENT)]))
        distance = torch.where(chosen > 0, (sources - pixels).square().sum(2, keepdim=True), torch.inf)
        nearest = distance.argmin(0, keepdim=True).expand_as(sources[:1])
        source = torch.where(replaced, sources.gather(0, nearest)[0], source)
        layer = torch.where(replaced, (chosen * neighbours).sum(0) / chosen.sum(0).clamp(min=1), layer)
    return Propagated(layer[:, :1], layer[:, 1:4], source)


def least_discontinuity(
    disparity_map: Float[Tensor, "B 1 H W"], radius: int = RELIEF_RADIUS
) -> Float[Tensor, "B 1 H W"]:
    """Least ratio of the disparities of neighbouring pixels that belong to two surfaces, at each pixel of a map.

    A wall before the sky has relief, and maps bend along its outline. If that counted as a discontinuity, the sky would
    show through the wall. In shallow scenes, steps as small are occlusions.

    Args:
        disparity_map: Positive disparities.
        radius: Pixels within which larger steps are looked for.

    Returns:
        `DISCONTINUITY`, or up to `MOST_RELIEF` beside larger steps.
    """
    log_disparity = disparity_map.log()
    log_ratio = _largest_around(log_disparity, radius) + _largest_around(-log_disparity, radius)
    return (RELIEF_SHARE * log_ratio).clamp(math.log(DISCONTINUITY), math.log(MOST_RELIEF)).exp()


def _largest_around(x: Tensor, radius: int) -> Tensor:
    """Largest value of x (B, C, H, W) within `radius` columns, and of these within `radius` rows."""
    side = 2 * radius + 1
    return F.max_pool2d(F.max_pool2d(x, (1, side), 1, (0, radius)), (side, 1), 1, (radius, 0))


def is_behind(background: Tensor, visible: Tensor) -> Tensor:
    """Where a background counts as another surface than the visible one, by the disparities of both."""
    return background * LEAST_STEP < visible


def neighbours_at(x: Tensor, offsets: Iterable[tuple[int, int]]) -> Iterator[Tensor]:
    """x (B, C, H, W) shifted by each of `offsets` (rows, columns), padded by replication."""
    padded = F.pad(x, [MAX_OFFSET] * 4, mode="replicate")
    for dy, dx in offsets:
        yield padded[..., MAX_OFFSET + dy :, MAX_OFFSET + dx :][..., : x.shape[-2], : x.shape[-1]]
