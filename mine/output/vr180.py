"""VR180: for each eye, half a sphere in equirectangular projection, with the photo in its middle.

A headset shows the picture at its true angles. The photo covers its own field of view; its borders fade to black.
"""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from mine.errors import InputError
from mine.scene.mpi import MPI

EYE_SIDE = 1920
"""Pixels a side of one eye's half sphere: 10.7 a degree."""

FADE = 0.06
"""Width of the faded border, as a share of the photo's shorter side."""

OVERSAMPLING = 1.25
"""Resolution of the views in the middle of the picture, in that of the half sphere."""


class HalfSphere:
    """Projects views of a scene's source camera, or of cameras with its field of view, to half spheres.

    Args:
        scene: The scene.
        side: Pixels a side of a half sphere, made even.

    Raises:
        InputError: The photo's field of view is less than a pixel.

    Attributes:
        view_size: (H, W) of the views to render.
    """

    def __init__(self, scene: MPI, side: int) -> None:
        self.side = max(2, 2 * round(side / 2))
        height, width = scene.size
        K = scene.intrinsics(scene.size)
        # A pixel of the half sphere is pi / side wide, one in the middle of a view 1 / focal.
        scale = OVERSAMPLING * self.side / math.pi / float(K[0, 0])
        self.view_size = (max(2, round(height * scale)), max(2, round(width * scale)))
        self._map, self._weight = self._projection(scene.intrinsics(self.view_size).double().cpu().numpy())

    def _projection(self, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a view shows in the half sphere.

        Returns:
            The pixel of the view (h, w, 2) and the weight (h, w, 1) that fades, for the pixels of the rectangle
            `_rows`, `_columns` of the half sphere, outside which there is nothing.
        """
        angle = ((np.arange(self.side) + 0.5) / self.side - 0.5) * np.pi
        longitude, latitude = np.meshgrid(angle, angle)  # to the right, and down
        x, y, z = np.cos(latitude) * np.sin(longitude), np.sin(latitude), np.cos(latitude) * np.cos(longitude)
        z = np.maximum(z, 1e-6)
        pixel = np.stack([x / z, y / z, np.ones_like(z)], axis=-1) @ K[:2].T
        height, width = self.view_size
        inside = np.minimum(
            np.minimum(pixel[..., 0] + 0.5, width - 0.5 - pixel[..., 0]),
            np.minimum(pixel[..., 1] + 0.5, height - 0.5 - pixel[..., 1]),
        )
        fade = np.clip(inside / (FADE * min(height, width)), 0, 1)
        smooth = fade * fade * (3 - 2 * fade)
        if not smooth.any():
            raise InputError(
                f"the photo is less than a pixel of a half sphere of {self.side}: give a larger size or field of view"
            )
        rows, columns = np.flatnonzero(smooth.max(axis=1)), np.flatnonzero(smooth.max(axis=0))
        self._rows, self._columns = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        shown = (self._rows, self._columns)
        return pixel[shown].astype(np.float32), smooth[shown].astype(np.float32)[..., None]

    def project(self, view: Tensor) -> Tensor:
        """A view (3, H, W) in [0, 1] as a half sphere (3, side, side), uint8."""
        image = view.movedim(0, -1).contiguous().cpu().numpy()
        x, y = self._map[..., 0], self._map[..., 1]
        shown = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        levels = np.clip(np.rint(shown * (255 * self._weight)), 0, 255).astype(np.uint8)
        sphere = torch.zeros(3, self.side, self.side, dtype=torch.uint8)  # most of it is empty: floats take a second
        sphere[:, self._rows, self._columns] = torch.from_numpy(levels).movedim(-1, 0)
        return sphere

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        """Views (N, 3, H, W) of both eyes as half spheres side by side (N, 3, side, 2 side), uint8."""
        pairs = zip(left, right, strict=True)
        return torch.stack([torch.cat([self.project(one), self.project(other)], dim=2) for one, other in pairs])
