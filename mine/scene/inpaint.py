"""Inpainting of the background layer: disparity and colour of what the photo hides behind depth discontinuities."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DISCONTINUITY = 1.1
"""Least ratio of the disparities of neighbouring pixels that belong to two surfaces, one occluding the other."""

INPAINT_REACH = 16
"""Width of the inpainted background behind a discontinuity, in pixels of half the planes' resolution."""

INPAINT_PATIENCE = 4
"""Iterations, of one such pixel each, for which a farther surface may still replace what was inpainted: behind a thin
foreground lies the farther of its two sides, behind each edge of a wide one that edge's own side."""

MAX_OFFSET = 3
"""Largest offset of a neighbour, in pixels."""


def inpaint_background(
    disparity_map: Float[Tensor, "B 1 H W"], image: Float[Tensor, "B 3 H W"], reach: int = INPAINT_REACH
) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 3 H W"]]:
    """Inpaints what lies behind the visible surface, within `reach` pixels of a depth discontinuity.

    In each of `reach` iterations, a pixel takes over the background of those of its four neighbours that are
    farther than the surface in front of it by `DISCONTINUITY`: the mean of the farthest one and of those within the
    ratio `DISCONTINUITY` of it. A background that is farther still may replace one that was found at most
    `INPAINT_PATIENCE` iterations before.

    Args:
        disparity_map: Disparity of the visible surface.
        image: RGB in [0, 1].
        reach: Width of the inpainted background, in pixels.

    Returns:
        Disparity and colour of the background. Where nothing is inpainted they are those of the visible surface.
    """
    # In front of a pixel is the nearest surface in its 3x3 window: at an edge, a photo's pixels mix both sides.
    foreground = F.max_pool2d(disparity_map, 3, 1, 1)
    unmixed = foreground <= DISCONTINUITY * disparity_map
    layer = torch.cat([disparity_map, image, unmixed.to(disparity_map)], dim=1)  # disparity, RGB, whether it is usable
    found = torch.full_like(disparity_map, reach)  # iteration in which a pixel was first inpainted
    for iteration in range(reach):
        neighbours = torch.stack([*neighbours_at(layer, ((-1, 0), (1, 0), (0, -1), (0, 1)))])
        occluded = (neighbours[:, :, :1] < foreground / DISCONTINUITY) & (neighbours[:, :, 4:] > 0)
        limit = DISCONTINUITY * torch.where(occluded, neighbours[:, :, :1], torch.inf).amin(0)
        chosen = (occluded & (neighbours[:, :, :1] <= limit)).to(layer)
        farther = (limit < layer[:, :1]) | (layer[:, 4:] == 0)
        replaced = (chosen.sum(0) > 0) & farther & (iteration <= found + INPAINT_PATIENCE)
        found = torch.where(replaced, found.clamp(max=iteration), found)
        layer = torch.where(replaced, (chosen * neighbours).sum(0) / chosen.sum(0).clamp(min=1), layer)
    return layer[:, :1], layer[:, 1:4]


def neighbours_at(x: Tensor, offsets: Iterable[tuple[int, int]]) -> Iterator[Tensor]:
    """x (B, C, H, W) shifted by each of `offsets` (rows, columns), padded by replication."""
    padded = F.pad(x, [MAX_OFFSET] * 4, mode="replicate")
    for dy, dx in offsets:
        yield padded[..., MAX_OFFSET + dy :, MAX_OFFSET + dx :][..., : x.shape[-2], : x.shape[-1]]
