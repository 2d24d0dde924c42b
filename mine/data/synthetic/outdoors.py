"""Outdoor scenes: streets, yards, facades and foliage, with houses, trees and people."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mine.data.synthetic.scene import UP, Scene, euler
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.sky import outdoor_light


@dataclass
class Viewpoint:
    """Position, orientation and field of view of the source camera."""

    origin: Array
    """(3,) position in world coordinates"""
    rotation: Array
    """(3, 3) world-from-camera"""
    fov: float
    """horizontal, in degrees"""


def weighted_choice(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One of the keys, with probability proportional to its weight."""
    values = np.array(list(weights.values()), dtype=float)
    return str(rng.choice(list(weights), p=values / values.sum()))


def _standing_viewpoint(rng: np.random.Generator, spread: float = 0.3) -> Viewpoint:
    look = euler(rng.normal(0, spread), rng.normal(-0.02, 0.1), rng.normal(0, 0.02))
    return Viewpoint(np.array([0, -rng.uniform(1.0, 2.2), 0]), look, rng.uniform(45, 80))


def yard(scene: Scene) -> Viewpoint:
    """Open ground with houses, trees, poles, bushes and people scattered over it."""
    rng = scene.rng
    outdoor_light(scene)
    scene.add_ground(scene.texture("ground"), rng.uniform(1, 5))
    view = _standing_viewpoint(rng)
    for _ in range(int(rng.integers(0, 5))):
        add_house(scene, random_ground_position(rng, view, 12, 60), rng.uniform(-np.pi, np.pi))
    for _ in range(int(rng.integers(4, 22))):
        add_standing(scene, random_ground_position(rng, view, 2.5, 30))
    _add_backdrop(scene)
    return view


def street(scene: Scene) -> Viewpoint:
    """Rows of houses on both sides of a road."""
    rng = scene.rng
    outdoor_light(scene)
    scene.add_ground(scene.texture("ground"), rng.uniform(1, 4))
    half = rng.uniform(3, 8)
    for side in (-1, 1):
        if rng.random() < 0.12:
            continue
        z = rng.uniform(-6, 2)
        while z < 80:
            length = rng.uniform(4, 14)
            size = np.array([rng.uniform(3, 6), rng.uniform(3, 12) / 2, length / 2])
            set_back = rng.choice([0.0, rng.uniform(0, 3)])
            add_house(scene, np.array([side * (half + set_back + size[0]), 0, z + size[2]]), 0.0, size)
            z += length + rng.choice([0.0, rng.uniform(0, 5)])
    view = _standing_viewpoint(rng, 0.25)
    view.origin[0] = rng.uniform(-0.6, 0.6) * half
    for _ in range(int(rng.integers(2, 16))):
        near_edge = rng.choice([-1, 1]) * rng.uniform(0.4, 0.95) * half
        add_standing(scene, np.array([near_edge, 0, rng.uniform(3, 40)]))
    _add_backdrop(scene)
    return view


def facade(scene: Scene) -> Viewpoint:
    """One wall, mostly seen obliquely, with things in front."""
    rng = scene.rng
    outdoor_light(scene)
    scene.add_ground(scene.texture("ground"), rng.uniform(1, 4))
    distance, turn = rng.uniform(4, 12), rng.uniform(-1.0, 1.0)
    rotation = euler(turn)
    size = np.array([rng.uniform(6, 25), rng.uniform(2, 8), 4.0])
    center = np.array([0, 0, distance]) + rotation @ np.array([rng.normal(0, 3), 0, size[2]])
    add_house(scene, center, turn, size)
    for _ in range(int(rng.integers(2, 12))):
        gap = rng.choice([0.4, rng.uniform(0.3, 0.8 * distance)])
        spot = np.array([0, 0, distance]) + rotation @ np.array([rng.uniform(-0.8, 0.8) * size[0], 0, -gap])
        if spot[2] > 1.5:
            add_standing(scene, spot)
    view = _standing_viewpoint(rng, 0.15)
    return Viewpoint(view.origin, view.rotation @ euler(0, rng.uniform(0, 0.25)), view.fov)


def foliage(scene: Scene) -> Viewpoint:
    """Many leaves hanging at varying depths in front of a wall or a garden."""
    rng = scene.rng
    outdoor_light(scene)
    scene.add_ground(scene.texture("ground"), rng.uniform(0.6, 3))
    distance = rng.uniform(2, 6)
    wall = scene.texture("wall")
    if rng.random() < 0.7:
        size = np.array([20, rng.uniform(1, 6), 1])
        scene.add_box(
            np.array([0, -size[1], distance + 2]),
            size,
            euler(rng.normal(0, 0.3)),
            [wall] * 6,
            rng.uniform(1, 3),
        )
    else:
        for _ in range(8):
            add_standing(scene, np.array([rng.uniform(-4, 4), 0, rng.uniform(distance, distance + 10)]))
    leaves = [scene.cutout("leaf") for _ in range(3)]
    eye = rng.uniform(0.6, 1.7)
    for _ in range(int(rng.integers(2, 7))):
        z = rng.uniform(0.7, distance)
        middle = np.array([rng.uniform(-0.6, 0.6) * z, -eye + rng.uniform(-0.4, 0.4) * z, z])
        for _ in range(int(rng.integers(15, 50))):
            spot = middle + rng.normal(0, [0.2, 0.15, 0.1]) * (0.5 + 0.5 * z)
            if spot[2] < 0.4 or spot[1] > -0.05:
                continue
            half = rng.uniform(0.03, 0.08)
            scene.add_billboard(spot, (half, half), euler(*rng.normal(0, [0.6, 0.6, 1.5])), leaves[rng.integers(3)])
    look = euler(rng.normal(0, 0.1), rng.normal(0, 0.1), rng.normal(0, 0.03))
    return Viewpoint(np.array([0, -eye, 0]), look, rng.uniform(40, 70))


def random_ground_position(rng: np.random.Generator, view: Viewpoint, near: float, far: float) -> Array:
    """A random position (3,) on the ground in view, uniform in disparity between the depths `near` and `far`."""
    z = 1 / rng.uniform(1 / far, 1 / near)
    ahead = view.rotation @ np.array([rng.uniform(-0.8, 0.8) * z, 0, z])
    return np.array([view.origin[0] + ahead[0], 0, view.origin[2] + ahead[2]])


def add_house(scene: Scene, center: Array, yaw: float, half: Array | None = None) -> None:
    """Adds a house on the ground: a box, in most cases with a gable roof."""
    rng = scene.rng
    if half is None:
        half = np.array([rng.uniform(2, 6), rng.uniform(1.5, 5), rng.uniform(2, 6)])
    rotation = euler(yaw)
    front, wall, roof = scene.texture("bay"), scene.texture("wall"), scene.texture("wall")
    tile = rng.uniform(1.5, 4)
    scene.add_box(center - [0, half[1], 0], half, rotation, [front] * 6, (rng.uniform(1.8, 3.5), rng.uniform(2.6, 3.4)))
    if rng.random() < 0.7:
        _add_gable_roof(scene, center - [0, 2 * half[1], 0], half * [1.08, 1, 1.05], rotation, [roof, wall], tile)


def _add_gable_roof(scene: Scene, foot: Array, half: Array, rotation: Array, textures: list[int], tile: float) -> None:
    """Adds a gable roof on the rectangle at `foot`, with the ridge along its longer side."""
    rise = scene.rng.uniform(0.4, 1.0) * min(half[0], half[2])
    along = 2 if half[2] > half[0] else 0
    across = 2 - along
    slope = np.array([0.0, -half[across], 0.0])
    left, right = slope.copy(), slope.copy()
    left[across], right[across] = -rise, rise
    ends = np.zeros((2, 3))
    ends[0, along], ends[1, along] = 1, -1
    local = np.stack([left / np.linalg.norm(left), right / np.linalg.norm(right), *ends, np.array([0, 1.0, 0])])
    ridge = np.array([0, -rise, 0])
    offsets = np.array([local[0] @ ridge, local[1] @ ridge, half[along], half[along], 0.0])
    normals = local @ rotation.T
    roof, wall = textures
    scene.add_convex(
        normals,
        offsets + normals @ foot,
        roof_corners(foot, half, rise, rotation),
        [roof, roof, wall, wall, roof],
        tile,
    )


def roof_corners(foot: Array, half: Array, rise: float, rotation: Array) -> Array:
    """(8, 3) corners of the box around a roof on the rectangle with half sizes half[0] and half[2] at `foot`."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (0, 1) for z in (-1, 1)])
    corners: Array = foot + (signs * [half[0], -rise, half[2]]) @ rotation.T
    return corners


def add_standing(scene: Scene, foot: Array) -> None:
    """Adds a tree, bush, pole, person, column, crate or stone on the ground at `foot`."""
    rng = scene.rng
    kinds = {"tree": 3, "bush": 3, "figure": 3, "pole": 2, "column": 1, "crate": 2, "thing": 1, "stone": 1}
    kind = weighted_choice(rng, kinds)
    turn = euler(rng.uniform(-np.pi, np.pi))
    if kind in ("tree", "pole", "column"):
        radius, high = {"tree": (0.18, 2.0), "pole": (0.06, 2.5), "column": (0.3, 1.5)}[kind]
        half = np.array([radius * rng.uniform(0.6, 1.5), high * rng.uniform(0.6, 1.3), 0])
        scene.add_cylinder(foot + UP * half[1], half, turn, scene.texture("wall"), rng.uniform(0, 0.2))
        if kind == "tree":
            _add_crown(scene, foot + UP * 2 * half[1])
    elif kind == "crate":
        half = rng.uniform(0.2, 0.8, 3)
        scene.add_box(foot + UP * half[1], half, turn, [scene.texture("object")] * 6, None)
    elif kind == "stone":
        half = rng.uniform(0.2, 0.6, 3)
        scene.add_ellipsoid(foot + UP * half[1] * 0.6, half, turn, scene.texture("ground"))
    else:
        role = {"bush": "plant"}.get(kind, kind)
        texture = scene.cutout(role)
        tall = {"bush": rng.uniform(0.4, 1.5), "figure": rng.uniform(0.5, 0.9), "thing": rng.uniform(0.3, 0.8)}[kind]
        aspect = scene.images[texture].shape[2] / scene.images[texture].shape[1]
        wide = tall * (aspect if kind != "figure" or aspect != 1 else 0.45)
        scene.add_billboard(foot + UP * tall, (wide, tall), euler(rng.normal(0, 0.4)), texture)


def _add_crown(scene: Scene, top: Array) -> None:
    """Adds a tree's crown around the top of its trunk: a few billboards of leaves."""
    rng = scene.rng
    radius = rng.uniform(0.8, 2.2)
    for _ in range(int(rng.integers(2, 6))):
        center = top + rng.normal(0, 0.35, 3) * radius
        size = radius * rng.uniform(0.6, 1.0)
        scene.add_billboard(center, (size, size), euler(rng.uniform(-1.2, 1.2)), scene.cutout("plant"))


def _add_backdrop(scene: Scene) -> None:
    """Adds trees at the horizon."""
    rng = scene.rng
    for _ in range(int(rng.integers(0, 14))):
        far = rng.uniform(50, 150)
        foot = np.array([rng.uniform(-1, 1) * far, 0, far])
        size = far * rng.uniform(0.03, 0.1)
        scene.add_billboard(foot - [0, size, 0], (size * rng.uniform(1, 2.5), size), np.eye(3), scene.cutout("plant"))
