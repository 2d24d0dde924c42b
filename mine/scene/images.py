"""Sizes of images: resizing, and the size at which a network sees a photo."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

MULTIPLE = 128
"""Both sides of the network's input are multiples of this: it halves them seven times."""


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Image (C, H, W) resized to `size` (H, W), antialiased when shrinking, edge to edge."""
    return F.interpolate(image.float()[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


def network_size(height: int, width: int, area: int = 384 * 256) -> tuple[int, int]:
    """(H, W) at which the network sees a photo of height x width: multiples of 128, about `area` ≥ 128² pixels.

    Photos are resized to it whatever their shape. Of all sizes of at most 4 area, it is the one with the least
    2 |log(aspect / photo's aspect)| + |log(pixels / area)|: distortion counts double. Of two equals the larger wins.
    """
    sides = range(MULTIPLE, 4 * area // MULTIPLE + 1, MULTIPLE)
    sizes = np.array([(h, w) for h in sides for w in sides if h * w <= 4 * area])
    aspect = np.log(sizes[:, 1] / sizes[:, 0] / (width / height))
    pixels = np.log(sizes.prod(axis=1) / area)
    cost = (2 * np.abs(aspect) + np.abs(pixels)).round(6)
    best = np.lexsort((-pixels, cost))[0]
    return int(sizes[best, 0]), int(sizes[best, 1])
