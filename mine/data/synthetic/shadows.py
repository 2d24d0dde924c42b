"""Shadow maps: soft shadows of the sun, and contact shadows from a map seen from above."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.data.synthetic.atlas import Atlas
from mine.data.synthetic.raycast import cast_rays
from mine.data.synthetic.scene import Scene
from mine.data.synthetic.shapes import Array, Convex, Rays

_DISTANCE = 40.0  # of the light, in radii of the region: far enough to be nearly parallel, near enough for float32
_TAPS = 9


class ShadowMap:
    """Depth map of a scene seen from a distant light, over a square region."""

    def __init__(self, scene: Scene, atlas: Atlas, center: Array, radius: float, toward: Array, count: int) -> None:
        """Renders count x count texels over 2 radius x 2 radius; `toward` (3,) is the unit vector to the light."""
        self.atlas, self.count, self.radius = atlas, count, radius
        self.texel = 2 * radius / count
        helper = np.array([1.0, 0, 0]) if abs(toward[0]) < 0.8 else np.array([0, 0, 1.0])
        right = np.cross(helper, toward)
        right /= np.linalg.norm(right)
        self.rotation = np.stack([right, np.cross(-toward, right), -toward], axis=1)
        self.origin = center + toward * radius * _DISTANCE
        ticks = (torch.arange(count, device=atlas.texels.device) + 0.5) / count * 2 - 1
        rays = Rays(self.origin, self.rotation, ticks / _DISTANCE, ticks / _DISTANCE, atlas)
        solid = [shape for shape in scene.shapes if not (isinstance(shape, Convex) and shape.corners is None)]
        self.depth = cast_rays(solid, rays).depth

    def project(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Columns and rows (in texels) and depths of world points (3, N)."""
        turn = torch.from_numpy(self.rotation.T.astype(np.float32)).to(points)
        shift = torch.from_numpy((self.rotation.T @ -self.origin).astype(np.float32)).to(points)
        x, y, z = turn @ points + shift[:, None]
        scale = _DISTANCE * self.count / 2 / z
        return x * scale + self.count / 2 - 0.5, y * scale + self.count / 2 - 0.5, z


class SunShadow:
    """Soft shadows of the sun, by percentage-closer filtering (Reeves et al. 1987)."""

    def __init__(self, scene: Scene, atlas: Atlas, center: Array, radius: float) -> None:
        light = scene.light
        assert light is not None
        self.map = ShadowMap(scene, atlas, center, radius, light.sun, 224)
        self.softness = light.softness

    def visibility(self, points: Tensor, normals: Tensor) -> Tensor:
        """Visible fraction (N,) of the sun from points (3, N), by comparisons on a disc as wide as the penumbra."""
        lifted = points + normals * (1.5 * self.map.texel * (1 + 0.5 * self.softness))
        column, row, z = self.map.project(lifted)
        flat, count = self.map.depth.flatten(), self.map.count
        total = torch.zeros_like(z)
        for tap in range(_TAPS):
            angle, reach = tap * 2.39996, self.softness * ((tap + 0.5) / _TAPS) ** 0.5
            u = (column + reach * np.cos(angle)).round().long().clamp(0, count - 1)
            v = (row + reach * np.sin(angle)).round().long().clamp(0, count - 1)
            total += (flat[v * count + u] > z).to(z.dtype)
        inside = (column.abs() < 2 * count) & (row > 0) & (row < count - 1) & (column > 0) & (column < count - 1)
        return torch.where(inside, total / _TAPS, 1.0)


class ContactShadow:
    """Ambient occlusion of the ground y = 0, and of what stands on it, under and beside objects."""

    def __init__(self, scene: Scene, atlas: Atlas, center: Array, radius: float) -> None:
        flat = center * [1, 0, 1]
        self.map = ShadowMap(scene, atlas, flat, radius, np.array([0.0, -1.0, 0.0]), 128)
        self.height = 0.04 * radius
        above = self.map.depth < radius * _DISTANCE - 0.01 * radius
        cover = above.float()[None, None]
        near = F.avg_pool2d(cover, 5, 1, 2)
        self.cover = 0.5 * near + 0.5 * F.avg_pool2d(F.avg_pool2d(near, 9, 1, 4), 9, 1, 4)

    def sky_visibility(self, points: Tensor) -> Tensor:
        """Fraction (N,) of ambient light that reaches points (3, N)."""
        column, row, _ = self.map.project(points * points.new_tensor([1.0, 0.0, 1.0])[:, None])
        grid = (torch.stack([column, row], -1) + 0.5) / self.map.count * 2 - 1
        cover = F.grid_sample(self.cover, grid[None, None], align_corners=False)[0, 0, 0]
        return 1 - 0.6 * cover * torch.exp(-points[1].abs() / self.height)


def corner_visibility(scene: Scene, points: Tensor) -> Tensor:
    """Fraction (N,) of ambient light that reaches points (3, N) near the walls of a room; 1 without a room."""
    result = torch.ones_like(points[0])
    for shape in scene.shapes:
        if isinstance(shape, Convex) and shape.inside:
            normals = torch.from_numpy(shape.normals.astype(np.float32)).to(points)
            offsets = torch.from_numpy(shape.offsets.astype(np.float32)).to(points)
            gap = (offsets[:, None] - normals @ points).clamp(min=0)
            result = result * (1 - 0.35 * torch.exp(-gap / 0.3)).prod(0) / (1 - 0.35)
    return result.clamp(max=1)
