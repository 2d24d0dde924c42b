"""Ray casting: the surface that each ray of a camera hits first, and its depth."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mine.data.synthetic.atlas import Atlas
from mine.data.synthetic.shapes import NEAR, Array, Rays, Shape


@dataclass
class Camera:
    """A pinhole camera."""

    origin: Array
    """(3,) position in world coordinates"""
    rotation: Array
    """(3, 3) world-from-camera"""
    K: Array
    """(3, 3) intrinsics in pixels"""
    size: tuple[int, int]
    """(H, W)"""


@dataclass
class Hits:
    """First hits of rays that are half a pixel apart; rays of odd rows and columns go through pixel centres."""

    rays: Rays
    depth: Tensor
    """(h, w) depth z, inf where the ray hits nothing but sky"""
    surface: Tensor
    """(h, w) index of the surface in the scene; 0 is the sky"""


def pixel_rays(camera: Camera, atlas: Atlas, step: float = 0.5) -> Rays:
    """Rays every `step` pixels from half a pixel outside the first pixel's centre to half a pixel beyond the last's."""
    height, width = camera.size
    device = atlas.texels.device
    u = torch.arange(round((width - 1 + 2 * 0.5) / step) + 1, device=device) * step - 0.5
    v = torch.arange(round((height - 1 + 2 * 0.5) / step) + 1, device=device) * step - 0.5
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    return Rays(camera.origin, camera.rotation, (u - cx) / fx, (v - cy) / fy, atlas)


def cast_rays(shapes: list[Shape], rays: Rays) -> Hits:
    """Finds the first hit of every ray with a depth buffer.

    Each shape is intersected only with the rectangle of rays that its bounding box projects to.
    """
    depth = rays.x.new_full((len(rays.y), len(rays.x)), float("inf"))
    surface = torch.zeros_like(depth, dtype=torch.long)
    for shape, window in zip(shapes, _windows(shapes, rays), strict=True):
        if window is None:
            continue
        rows, columns = window
        t, face = shape.intersect(rays.crop(rows, columns))
        patch = depth[rows, columns]
        closer = t < patch
        depth[rows, columns] = torch.where(closer, t, patch)
        owner = shape.surface if face is None else face + shape.surface
        surface[rows, columns] = torch.where(closer, owner, surface[rows, columns])
    return Hits(rays, depth, surface)


def _windows(shapes: list[Shape], rays: Rays) -> list[tuple[slice, slice] | None]:
    """For each shape, the rows and columns of the rays that may hit it; None if none does."""
    height, width = len(rays.y), len(rays.x)
    everywhere = np.tile([0, height, 0, width], (len(shapes), 1))
    bounded = [index for index, shape in enumerate(shapes) if shape.corners is not None]
    if bounded:
        corners = np.stack([corners for shape in shapes if (corners := shape.corners) is not None])
        everywhere[bounded] = _rectangles(corners, rays)
    return [
        (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None
        for top, bottom, left, right in everywhere.tolist()
    ]


def _rectangles(corners: Array, rays: Rays) -> NDArray[np.int64]:
    """Projects boxes with corners (P, 8, 3) to ranges of rays (P, 4): first and end row, first and end column."""
    seen = (corners - rays.origin) @ rays.rotation
    z = seen[..., 2]
    flat = seen[..., :2] / np.maximum(z, NEAR)[..., None]
    result = np.zeros((len(corners), 4), dtype=np.int64)
    for axis, coordinates in ((1, rays.x), (0, rays.y)):
        count = len(coordinates)
        first, second = coordinates[:2].tolist()
        low, high = flat[..., 1 - axis].min(1), flat[..., 1 - axis].max(1)
        low = np.where(z.min(1) < NEAR, -np.inf, (low - first) / (second - first))
        high = np.where(z.min(1) < NEAR, np.inf, (high - first) / (second - first))
        result[:, 2 * axis] = np.clip(np.floor(low), 0, count)
        result[:, 2 * axis + 1] = np.clip(np.ceil(high) + 1, 0, count)
    result[z.max(1) < NEAR] = 0
    return result
