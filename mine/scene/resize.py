"""Resizing of images."""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor


def resize(image: Shaped[Tensor, "C H W"], size: tuple[int, int]) -> Float[Tensor, "C h w"]:
    """Image resized to `size` (h, w), bilinear, antialiased when shrinking; outer edges stay in place."""
    return F.interpolate(image.float()[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


def size_within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """`size` (H, W) shrunk in its aspect so that neither side exceeds `longest`; at least 2 pixels a side."""
    shrink = min(1.0, longest / max(size))
    return max(2, round(size[0] * shrink)), max(2, round(size[1] * shrink))
