"""Shapes and their intersection with rays: convex polyhedra, quadrics, and billboards.

Every ray is origin + t (x, y, 1) in camera coordinates, so t is the camera's depth z. `Rays` hold the normalised
coordinates x of columns and y of rows apart: the dot product of a vector with all ray directions is then the sum of a
row and a column, which makes intersections fast.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mine.data.synthetic.atlas import Atlas

Array = NDArray[np.float64]

NEAR = 1e-3
_FAR = float("inf")


@dataclass
class Rays:
    """The rays of a camera, or of a rectangle of its pixels."""

    origin: Array
    """(3,) in the world"""
    rotation: Array
    """(3, 3) world-from-camera"""
    x: Tensor
    """(w,) normalised coordinates of the columns"""
    y: Tensor
    """(h,) normalised coordinates of the rows"""
    atlas: Atlas

    def dot(self, vectors: Array) -> Tensor:
        """Dot products (K, h, w) of world vectors (K, 3) with the rays' directions."""
        a, b, c = torch.from_numpy((vectors @ self.rotation).T.astype(np.float32)).to(self.x.device).unbind(0)
        return (b[:, None] * self.y + c[:, None])[:, :, None] + (a[:, None] * self.x)[:, None]

    def crop(self, rows: slice, columns: slice) -> "Rays":
        """The rays of a rectangle of pixels."""
        return Rays(self.origin, self.rotation, self.x[columns], self.y[rows], self.atlas)


class Shape(Protocol):
    """What rays can hit."""

    surface: int
    """index of its first face in the scene's surfaces"""
    corners: Array | None
    """(8, 3) corners of a bounding box, None if unbounded"""

    def intersect(self, rays: Rays) -> tuple[Tensor, Tensor | None]:
        """Depth (h, w) of the first hit, inf for none, and the face (h, w) that is hit; None if it has one face."""
        ...

    def contains(self, point: Array, margin: float) -> bool:
        """Whether a point is inside the shape, or within a margin of it: no camera may be there."""
        ...


@dataclass
class Convex:
    """A convex polyhedron, the intersection of half-spaces normal · p <= offset; `inside`: a room seen from within."""

    surface: int
    normals: Array
    """(K, 3) unit, outward"""
    offsets: Array
    """(K,)"""
    corners: Array | None = None
    inside: bool = False

    def intersect(self, rays: Rays) -> tuple[Tensor, Tensor | None]:
        room = self.offsets - self.normals @ rays.origin
        behind = np.flatnonzero(room >= 0)
        leave, leave_face = self._cross(rays, room, behind, leaving=True)
        if self.inside:
            return leave, leave_face
        # Rays enter through faces whose outer side the camera sees; where one moves away from any of these, it misses.
        enter, face = self._cross(rays, room, np.flatnonzero(room < 0), leaving=False)
        return torch.where((enter < leave) & (enter > NEAR), enter, _FAR), face

    def _cross(self, rays: Rays, room: Array, faces: NDArray[np.intp], leaving: bool) -> tuple[Tensor, Tensor]:
        """Depth (h, w) at which rays are in (or, leaving, out of one of) the half-spaces of these faces; which face."""
        speed = rays.dot(self.normals[faces])
        if len(faces) == 0:
            nowhere = speed.new_full(speed.shape[1:], _FAR)
            return nowhere, torch.zeros_like(nowhere, dtype=torch.long)
        t = torch.from_numpy(room[faces].astype(np.float32)).to(speed.device)[:, None, None] / speed
        t = torch.where(t > 0, t, _FAR)
        if len(faces) == 1:
            return t[0], torch.full_like(t[0], int(faces[0]), dtype=torch.long)
        t, index = t.min(0) if leaving else t.max(0)
        return t, torch.from_numpy(faces).to(index.device)[index]

    def contains(self, point: Array, margin: float) -> bool:
        deepest = (self.normals @ point - self.offsets).max()
        return bool(deepest > -margin if self.inside else deepest < margin)


@dataclass
class Quadric:
    """A quadric x² + z² + s y² = (1 + k y)², |y| <= 1 in local coordinates.

    An ellipsoid has s = 1, k = 0. A cylinder or cone has s = 0 and taper k, and is closed by discs: face 0 is its side,
    face 1 the disc at y = -1 (top), face 2 the one at y = 1.
    """

    surface: int
    local: Array
    """(3, 3) local-from-world, rows scaled by 1 / half size"""
    center: Array
    """(3,)"""
    sphere: bool
    taper: float
    corners: Array | None

    def intersect(self, rays: Rays) -> tuple[Tensor, Tensor | None]:
        # Rays start at the depth of the center: differences of large numbers would eat the float32 digits otherwise.
        toward = self.center - rays.origin
        start = float(toward @ rays.rotation[:, 2])
        direction = rays.dot(self.local)
        dx, dy, dz = direction.unbind(0)
        ox, oy, oz = self._origin(rays, toward, start).unbind(0)
        squash = (1.0 if self.sphere else 0.0) - self.taper**2
        a = dx * dx + dz * dz + squash * dy * dy
        b = ox * dx + oz * dz + (squash * oy - self.taper) * dy
        c = ox * ox + oz * oz + (squash * oy - 2 * self.taper) * oy - 1
        root = b * b - a * c
        t = (-b - root.clamp(min=0).sqrt()) / a
        found = (root > 0) & ((oy + t * dy).abs() <= 1) & (t + start > NEAR)
        t = torch.where(found, t, _FAR)
        if self.sphere:
            return t + start, None
        face = torch.zeros_like(t, dtype=torch.long)
        for index, level in ((1, -1.0), (2, 1.0)):
            cap = (level - oy) / dy
            within = (ox + cap * dx) ** 2 + (oz + cap * dz) ** 2 <= (1 + self.taper * level) ** 2
            better = within & (cap < t) & (cap + start > NEAR)
            t, face = torch.where(better, cap, t), torch.where(better, index, face)
        return t + start, face

    def _origin(self, rays: Rays, toward: Array, start: float) -> Tensor:
        """Local coordinates (3, h, w) of the rays' points at the depth of the center."""
        shifted = self.local @ rays.rotation * start
        shifted[:, 2] -= self.local @ toward
        a, b, c = torch.from_numpy(shifted.T.astype(np.float32)).to(rays.x.device).unbind(0)
        return (b[:, None] * rays.y + c[:, None])[:, :, None] + (a[:, None] * rays.x)[:, None]

    def contains(self, point: Array, margin: float) -> bool:
        x, y, z = self.local @ (point - self.center)
        grow = 1 + margin * float(np.linalg.norm(self.local, axis=1).min())
        return bool(abs(y) < grow and x * x + z * z + self.sphere * y * y < (grow + abs(self.taper * y)) ** 2)


@dataclass
class Billboard:
    """A billboard: a flat rectangle of which the parts with alpha > 0.5 exist, for leaves, bushes, people."""

    surface: int
    local: Array
    """(3, 3) local-from-world: the rectangle is |x|, |y| <= 1, z = 0"""
    center: Array
    texture: int
    corners: Array | None

    def intersect(self, rays: Rays) -> tuple[Tensor, Tensor | None]:
        dx, dy, dz = rays.dot(self.local).unbind(0)
        ox, oy, oz = self.local @ (rays.origin - self.center)
        t = -oz / dz
        x, y = ox + t * dx, oy + t * dy
        distance = float(np.linalg.norm(self.center - rays.origin))
        pixel = float(rays.x[1] - rays.x[0]) if len(rays.x) > 1 else 0.0
        width = 0.5 * distance * pixel * float(np.linalg.norm(self.local[1]))
        alpha = torch.nn.functional.grid_sample(
            rays.atlas.alpha(self.texture, width), torch.stack([x, y], -1)[None], align_corners=False
        )[0, 0]
        return torch.where((t > NEAR) & (alpha > 0.5), t, _FAR), None

    def contains(self, point: Array, margin: float) -> bool:
        gap = np.abs(self.local @ (point - self.center)) / np.linalg.norm(self.local, axis=1)
        reach = 1 / np.linalg.norm(self.local, axis=1)
        return bool(gap[2] < margin and gap[0] < reach[0] + margin and gap[1] < reach[1] + margin)
