"""Which surface every ray of a camera meets first, and at what depth."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mine.data.worlds.atlas import Atlas
from mine.data.worlds.shapes import NEAR, Array, Rays, Shape


@dataclass
class Camera:
    """A pinhole camera in the world."""

    origin: Array
    """(3,)"""
    rotation: Array
    """(3, 3) world-from-camera"""
    K: Array
    """(3, 3) in pixels"""
    size: tuple[int, int]
    """(H, W)"""


@dataclass
class Hits:
    """What a lattice of rays met: sampled every half pixel, so that even rows and columns fall on pixel centres."""

    rays: Rays
    depth: Tensor
    """(h, w), inf where there is only sky"""
    surface: Tensor
    """(h, w) row of the surface table; 0 is the sky"""


def lattice(camera: Camera, atlas: Atlas, step: float = 0.5) -> Rays:
    """Rays every `step` pixels from half a pixel outside the first pixel's centre to half a pixel beyond the last's."""
    height, width = camera.size
    device = atlas.texels.device
    u = torch.arange(round((width - 1 + 2 * 0.5) / step) + 1, device=device) * step - 0.5
    v = torch.arange(round((height - 1 + 2 * 0.5) / step) + 1, device=device) * step - 0.5
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    return Rays(camera.origin, camera.rotation, (u - cx) / fx, (v - cy) / fy, atlas)


def cast(shapes: list[Shape], rays: Rays) -> Hits:
    """The first hit of every ray: a depth buffer, each shape tried only on the rectangle of rays that can meet it."""
    depth = rays.x.new_full((len(rays.y), len(rays.x)), float("inf"))
    surface = torch.zeros_like(depth, dtype=torch.long)
    limits = [float(v) for v in (rays.x[0], rays.x[1] - rays.x[0], rays.y[0], rays.y[1] - rays.y[0])]
    for shape in shapes:
        window = _window(shape.corners, rays, limits)
        if window is None:
            continue
        rows, columns = window
        t, face = shape.hit(rays.crop(rows, columns))
        patch = depth[rows, columns]
        closer = t < patch
        depth[rows, columns] = torch.where(closer, t, patch)
        owner = shape.surface if face is None else face + shape.surface
        surface[rows, columns] = torch.where(closer, owner, surface[rows, columns])
    return Hits(rays, depth, surface)


def _window(corners: Array | None, rays: Rays, limits: list[float]) -> tuple[slice, slice] | None:
    """Rows and columns of the rays that may meet a box with these corners; None when none does."""
    height, width = len(rays.y), len(rays.x)
    if corners is None:
        return slice(0, height), slice(0, width)
    seen = (corners - rays.origin) @ rays.rotation
    if seen[:, 2].max() < NEAR:
        return None
    if seen[:, 2].min() < NEAR:
        return slice(0, height), slice(0, width)
    flat = seen[:, :2] / seen[:, 2:]
    x0, dx, y0, dy = limits
    left, right = np.clip([np.floor((flat[:, 0].min() - x0) / dx), np.ceil((flat[:, 0].max() - x0) / dx) + 1], 0, width)
    top, bottom = np.clip(
        [np.floor((flat[:, 1].min() - y0) / dy), np.ceil((flat[:, 1].max() - y0) / dy) + 1], 0, height
    )
    if left >= right or top >= bottom:
        return None
    return slice(int(top), int(bottom)), slice(int(left), int(right))
