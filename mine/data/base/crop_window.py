"""Windows of pictures: which part of a picture a sample shows."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mine.scene.camera import resize_intrinsics

Floats = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window of a picture, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom edges."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def intrinsics(self, K: Floats, size: Size) -> Floats:
        """K (3, 3) of the whole picture, for this window resized to `size` (H, W)."""
        moved = torch.from_numpy(K - np.array([[0, 0, self.left], [0, 0, self.top], [0, 0, 0]]))
        return resize_intrinsics(moved, (self.height, self.width), size).numpy()

    def contains(self, pixel: Floats) -> NDArray[np.bool_]:
        """Whether each of the picture's pixels (2, N) lies within the window's edges, (N,)."""
        offset = pixel + 0.5 - np.array([[self.left], [self.top]])
        inside: NDArray[np.bool_] = ((offset >= 0) & (offset < np.array([[self.width], [self.height]]))).all(0)
        return inside


def fit_window(picture: Size, aspect: Size, zoom: float, centre: tuple[float, float] | Floats) -> Window:
    """The window of the shape of `aspect` (H, W), `zoom` times the largest a picture of size (H, W) has.

    It is centred on the pixel `centre` (x, y), or as near to it as the picture's edges allow.
    """
    height, width = picture
    scale = zoom * min(height / aspect[0], width / aspect[1])
    h, w = round(scale * aspect[0]), round(scale * aspect[1])
    left = round(min(max(centre[0] + 0.5 - w / 2, 0), width - w))
    top = round(min(max(centre[1] + 0.5 - h / 2, 0), height - h))
    return Window(left, top, w, h)
