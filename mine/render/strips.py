"""Planes in strips: how large planes, of which most texels are empty, are laid out so that they take little memory.

Memory is taken in pages, of 256 texels mostly. Of an image that is stored row by row, a page is 256 pixels of one row:
a surface that crosses planes touches pages of all of them. Of strips of 32 columns a page is a rectangle of 32x8
pixels, which reaches less far across surfaces: 79 planes of 3840x2160, of a photo of many surfaces, took 0.7 GB in
place of 1.7.

A row of a strip ends with a copy of the first texel of the next strip, so that a texel and its right neighbour are
beside each other everywhere.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

STRIP_SHIFT = 5
"""A strip has 1 << STRIP_SHIFT columns."""

STRIP_PITCH = (1 << STRIP_SHIFT) + 1
"""Texels of a row of a strip."""


class StripPlanes(NamedTuple):
    """Planes in strips."""

    texels: Tensor
    """(S, N, 4) float32 on the CPU: RGB in [0, 1], density σ ≥ 0; N is `texel_count(size)`"""
    size: tuple[int, int]
    """(H, W) of the planes"""

    def dense(self) -> Tensor:
        """The planes (S, 4, H, W): much memory."""
        height, width = self.size
        strips = self.texels.view(len(self.texels), -1, height, STRIP_PITCH, 4)[..., :-1, :]
        return strips.permute(0, 4, 2, 1, 3).flatten(3)[..., :width]


def texel_count(size: tuple[int, int]) -> int:
    """Texels that an image of `size` (H, W) has in strips."""
    return math.ceil(size[1] / (1 << STRIP_SHIFT)) * size[0] * STRIP_PITCH


def to_strips(images: Tensor) -> Tensor:
    """Images (B, 1, H, W) in strips, (B, 1, N)."""
    width = images.shape[-1]
    columns = 1 << STRIP_SHIFT
    count = math.ceil(width / columns)
    padded = torch.nn.functional.pad(images, [0, count * columns + 1 - width, 0, 0])
    strips = padded.unfold(3, STRIP_PITCH, columns)  # (B, 1, H, strips, pitch)
    return strips.movedim(3, 2).reshape(*images.shape[:2], -1)
