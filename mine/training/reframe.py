"""Random frames within a picture: zoomed, rolled, landscape or portrait, at several resolutions.

A roll about the optical axis and a zoom change no order of depths, and depth itself only by a factor, which surface
networks are not judged by.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.draw import Draw

ROLL = math.radians(6)
"""Standard deviation of the roll."""

SMALLEST = 0.6
"""Smallest frame, as a share of the largest that fits."""


@dataclass(frozen=True)
class Frame:
    """One frame of size (H', W') per picture of a batch of size (H, W).

    to_picture: (B, 2, 3), pixels of the picture from pixels of the frame; both count from the middle.
    """

    to_picture: Tensor
    size: tuple[int, int]
    picture: tuple[int, int]

    @staticmethod
    def draw(picture: tuple[int, int], size: tuple[int, int], draw: Draw) -> "Frame":
        """Random frames of `size` within pictures of size `picture` (a rolled one may reach over the border)."""
        share, across, down = draw.uniform(3).T
        roll = ROLL * draw.normal()
        scale = min(picture[0] / size[0], picture[1] / size[1]) * (SMALLEST + (1 - SMALLEST) * share)
        free = [length - scale * side for length, side in zip(picture, size, strict=True)]
        shift = torch.stack([(across - 0.5) * free[1], (down - 0.5) * free[0]], dim=-1)
        cos, sin = scale * torch.cos(roll), scale * torch.sin(roll)
        turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=-2)
        return Frame(torch.cat([turn, shift[..., None]], dim=-1), size, picture)

    def cut(self, image: Tensor) -> Tensor:
        """What pictures (B, C, H, W) show in the frames: (B, C, H', W'), continued by reflection beyond borders."""
        # Shrunk first, as sampling skips pixels.
        shrink = min(1.0, 1 / float(self.to_picture[:, :, 0].norm(dim=1).mean()))
        size = [max(8, round(side * shrink)) for side in self.picture]
        small = F.interpolate(image, size, mode="bilinear", antialias=True) if shrink < 1 else image
        return _sample(small, self.to_picture, self.size, self.picture, "reflection")

    def spread(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """What the frames (B, C, H', W') show, laid over the pictures (B, C, H, W), and where they do (B, 1, H, W)."""
        linear = torch.linalg.inv(self.to_picture[:, :, :2])
        inverse = torch.cat([linear, -linear @ self.to_picture[:, :, 2:]], dim=-1)
        inside = _sample(torch.ones_like(drawn[:, :1]), inverse, self.picture, self.size, "zeros") > 0.99
        return _sample(drawn, inverse, self.picture, self.size, "border"), inside


def _sample(image: Tensor, affine: Tensor, size: tuple[int, int], extent: tuple[int, int], padding: str) -> Tensor:
    """Samples (B, C, *size) of an image that spans `extent` pixels, at places that `affine` gives for each pixel."""
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    place = grid @ affine[:, None, :, :2].mT + affine[:, None, None, :, 2]
    normal = place * torch.tensor([2 / extent[1], 2 / extent[0]])
    return F.grid_sample(image, normal.to(image), padding_mode=padding, align_corners=False)
