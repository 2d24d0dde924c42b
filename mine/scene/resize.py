"""Resizing of images."""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor


def resize(image: Shaped[Tensor, "C H W"], size: tuple[int, int]) -> Float[Tensor, "C h w"]:
    """Image resized to `size` (h, w), bilinear, antialiased when shrinking; outer edges stay in place."""
    return F.interpolate(image.float()[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
