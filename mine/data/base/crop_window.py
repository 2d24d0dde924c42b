"""Crop windows: the part of an image that a sample shows."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mine.data.arrays import Float64s, Size
from mine.scene.camera import resize_intrinsics


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge, as Pillow has them."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def intrinsics(self, K: Float64s, size: Size) -> Float64s:
        """Intrinsics (3, 3) of this window resized to `size` (H, W), from those of the whole image, K (3, 3)."""
        moved = torch.from_numpy(K - np.array([[0, 0, self.left], [0, 0, self.top], [0, 0, 0]]))
        return resize_intrinsics(moved, (self.height, self.width), size).numpy()

    def contains(self, pixel: Float64s) -> NDArray[np.bool_]:
        """Whether each of the image coordinates (2, N) lies in the window, (N,)."""
        offset = pixel + 0.5 - np.array([[self.left], [self.top]])
        inside: NDArray[np.bool_] = ((offset >= 0) & (offset < np.array([[self.width], [self.height]]))).all(0)
        return inside


def fit_window(image: Size, aspect: Size, zoom: float, centre: tuple[float, float] | Float64s) -> Window:
    """The crop window of an aspect ratio around a point.

    Args:
        image: (H, W) of the image.
        aspect: (H, W) in whose ratio the window is.
        zoom: Its size, as a fraction of the largest such window.
        centre: Its centre (x, y) in pixels, or as near to it as the image's edges allow.
    """
    height, width = image
    scale = zoom * min(height / aspect[0], width / aspect[1])
    h, w = round(scale * aspect[0]), round(scale * aspect[1])
    left = round(min(max(centre[0] + 0.5 - w / 2, 0), width - w))
    top = round(min(max(centre[1] + 0.5 - h / 2, 0), height - h))
    return Window(left, top, w, h)
