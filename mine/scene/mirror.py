"""Texture of the inpainted background: the visible background, mirrored at the discontinuity.

A colour that is propagated from the discontinuity makes streaks. A mirror image continues the background with its own
texture and without a seam, as reflection padding continues an image: behind the pixel p, whose background comes across
the border point e, lies what the photo shows at 2e - p. Where that is another surface, the propagated colour stays.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.render.reference import pixel_grid, sample
from mine.scene.inpaint import Propagated

SAME_SURFACE = 1.25
"""Ratio of disparities up to which what is mirrored is of the background's surface."""

BORDER = 1.5
"""Pixels from a source to the border of what hides the background: beside the source is a pixel that shows both."""

MOST_SPREAD = 6
"""Columns or rows by which sources within a 3x3 window may differ: at more, two mirror images meet."""


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
    size = (image.shape[-2], image.shape[-1])
    scale = image.new_tensor([size[1] / disparity_map.shape[-1], size[0] / disparity_map.shape[-2]])[:, None, None]
    offset, share = _mirror_offsets(found, disparity_map)
    offset, share, colour = (F.interpolate(x, size, mode="bilinear") for x in (offset, share, found.rgb))
    mirrored = sample(image, (pixel_grid(size, image)[:2] + scale * offset).movedim(1, -1))
    return colour + share * (mirrored - colour)


def _mirror_offsets(found: Propagated, disparity_map: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets 2 (e - p) of the mirror images (B, 2, h, w), continuous, and the share (B, 1, h, w) that these have."""
    size = (disparity_map.shape[-2], disparity_map.shape[-1])
    pixels = pixel_grid(size, disparity_map)[:2]
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
    shown = sample(disparity_map, position.round().movedim(1, -1))
    corner = position.new_tensor([size[1] - 1, size[0] - 1])[:, None, None]
    is_inside = ((position >= 0) & (position <= corner)).all(1, keepdim=True)
    same = (shown < SAME_SURFACE * found.disparity) & (shown * SAME_SURFACE > found.disparity) & is_inside
    is_even = (highest + lowest <= MOST_SPREAD).all(1, keepdim=True)
    usable = (~inpainted | (same & is_even)).float()
    return offset, -F.max_pool2d(-usable, 3, 1, 1)
