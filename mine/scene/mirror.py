"""Texture of the inpainted background: the visible background, mirrored at the discontinuity.

A colour that is propagated from the discontinuity makes streaks. A mirror image continues the background with its own
texture and without a seam, as reflection padding continues an image: behind the pixel p, whose background comes across
the border point e, lies what the photo shows at 2e - p. Where that is another surface, the propagated colour stays.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.scene.inpaint import Propagated, pixel_grid

SAME_SURFACE = 1.25
"""Ratio of disparities up to which what is mirrored is of the background's surface."""

BORDER = 1.5
"""Pixels from a source to the border of what hides the background: beside the source is a pixel that shows both."""

MOST_SPREAD = 6
"""Rows or columns by which sources within a 3x3 window may differ: at more, two mirror images meet."""


def mirrored_colour(
    found: Propagated, disparity_map: Float[Tensor, "B 1 h w"], image: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B 3 H W"]:
    """Colours of a background at the resolution of the photo.

    Args:
        found: The background, as it was propagated.
        disparity_map: Disparity of the visible surface that it was propagated behind.
        image: RGB in [0, 1], of the same or a higher resolution.

    Returns:
        Mirrored colours, and the propagated ones where there are none; the photo's where nothing is inpainted.
    """
    size = image.shape[-2:]
    map_size = (disparity_map.shape[-2], disparity_map.shape[-1])
    offset, share = _mirror_offsets(found, disparity_map)
    offset, share, colour = (F.interpolate(x, size, mode="bilinear") for x in (offset, share, found.rgb))
    scale = offset.new_tensor([map_size[0] / size[0], map_size[1] / size[1]])[:, None, None]
    position = (pixel_grid(image) + 0.5) * scale - 0.5 + offset
    mirrored = sample_at(image, position, map_size, "bilinear")
    return colour + share * (mirrored - colour)


def _mirror_offsets(found: Propagated, disparity_map: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets 2 (e - p) of the mirror images (B, 2, h, w), continuous, and the share (B, 1, h, w) that these have."""
    pixels = pixel_grid(disparity_map)
    inpainted = (found.source != pixels).any(1, keepdim=True)
    weight = F.avg_pool2d(inpainted.float(), 3, 1, 1)
    mean = F.avg_pool2d(found.source * inpainted, 3, 1, 1) / weight.clamp(min=1e-6)
    highest, lowest = (
        F.max_pool2d(torch.where(inpainted, x, -torch.inf), 3, 1, 1) for x in (found.source, -found.source)
    )
    toward = mean - pixels
    distance = toward.square().sum(1, keepdim=True).sqrt()
    beyond = (1 - BORDER / distance.clamp(min=1e-6)).clamp(min=0)
    offset = torch.where(inpainted, 2 * toward * beyond, 0)
    position = pixels + offset
    size = (disparity_map.shape[-2], disparity_map.shape[-1])
    shown = sample_at(disparity_map, position, size, "nearest")
    corner = position.new_tensor([size[0] - 1, size[1] - 1])[:, None, None]
    is_inside = ((position >= 0) & (position <= corner)).all(1, keepdim=True)
    same = (shown < SAME_SURFACE * found.disparity) & (shown * SAME_SURFACE > found.disparity) & is_inside
    is_even = (highest + lowest <= MOST_SPREAD).all(1, keepdim=True)
    usable = (~inpainted | (same & is_even)).float()
    return offset, -F.max_pool2d(-usable, 3, 1, 1)


def sample_at(
    x: Float[Tensor, "B C H W"], position: Float[Tensor, "B 2 h w"], size: tuple[int, int], mode: str
) -> Float[Tensor, "B C h w"]:
    """Samples maps at rows and columns of pixels of `size` (H, W), whatever the resolution of the maps."""
    y, x_ = ((position[:, i] + 0.5) * (2 / size[i]) - 1 for i in range(2))
    grid = torch.stack([x_, y], dim=-1)
    return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)
