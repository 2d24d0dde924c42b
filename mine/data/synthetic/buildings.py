"""Scenes with a large building: wings that stand out, hipped roofs, dormers, ledges."""

import numpy as np

from mine.data.synthetic.outdoors import Viewpoint, add_house, add_standing, random_ground_position, roof_corners
from mine.data.synthetic.scene import UP, Scene, euler
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.sky import outdoor_light


def mansion(scene: Scene) -> Viewpoint:
    """A large building across its lawn or square, from in front or obliquely, perhaps under the branches of a tree."""
    rng = scene.rng
    outdoor_light(scene)
    scene.add_ground(scene.texture("ground"), rng.uniform(1, 5))
    half = np.array([rng.uniform(8, 25), rng.uniform(3, 8), rng.uniform(4, 8)])
    distance, turn = rng.uniform(0.8, 2.2) * half[0], rng.normal(0, 0.5)
    position = np.array([rng.normal(0, 0.3) * half[0], 0, distance])
    rotation = euler(turn)
    _add_wings(scene, position, rotation, half)
    _add_lawn(scene, position, rotation, half, distance)
    look = euler(rng.normal(0, 0.12), rng.uniform(0, 0.2))
    view = Viewpoint(np.array([0, -rng.uniform(1.2, 3), 0]), look, rng.uniform(40, 75))
    for _ in range(int(rng.integers(0, 10))):
        add_standing(scene, random_ground_position(rng, view, 3, distance))
    for _ in range(int(rng.integers(0, 4))):
        back = rotation @ np.array([rng.normal(0, 2) * half[0], 0, rng.uniform(2, 6) * half[2]])
        add_house(scene, position + back, turn + rng.choice([0, np.pi / 2]))
    if rng.random() < 0.35:
        _add_branches(scene, view)
    return view


def _add_wings(scene: Scene, position: Array, rotation: Array, half: Array) -> None:
    """Adds the body, whose front is at `position`, and wings that stand out from it symmetrically."""
    rng = scene.rng
    walls = scene.texture("bay"), scene.texture("wall"), scene.texture("wall")
    tile = (rng.uniform(1.8, 4), rng.uniform(2.8, 4.5))
    roofed = rng.random() < 0.8
    _add_wing(scene, position + rotation @ np.array([0, 0, half[2]]), rotation, half, walls, tile, roofed)
    for at in rng.permutation([0.0, 0.4, 0.85])[: int(rng.integers(1, 4))]:
        size = half * [rng.uniform(0.08, 0.22), rng.uniform(0.8, 1.3), 1.0]
        out = rng.uniform(0.3, 6)
        for side in (-1, 1) if at else (1,):
            size[2] = half[2]
            offset = np.array([side * at * half[0], 0, half[2] - out])
            _add_wing(scene, position + rotation @ offset, rotation, size, walls, tile, roofed)
    for level in range(1, int(rng.integers(1, 4))):
        band = np.array([half[0] * 1.01, rng.uniform(0.1, 0.25), 0.3])
        scene.add_box(position + UP * 2 * half[1] * level / 3, band, rotation, [walls[1]] * 6, rng.uniform(1, 3))
    for _ in range(int(rng.integers(0, 8))):
        top = rotation @ np.array([rng.uniform(-0.9, 0.9) * half[0], -2 * half[1], rng.uniform(0.2, 1.2) * half[2]])
        dormer = np.array([rng.uniform(0.4, 0.9), rng.uniform(0.8, 0.5 * half[1]), rng.uniform(0.4, 1.5)])
        scene.add_box(
            position + top - [0, dormer[1] * 0.8, 0], dormer, rotation, [walls[int(rng.integers(2))]] * 6, None
        )


def _add_wing(
    scene: Scene,
    center: Array,
    rotation: Array,
    half: Array,
    walls: tuple[int, int, int],
    tile: tuple[float, float],
    roofed: bool,
) -> None:
    front, wall, roof = walls
    scene.add_box(center - [0, half[1], 0], half, rotation, [front] * 6, tile)
    if roofed:
        add_hipped_roof(scene, center - [0, 2 * half[1], 0], half * [1.04, 1, 1.04], rotation, roof)
    else:
        edge = np.array([half[0] * 1.02, scene.rng.uniform(0.2, 0.8), half[2] * 1.02])
        scene.add_box(center - [0, 2 * half[1], 0], edge, rotation, [wall] * 6, 2.0)


def add_hipped_roof(scene: Scene, foot: Array, half: Array, rotation: Array, roof: int) -> None:
    """Adds a hipped roof on the rectangle with half sizes half[0] and half[2] at `foot`."""
    rng = scene.rng
    pitch = rng.uniform(0.6, 1.6)
    rise = min(pitch * min(half[0], half[2]), 1.5 * half[1])
    normals = np.array([[pitch, -1, 0], [-pitch, -1, 0], [0, -1, pitch], [0, -1, -pitch], [0, -1, 0], [0, 1, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    edges = np.array([[half[0], 0, 0], [-half[0], 0, 0], [0, 0, half[2]], [0, 0, -half[2]], [0, -rise, 0], [0, 0, 0]])
    offsets = (normals * edges).sum(1)
    turned_normals = normals @ rotation.T
    corners = roof_corners(foot, half, rise, rotation)
    scene.add_convex(turned_normals, offsets + turned_normals @ foot, corners, [roof] * 6, rng.uniform(1.5, 5))


def _add_lawn(scene: Scene, position: Array, rotation: Array, half: Array, distance: float) -> None:
    """Adds beds, paths and hedges in front of the building."""
    rng = scene.rng
    for _ in range(int(rng.integers(0, 5))):
        size = np.array(
            [rng.uniform(0.1, 1) * half[0], rng.choice([0.01, 0.02, 0.5]), rng.uniform(0.05, 0.4) * distance]
        )
        if size[1] > 0.1:  # a hedge is as narrow as a lawn is wide
            size[2] = min(size[2], 0.6)
        before = rotation @ np.array([rng.normal(0, 0.6) * half[0], 0, -rng.uniform(0.2, 0.8) * distance])
        scene.add_box(
            position + before - [0, size[1], 0], size, rotation, [scene.texture("ground")] * 6, rng.uniform(1, 4)
        )


def _add_branches(scene: Scene, view: Viewpoint) -> None:
    """Adds a tree whose branches hang into an upper corner of the view."""
    rng = scene.rng
    leaves = [scene.cutout(role) for role in ("leaf", "leaf", "plant")]
    side = rng.choice([-1, 1])
    far = rng.uniform(2, 7)
    for _ in range(int(rng.integers(30, 90))):
        z = far * rng.uniform(0.8, 1.3)
        x, y = side * rng.uniform(0.2, 0.9) * z, -rng.uniform(0.15, 0.8) * z
        half = far * rng.uniform(0.02, 0.06)
        spot = view.origin + view.rotation @ np.array([x, y, z])
        scene.add_billboard(spot, (half, half), euler(*rng.normal(0, [0.6, 0.6, 1.5])), leaves[rng.integers(3)])
    trunk = np.array([rng.uniform(0.02, 0.08) * far, 3.0, 0])
    foot = view.origin + view.rotation @ np.array([side * rng.uniform(0.7, 1.1) * far, 0, far])
    scene.add_cylinder(foot * [1, 0, 1] + 3 * UP, trunk, np.eye(3), scene.texture("wall"), 0.1)
