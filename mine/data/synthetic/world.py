"""A world under construction: shapes, the table of their surfaces, the textures, the light."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.shapes import Array, Card, Convex, Round, Shape
from mine.data.synthetic.textures import Textures

UP = np.array([0.0, -1.0, 0.0])


@dataclass
class Surface:
    """How one face is textured: texture coordinates are rows 0 and 1 of `mapping` on (p, 1), or polar around its y."""

    texture: int
    mapping: Array
    """(3, 4) from the world; (u, v, -) when flat, local coordinates when round"""
    normal: Array
    """(3,) of a flat face"""
    tint: Array
    """(3,) multiplies the texture"""
    density: float
    """texture widths per world unit, for the mip level"""
    round: bool = False
    bend: tuple[float, float] = (0.0, 0.0)
    """of a round face: local normal is (x, bend[0] + bend[1] y, z)"""
    repeat: tuple[float, float] = (1.0, 1.0)
    """of a round face: texture widths per turn and per local unit of y"""

    def row(self) -> list[float]:
        """As a row of the surface table; `COLUMNS` has the meaning."""
        return [
            *self.mapping.ravel(),
            *self.normal,
            *self.tint,
            float(self.texture),
            self.density,
            float(self.round),
            *self.bend,
            *self.repeat,
        ]


@dataclass
class Light:
    """Sun, sky light and air."""

    sun: Array
    """(3,) unit, toward the sun"""
    sun_colour: Array
    ambient: Array
    """(3,) from above; what comes from below is a third"""
    fog_colour: Array
    fog: float
    """extinction per world unit"""
    sky: float
    """brightness of the sky's texture"""
    softness: float
    """of sun shadows, in texels of the shadow map"""


@dataclass
class World:
    """Shapes with textured surfaces. Build it with the methods, `finish` it, then cast rays."""

    rng: np.random.Generator
    textures: Textures
    shapes: list[Shape] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    images: list[Tensor] = field(default_factory=list)
    light: Light | None = None
    _reuse: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def start(cls, seed: int, folder: Path | None) -> "World":
        """An empty world; surface 0 and texture 0 are the sky's, to be set by `sky`."""
        return cls(np.random.default_rng(seed), _textures(folder))

    # ---- textures

    def add_image(self, image: Tensor) -> int:
        """The number of a new texture."""
        self.images.append(image)
        return len(self.images) - 1

    def texture(self, role: str, limit: int = 4) -> int:
        """The number of a surface texture of the role; at most `limit` of each are made, then they are used again."""
        if role == "bay":
            return self._number(role, limit, lambda: self.textures.bay(self.rng))
        return self._number(role, limit, lambda: self.textures.surface(self.rng, role))

    def cutout(self, role: str, limit: int = 4) -> int:
        """The number of a cut-out texture of the role."""
        return self._number(role, limit, lambda: self.textures.cutout(self.rng, role))

    def _number(self, role: str, limit: int, make: Callable[[], Tensor]) -> int:
        made = self._reuse.setdefault(role, [])
        if len(made) < limit and (not made or self.rng.random() < 0.7):
            made.append(self.add_image(make()))
            return made[-1]
        return made[self.rng.integers(len(made))]

    def tint(self, strength: float = 0.12) -> Array:
        """A random colour factor (3,), mostly of brightness."""
        return np.exp(self.rng.normal(0, strength) + self.rng.normal(0, strength / 4, 3))

    # ---- shapes

    def sky(self, image: Tensor) -> None:
        """Sets the sky's texture: one turn around is two widths, 45 degrees up is half its height."""
        assert not self.images, "the sky comes first"
        self.add_image(image)
        self.surfaces.append(Surface(0, np.eye(3, 4), UP, np.ones(3), 0.3, round=True, repeat=(2.0, 1.0)))

    def flat(
        self, texture: int, normal: Array, origin: Array, tile: float | tuple[float, float], **options: Array
    ) -> None:
        """Adds the surface of a flat face. `tile` is the size in the world of one texture (width, height)."""
        across = options.get("across")
        if across is None:
            across = cross(UP, normal)
            across = np.array([1.0, 0, 0]) if np.linalg.norm(across) < 1e-3 else across / np.linalg.norm(across)
        down = cross(normal, across)
        wide, high = tile if isinstance(tile, tuple) else (tile, tile)
        mapping = np.zeros((3, 4))
        mapping[0, :3], mapping[1, :3] = across / wide, down / high
        mapping[:, 3] = -mapping[:, :3] @ origin
        tint = options.get("tint", np.ones(3))
        self.surfaces.append(Surface(texture, mapping, normal, tint, 1 / np.sqrt(wide * high)))

    def ground(self, texture: int, tile: float, height: float = 0.0) -> None:
        """An endless plane y = height, seen from above."""
        turn = self.rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(turn), 0, np.sin(turn)])
        surface = len(self.surfaces)
        self.flat(texture, UP, np.array([0, height, 0]), tile, across=across, tint=self.tint())
        self.shapes.append(Convex(surface, UP[None], np.array([-height])))

    def box(
        self,
        center: Array,
        half: Array,
        rotation: Array,
        textures: list[int],
        tile: float | tuple[float, float] | None,
        inside: bool = False,
    ) -> None:
        """A box with half sizes (3,) along the columns of `rotation`; textures (6) for the faces +x -x +y -y +z -z.

        `tile` None shows the texture once on each face; a pair (width, height) is stretched to fit a whole number of
        times, as windows do on a house.
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
            self.flat(textures[index], normal, origin, size, across=across, tint=tint)
            self.surfaces[-1].normal = facing
        self.shapes.append(
            Convex(surface, normals, offsets, None if inside else _corners(center, half, rotation), inside)
        )

    def convex(self, normals: Array, offsets: Array, corners: Array, textures: list[int], tile: float) -> None:
        """Any convex body, its textures tiled from the world's origin."""
        tint = self.tint()
        surface = len(self.surfaces)
        for normal, offset, texture in zip(normals, offsets, textures, strict=True):
            self.flat(texture, normal, normal * offset, tile, tint=tint)
        self.shapes.append(Convex(surface, normals, offsets, corners))

    def ellipsoid(self, center: Array, half: Array, rotation: Array, texture: int, repeat: float = 1.0) -> None:
        """An ellipsoid with half axes (3,) along the columns of `rotation`."""
        local = rotation.T / half[:, None]
        self._round(center, local, texture, (0.0, 1.0), repeat, float(half.mean()))
        self.shapes.append(Round(len(self.surfaces) - 1, local, center, True, 0.0, _corners(center, half, rotation)))

    def cylinder(
        self, center: Array, half: Array, rotation: Array, texture: int, taper: float = 0.0, repeat: float = 1.0
    ) -> None:
        """A closed cylinder or cone along local y, of radius half[0] (1 + taper y) for y from -1 (above) to 1."""
        half = np.array([half[0], half[1], half[0]])
        local = rotation.T / half[:, None]
        surface = len(self.surfaces)
        self._round(center, local, texture, (-taper, -(taper**2)), repeat, float(half[0]))
        tint = self.surfaces[-1].tint
        for sign in (-1.0, 1.0):
            normal = rotation[:, 1] * sign
            self.flat(texture, normal, center + normal * half[1], 2 * half[0], across=rotation[:, 0], tint=tint)
        reach = half * np.array([1 + abs(taper), 1, 1 + abs(taper)])
        self.shapes.append(Round(surface, local, center, False, taper, _corners(center, reach, rotation)))

    def card(self, center: Array, half: tuple[float, float], rotation: Array, texture: int) -> None:
        """A cut-out rectangle with half sizes (x, y) in the plane of the first two columns of `rotation`."""
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
        self.shapes.append(Card(surface, local, center, texture, corners))

    def _round(
        self, center: Array, local: Array, texture: int, bend: tuple[float, float], repeat: float, radius: float
    ) -> None:
        mapping = np.concatenate([local, -(local @ center)[:, None]], axis=1)
        wide = np.pi * radius / repeat
        down = float(1 / (wide * np.linalg.norm(local[1])))
        self.surfaces.append(Surface(texture, mapping, UP, self.tint(), 1 / wide, True, bend, (2 * repeat, down)))

    # ---- when built

    def table(self) -> Tensor:
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
    """The cross product of two vectors (3,), without the library's overhead."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def turned(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """A rotation (3, 3): roll about z, then pitch about x (positive: up), then yaw about y (positive: right)."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: Array = about_y @ about_x @ about_z
    return rotation
