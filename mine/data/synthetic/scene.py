"""A scene that is ray-cast: shapes, the table of their surfaces, textures, and light.

World coordinates are those of a camera at the origin: x right, y DOWN, z forward. Lengths are about metres.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.shapes import Array, Billboard, Convex, Quadric, Shape
from mine.data.synthetic.textures import Textures

UP = np.array([0.0, -1.0, 0.0])


@dataclass
class Surface:
    """The texture mapping of one face.

    The texture coordinates (u, v) of a world point p are rows 0 and 1 of `mapping` @ (p, 1) on a flat face. On a curved
    face these three rows are local coordinates; u is then the angle about local y, and v is local y.
    """

    texture: int
    mapping: Array
    """(3, 4) affine map from world coordinates"""
    normal: Array
    """(3,) unit normal of a flat face"""
    tint: Array
    """(3,) colour by which the texture is multiplied"""
    density: float
    """texture widths per unit of world length, from which the mip level follows"""
    curved: bool = False
    bend: tuple[float, float] = (0.0, 0.0)
    """of a curved face: its local normal at (x, y, z) is (x, bend[0] + bend[1] y, z)"""
    repeat: tuple[float, float] = (1.0, 1.0)
    """of a curved face: texture widths per turn, and per unit of local y"""

    def row(self) -> list[float]:
        """The surface as a row of the surface table, whose columns are named below this class."""
        return [
            *self.mapping.ravel(),
            *self.normal,
            *self.tint,
            float(self.texture),
            self.density,
            float(self.curved),
            *self.bend,
            *self.repeat,
        ]


# Columns of the surface table.
MAPPING, NORMAL, TINT = slice(0, 12), slice(12, 15), slice(15, 18)
TEXTURE, DENSITY, CURVED = 18, 19, 20
BEND, BEND_SLOPE, REPEAT_AROUND, REPEAT_ALONG = 21, 22, 23, 24


@dataclass
class Light:
    """The light of a scene: sun, ambient light and fog."""

    sun: Array
    """(3,) unit vector to the sun"""
    sun_colour: Array
    ambient: Array
    """(3,) colour of the light from above; the light from below is a third of it"""
    fog_colour: Array
    fog: float
    """extinction coefficient, per unit of world length"""
    sky: float
    """brightness of the sky's texture"""
    softness: float
    """radius of the sun's penumbra, in texels of the shadow map"""


@dataclass
class Scene:
    """Textured shapes and the light on them, filled by the `add_...` methods.

    Attributes:
        rng: Random generator of everything in the scene.
        textures: Where textures come from.
        shapes: What rays can hit.
        surfaces: One for each face of the shapes; number 0 is the sky's.
        images: The textures, number 0 the sky's.
        light: None until it is set.
    """

    rng: np.random.Generator
    textures: Textures
    shapes: list[Shape] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    images: list[Tensor] = field(default_factory=list)
    light: Light | None = None
    _reuse: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def empty(cls, seed: int, folder: Path | None) -> "Scene":
        """A scene without shapes, with the textures of a folder of photos, or procedural ones without a folder."""
        return cls(np.random.default_rng(seed), _textures(folder))

    # ---- textures

    def add_image(self, image: Tensor) -> int:
        """Adds a texture (3 or 4, h, w); returns its number."""
        self.images.append(image)
        return len(self.images) - 1

    def texture(self, role: str, limit: int = 4) -> int:
        """Number of a random surface texture of a role; beyond `limit` different ones they are reused."""
        if role == "bay":
            return self._reused(role, limit, lambda: self.textures.bay(self.rng))
        return self._reused(role, limit, lambda: self.textures.surface(self.rng, role))

    def cutout(self, role: str, limit: int = 4) -> int:
        """Number of a random cut-out texture of a role; beyond `limit` different ones they are reused."""
        return self._reused(role, limit, lambda: self.textures.cutout(self.rng, role))

    def _reused(self, role: str, limit: int, make: Callable[[], Tensor]) -> int:
        made = self._reuse.setdefault(role, [])
        if len(made) < limit and (not made or self.rng.random() < 0.7):
            made.append(self.add_image(make()))
            return made[-1]
        return made[self.rng.integers(len(made))]

    def tint(self, strength: float = 0.12) -> Array:
        """A random colour factor (3,), whose brightness varies more than its hue."""
        return np.exp(self.rng.normal(0, strength) + self.rng.normal(0, strength / 4, 3))

    # ---- shapes

    def set_sky(self, image: Tensor) -> None:
        """Sets the sky's texture, the first texture of all: two widths around, half its height at 45 degrees."""
        assert not self.images, "the sky comes first"
        self.add_image(image)
        self.surfaces.append(Surface(0, np.eye(3, 4), UP, np.ones(3), 0.3, curved=True, repeat=(2.0, 1.0)))

    def add_surface(
        self,
        texture: int,
        normal: Array,
        origin: Array,
        tile: float | tuple[float, float],
        *,
        tint: Array,
        across: Array | None = None,
    ) -> None:
        """Adds the surface of a flat face, on which one texture is `tile` (width, height) large in world units."""
        if across is None:
            across = cross(UP, normal)
            across = np.array([1.0, 0, 0]) if np.linalg.norm(across) < 1e-3 else across / np.linalg.norm(across)
        down = cross(normal, across)
        wide, high = tile if isinstance(tile, tuple) else (tile, tile)
        mapping = np.zeros((3, 4))
        mapping[0, :3], mapping[1, :3] = across / wide, down / high
        mapping[:, 3] = -mapping[:, :3] @ origin
        self.surfaces.append(Surface(texture, mapping, normal, tint, 1 / np.sqrt(wide * high)))

    def add_ground(self, texture: int, tile: float, height: float = 0.0) -> None:
        """Adds the unbounded plane y = height, visible from above."""
        turn = self.rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(turn), 0, np.sin(turn)])
        surface = len(self.surfaces)
        self.add_surface(texture, UP, np.array([0, height, 0]), tile, across=across, tint=self.tint())
        self.shapes.append(Convex(surface, UP[None], np.array([-height])))

    def add_box(
        self,
        center: Array,
        half: Array,
        rotation: Array,
        textures: list[int],
        tile: float | tuple[float, float] | None,
        inside: bool = False,
    ) -> None:
        """Adds a box.

        Args:
            center: (3,) position.
            half: (3,) half sizes along the columns of `rotation`.
            rotation: (3, 3) world-from-box.
            textures: Numbers of the textures of the faces +x, -x, +y, -y, +z, -z.
            tile: Size of one texture in world units; a pair (width, height) is stretched to fit each face a whole
                number of times, as windows do on a house; None shows the texture once on each face.
            inside: Whether the box is a room, visible from inside.
        """
        tint = self.tint()
        surface = len(self.surfaces)
        signs = np.array([1, -1])
        normals = np.stack([rotation[:, axis] * sign for axis in range(3) for sign in signs])
        offsets = normals @ center + np.repeat(half, 2)
        for index, normal in enumerate(normals):
            axis = index // 2
            across = rotation[:, 2] if axis == 0 else rotation[:, 0]
            wide, high = half[2 if axis == 0 else 0], half[2 if axis == 1 else 1]
            across = across * (1 if index % 2 else -1)
            origin = center + normal * half[axis]
            down = cross(normal, across)
            origin = origin - across * wide - down * high
            facing = -normal if inside else normal
            size = _fit(tile, 2 * wide, 2 * high)
            self.add_surface(textures[index], normal, origin, size, across=across, tint=tint)
            self.surfaces[-1].normal = facing
        self.shapes.append(
            Convex(surface, normals, offsets, None if inside else _corners(center, half, rotation), inside)
        )

    def add_convex(self, normals: Array, offsets: Array, corners: Array, textures: list[int], tile: float) -> None:
        """Adds a convex polyhedron, the intersection of half-spaces normal · p <= offset.

        Args:
            normals: (K, 3) unit outward normals.
            offsets: (K,) offsets.
            corners: (8, 3) corners of a bounding box.
            textures: Numbers of the faces' textures, which are tiled from the world's origin.
            tile: Size of one texture in world units.
        """
        tint = self.tint()
        surface = len(self.surfaces)
        for normal, offset, texture in zip(normals, offsets, textures, strict=True):
            self.add_surface(texture, normal, normal * offset, tile, tint=tint)
        self.shapes.append(Convex(surface, normals, offsets, corners))

    def add_ellipsoid(self, center: Array, half: Array, rotation: Array, texture: int, repeat: float = 1.0) -> None:
        """Adds an ellipsoid with half axes (3,) along the columns of `rotation`."""
        local = rotation.T / half[:, None]
        self._add_round_surface(center, local, texture, (0.0, 1.0), repeat, float(half.mean()))
        self.shapes.append(Quadric(len(self.surfaces) - 1, local, center, True, 0.0, _corners(center, half, rotation)))

    def add_cylinder(
        self, center: Array, half: Array, rotation: Array, texture: int, taper: float = 0.0, repeat: float = 1.0
    ) -> None:
        """Adds a closed cylinder or cone along local y, of radius half[0] (1 + taper y) for y from -1 (top) to 1."""
        half = np.array([half[0], half[1], half[0]])
        local = rotation.T / half[:, None]
        surface = len(self.surfaces)
        self._add_round_surface(center, local, texture, (-taper, -(taper**2)), repeat, float(half[0]))
        tint = self.surfaces[-1].tint
        for sign in (-1.0, 1.0):
            normal = rotation[:, 1] * sign
            self.add_surface(texture, normal, center + normal * half[1], 2 * half[0], across=rotation[:, 0], tint=tint)
        reach = half * np.array([1 + abs(taper), 1, 1 + abs(taper)])
        self.shapes.append(Quadric(surface, local, center, False, taper, _corners(center, reach, rotation)))

    def add_billboard(self, center: Array, half: tuple[float, float], rotation: Array, texture: int) -> None:
        """Adds a billboard with half sizes (x, y) along the first two columns of `rotation`."""
        size = np.array([half[0], half[1], 1.0])
        local = rotation.T / size[:, None]
        surface = len(self.surfaces)
        origin = center - rotation[:, 0] * half[0] - rotation[:, 1] * half[1]
        mapping = np.zeros((3, 4))
        mapping[:2, :3] = rotation[:, :2].T / (2 * size[:2, None])
        mapping[:, 3] = -mapping[:, :3] @ origin
        density = 1 / (2 * float(np.sqrt(half[0] * half[1])))
        self.surfaces.append(Surface(texture, mapping, rotation[:, 2], self.tint(), density))
        corners = _corners(center, np.array([half[0], half[1], 0.0]), rotation)
        self.shapes.append(Billboard(surface, local, center, texture, corners))

    def _add_round_surface(
        self, center: Array, local: Array, texture: int, bend: tuple[float, float], repeat: float, radius: float
    ) -> None:
        mapping = np.concatenate([local, -(local @ center)[:, None]], axis=1)
        wide = np.pi * radius / repeat
        down = float(1 / (wide * np.linalg.norm(local[1])))
        self.surfaces.append(Surface(texture, mapping, UP, self.tint(), 1 / wide, True, bend, (2 * repeat, down)))

    # ---- for shading

    def surface_table(self) -> Tensor:
        """The surface table (columns, surfaces)."""
        return torch.tensor([surface.row() for surface in self.surfaces], dtype=torch.float32).T.contiguous()


def _fit(tile: float | tuple[float, float] | None, wide: float, high: float) -> float | tuple[float, float]:
    if isinstance(tile, float):
        return tile
    columns, rows = (1, 1) if tile is None else (max(1, round(wide / tile[0])), max(1, round(high / tile[1])))
    return wide / columns, high / rows


def _corners(center: Array, half: Array, rotation: Array) -> Array:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners: Array = center + (signs * half) @ rotation.T
    return corners


@lru_cache(maxsize=8)
def _textures(folder: Path | None) -> Textures:
    return Textures(folder)


def cross(a: Array, b: Array) -> Array:
    """Cross product of two vectors (3,); several times faster than numpy's on single vectors."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def euler(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Rotation (3, 3) from Euler angles in radians: R = R_y(yaw) R_x(pitch) R_z(roll); up and right are positive."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: Array = about_y @ about_x @ about_z
    return rotation
